// A file that holds a file system, as the content of a container (docs/formats/index.md, "An image").
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "publisher/artifact/out_folder.hpp"

namespace instar::publisher {

// A regular file, through symbolic links too.
[[nodiscard]] bool is_file(const std::string& path);

// Which file system a file of `file_bytes` holds. `first` is the start of the file; kProbeBytes are enough. Errors:
// invalid_argument (none that devices mount as images, cut off, or with a journal to be replayed). The message names
// `shown`, what the file looks like and what is wanted.
[[nodiscard]] Result<wire::ImageFormat> probe_image(ByteView first, std::uint64_t file_bytes, const std::string& shown);
inline constexpr std::size_t kProbeBytes = 68 * 1024;  // btrfs has its magic number behind the first 64 KiB

// An image file, for code that works on a tree.
struct ImageTree {
  ScratchFolder scratch;
  std::string
      tree;  // a folder in `scratch` with `image` in it: a hard link to the file, or a copy where there can be none
  std::vector<artifact::Entry> entries;
  wire::ImageFormat format = wire::ImageFormat::none;
};
// `scratch_parent`: as for ScratchFolder; best on the file system of `path`. `progress`: bytes hashed, and all bytes.
// Errors: those of probe_image, io, no_space, too_large.
[[nodiscard]] Result<ImageTree> open_image(const std::string& path, const std::string& scratch_parent,
                                           const std::function<void(std::uint64_t done, std::uint64_t all)>& progress);

}  // namespace instar::publisher

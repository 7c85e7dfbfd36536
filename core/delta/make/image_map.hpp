// Where the contents of files are in an image with a compressed file system: its blocks, and which of them each file
// consists of. Bytes from outside: whatever they are, a map that holds together comes out, or none.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/delta/block_codec.hpp"

namespace instar::delta {

// A stretch of the image. It is compressed unless both sizes are equal.
struct ImageBlock {
  std::uint32_t place = 0;
  std::uint32_t bytes = 0;
  std::uint32_t unpacked_bytes = 0;
  bool is_shared = false;  // several files have parts of it: a fragment
  [[nodiscard]] bool is_plain() const noexcept { return bytes == unpacked_bytes; }
};

// Bytes of one block, unpacked; of kHole: zeros that the image does not have.
struct ImageRun {
  static constexpr std::uint32_t kHole = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t block = kHole;
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
};

struct ImageFile {
  std::string path;  // a table's, or that of bytes between blocks, begins with '#'
  std::vector<ImageRun> runs;
  bool is_table = false;
  [[nodiscard]] std::uint64_t bytes() const noexcept;
};

struct ImageMap {
  BlockMethod method = BlockMethod::zlib;
  std::uint32_t block_bytes = 0;
  BlockSpec files_spec;            // by which contents of files seem to be compressed
  BlockSpec tables_spec;           // and the tables
  std::vector<ImageBlock> blocks;  // by place; together they are the whole image
  std::vector<ImageFile> files;    // each block that is not shared is in exactly one run, whole
};

// nullopt when `image` is no squashfs of version 4 with gzip, xz, lz4 or zstd, is damaged, or is past the bounds of
// limits.hpp.
[[nodiscard]] std::optional<ImageMap> map_squashfs(ByteView image);

// What the runs consist of. Errors: corrupt (a broken block), unavailable.
[[nodiscard]] Result<Bytes> unpack_runs(ByteView image, const ImageMap& map, const std::vector<ImageRun>& runs);

}  // namespace instar::delta

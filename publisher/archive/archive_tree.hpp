// An archive of a root file system, or a container image, as a tree that can be packed. docs/images-in.md
#pragma once

#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "files/tree_notes.hpp"
#include "publisher/archive/image_choice.hpp"
#include "publisher/archive/layer.hpp"
#include "publisher/archive/origin.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct ArchiveOptions {
  ImageWish image;
  bool devices_allowed = false;
  bool keep_times = false;
  files::TreeNotes* notes = nullptr;  // gets what no tree carries
  ArchiveRoom room = {};              // less than the bounds, for tests
  Work work;
};

struct ArchiveTree {
  // The contents of the files below their paths, in `SCRATCH/tree`. Owners, modes, links and devices are in the entries
  // only: nothing on disk has them.
  std::string folder;
  std::vector<artifact::Entry> entries;
  Origin origin;
};

// `path`: an archive (tar or cpio, compressed or not) of a root file system or of a container image, or a folder with
// an image (is_image_folder()). `scratch`: an empty folder of this process, which must outlive what is returned; it
// takes the files of the image and of the tree. Errors name the archive and the entry: those of choose_image(),
// apply_layer() and take_image_config(); corrupt (a digest or size is another), invalid_argument (`options.image` is
// for an image, and this is none), too_large, io, no_space, unavailable (stopped).
[[nodiscard]] Result<ArchiveTree> read_archive(const std::string& path, const std::string& scratch,
                                               const ArchiveOptions& options);

}  // namespace instar::publisher

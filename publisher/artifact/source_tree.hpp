// What an artifact is made of: a directory tree, an image file, or an archive or container image. All become entries
// and a folder with the contents of the files under their paths.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "core/wire/image_format.hpp"
#include "files/tree_notes.hpp"
#include "publisher/archive/image_choice.hpp"
#include "publisher/archive/origin.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct SourceOptions {
  artifact::IndexRules rules;
  bool keep_times = false;
  files::TreeNotes* notes = nullptr;  // gets what the entries do not carry
  ImageWish image;                    // which of several container images
  std::string reading = "reading";    // what the progress is called
  Work work;
};

struct SourceTree {
  std::string folder;                                  // with the contents; not always the path that was given
  std::vector<artifact::Entry> entries;                // in index order
  wire::ImageFormat format = wire::ImageFormat::none;  // none: a tree
  std::optional<Origin> origin;                        // of an archive or container image
  std::optional<ScratchFolder> scratch;                // holds `folder`, where that is temporary
};

// `scratch_parent`: as for ScratchFolder; best on the file system of `path`. Errors: those of files::read_tree,
// open_image and read_archive.
[[nodiscard]] Result<SourceTree> open_source(const std::string& path, const std::string& scratch_parent,
                                             const SourceOptions& options);

}  // namespace instar::publisher

// A directory tree whose contents can be read: as it lies there, out of an artifact folder, or an image file in the
// place of one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "files/staging_tree.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct ReadableTree {
  std::string name;  // as it was given, for people
  ArtifactId id;
  std::vector<artifact::Entry> entries;
  // Its files' contents can be read here; another artifact's links and owners are not there.
  files::StagingTree tree;
  // Where it was unpacked, if it was given as an artifact folder; where it is a tree, if it was given as an image file.
  std::optional<ScratchFolder> scratch;
};

[[nodiscard]] bool is_artifact_folder(const std::string& path);
// What `path` holds: a directory tree as it is, an image file, or the artifact of a folder of `instar pack`, which is
// unpacked into a temporary folder in `scratch_parent` (empty: $TMPDIR). Errors: those of files::read_tree, open_image
// and open_artifact, corrupt, no_space.
[[nodiscard]] Result<ReadableTree> open_tree(const std::string& path, const std::string& scratch_parent,
                                             const Work& work);

// The whole content of one of its files, which is checked. Any thread.
// Errors: io, corrupt (it is not what the index says).
[[nodiscard]] Result<Bytes> read_content(const files::StagingTree& tree, const artifact::Entry& file);

}  // namespace instar::publisher

// A directory tree whose contents can be read: what can be packed, or an artifact folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "files/staging_tree.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/artifact/source_tree.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct ReadableTree {
  std::string name;  // as the operator gave it, for messages
  ArtifactId id;
  std::vector<artifact::Entry> entries;
  // The contents of its files can be read here. Of an artifact folder, links and owners are not restored.
  files::StagingTree tree;
  // The temporary folder: an artifact folder is unpacked in it, and an image file becomes a tree in it.
  std::optional<ScratchFolder> scratch;
};

[[nodiscard]] bool is_artifact_folder(const std::string& path);
// The tree of what was opened to be packed.
[[nodiscard]] Result<ReadableTree> to_readable(SourceTree source, const std::string& name);
// Opens a directory tree, an image file, an archive or container image, or an artifact folder of `instar pack`, which
// is unpacked into a temporary folder in `scratch_parent` (empty: $TMPDIR). Errors: those of open_source and
// open_artifact, corrupt, no_space. `keep_times`: the times of a directory tree are part of it, as with `instar pack
// --times keep`. `image`: which of several container images.
[[nodiscard]] Result<ReadableTree> open_tree(const std::string& path, const std::string& scratch_parent,
                                             const Work& work, bool keep_times = false, const ImageWish& image = {});

// The whole content of one of its files, verified. Any thread may call it.
// Errors: io, corrupt (it is not what the index says).
[[nodiscard]] Result<Bytes> read_content(const files::StagingTree& tree, const artifact::Entry& file);

}  // namespace instar::publisher

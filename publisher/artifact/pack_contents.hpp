// Reads a `full` or `dedupe` pack: the index, and the tree that it describes.
#pragma once

#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "publisher/artifact/pack_file.hpp"
#include "publisher/artifact/tree_builder.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

// Who packs a tree, and the device, decide whether it may have device nodes. Here all of them are read.
inline constexpr artifact::IndexRules kReadAll{.devices_allowed = true};

// The artifact id of a tree. Errors: those of IndexChecker.
[[nodiscard]] Result<ArtifactId> index_id(const std::vector<artifact::Entry>& entries);

// The head's chunks, verified and joined. At most kHeadChunksMax * kChunkDecodedBytesMax = 64 MiB. Errors: io, corrupt.
[[nodiscard]] Result<Bytes> read_head(const PackFile& pack);
// The index in the head of a `full` or `dedupe` pack. Compares the body table and the artifact id with the directory.
// Errors: corrupt, malformed, io.
[[nodiscard]] Result<std::vector<artifact::Entry>> read_index_in(const PackFile& pack);
// Writes the whole tree of such a pack, except for what TreeBuilder::finish() does. Every file's content is checked
// against the index. Returns the entries. Errors: those above, and of the builder.
[[nodiscard]] Result<std::vector<artifact::Entry>> rebuild_whole(const PackFile& pack, TreeBuilder& builder,
                                                                 const Work& work);

}  // namespace instar::publisher

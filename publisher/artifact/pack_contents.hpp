// What is inside a `full` or `dedupe` pack: the index, and the tree that it describes.
#pragma once

#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "publisher/artifact/pack_file.hpp"
#include "publisher/artifact/tree_builder.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

// Whether a tree may have device nodes is for who packs it and for the device to say; here it is only read.
inline constexpr artifact::IndexRules kReadAll{.devices_allowed = true};

// The artifact id of a tree. Errors: those of IndexChecker.
[[nodiscard]] Result<ArtifactId> index_id(const std::vector<artifact::Entry>& entries);

// The head's chunks, checked and joined. At most kHeadChunksMax * kChunkDecodedBytesMax = 64 MiB. Errors: io, corrupt.
[[nodiscard]] Result<Bytes> read_head(const PackFile& pack);
// The index in the head of a `full` or `dedupe` pack; body table and artifact id have been compared with the directory.
// Errors: corrupt, malformed, io.
[[nodiscard]] Result<std::vector<artifact::Entry>> read_index_in(const PackFile& pack);
// Writes the whole tree of such a pack, all but what TreeBuilder::finish() does. Every content is checked against the
// index. Returns the entries. Errors: those above, and of the builder.
[[nodiscard]] Result<std::vector<artifact::Entry>> rebuild_whole(const PackFile& pack, TreeBuilder& builder,
                                                                 const Work& work);

}  // namespace instar::publisher

// What is inside a delta pack, and the tree that it makes of its base.
#pragma once

#include <vector>

#include "core/delta/delta_head.hpp"
#include "publisher/artifact/pack_contents.hpp"
#include "publisher/artifact/readable_tree.hpp"

namespace instar::publisher {

struct DeltaContents {
  Bytes head;
  delta::DeltaHead parts;
};
// The head of a delta pack, compared with the directory. Errors: malformed, corrupt, too_large, unsupported, io.
[[nodiscard]] Result<DeltaContents> read_delta(const PackFile& pack);

// Writes the whole tree, all but TreeBuilder::set_metadata(), and returns its entries: they hash to the artifact.
// `builder` may be null: then all is decoded and hashed only, and what is copied from the base as it stands is not
// read. Errors: invalid_argument (another base), corrupt, malformed, io, those of the builder; unavailable (stopped).
[[nodiscard]] Result<std::vector<artifact::Entry>> rebuild_delta(const PackFile& pack, const ReadableTree& base,
                                                                 TreeBuilder* builder, const Work& work);

}  // namespace instar::publisher

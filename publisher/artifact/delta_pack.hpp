// Reads a delta pack, and makes a tree from it and its base.
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

// The format of any pack, as a manifest names it. A delta whose head cannot be read any more has the first one: devices
// that find another in the head refuse the pack.
[[nodiscard]] std::uint8_t format_of(const PackFile& pack);

// Writes the whole tree, except for TreeBuilder::set_metadata(), and returns its entries, whose hash is the artifact's
// id. With a null `builder` all is only decoded and hashed, and files that are copied from the base unchanged are not
// read. Errors: invalid_argument (another base), corrupt, malformed, io, those of the builder; unavailable (stopped).
[[nodiscard]] Result<std::vector<artifact::Entry>> rebuild_delta(const PackFile& pack, const ReadableTree& base,
                                                                 TreeBuilder* builder, const Work& work);

}  // namespace instar::publisher

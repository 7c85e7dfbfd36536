// Finds the recipe by which a device makes a gzip file again from its content.
#pragma once

#include <optional>

#include "core/base/bytes.hpp"
#include "core/delta/gzip_recipe.hpp"

namespace instar::delta {

struct GzipFound {
  GzipRecipe recipe;
  Bytes content;
};

// nullopt when `file` is not a valid gzip file of one member, when its content is larger than kGzipFindBytesMax, or
// when no recipe makes exactly the same bytes. A returned recipe was tested with the GzipWriter that devices run. A
// wrong try ends at the first byte that differs, mostly in the first block. Memory: the content and 450 KB. Pure; may
// run on many threads, with one file each.
[[nodiscard]] std::optional<GzipFound> find_gzip_recipe(ByteView file);

}  // namespace instar::delta

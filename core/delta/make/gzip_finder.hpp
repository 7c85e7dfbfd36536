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

// Nothing when `file` is no sound gzip file of one member, when its content is larger than kGzipFindBytesMax, or when
// no recipe makes the very same bytes. What is returned was proven with the GzipWriter that devices run. Tries that
// fail end at the first byte that differs, mostly in the first block. Memory: the content and 450 KB. Pure; may run on
// many threads, a file each.
[[nodiscard]] std::optional<GzipFound> find_gzip_recipe(ByteView file);

}  // namespace instar::delta

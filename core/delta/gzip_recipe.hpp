// What is needed, besides the content, to make a gzip file again bit for bit. docs/formats/gzip-recipe.md
#pragma once

#include <cstdint>
#include <vector>

#include "core/artifact/varint.hpp"
#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::delta {

// Frozen numbers, the same as zlib's.
enum class GzipStrategy : std::uint8_t { normal = 0, filtered = 1, huffman_only = 2, run_length = 3, fixed_codes = 4 };

struct GzipRecipe {
  // Everything before the deflate stream, as it stands in the file: magic, flags, time, system, name.
  Bytes header;
  // zlib's parameters.
  std::uint8_t level = 9;         // 1 … 9
  std::uint8_t memory_level = 8;  // 1 … 9
  std::uint8_t window_bits = 15;  // 9 … 15
  GzipStrategy strategy = GzipStrategy::normal;
  // Where a deflate block is ended although zlib would go on: bytes of content from the cut before (or the start) to
  // each cut. GNU gzip ends blocks earlier than zlib where the content changes its kind.
  std::vector<std::uint32_t> cuts;
  friend bool operator==(const GzipRecipe&, const GzipRecipe&) = default;
};

// The ten bytes that most files start with: no name, no time, made on Unix, and the mark that goes with `level`.
[[nodiscard]] Bytes usual_gzip_header(std::uint8_t level);

// Two bytes for most recipes. The recipe must be within the bounds above and those of limits.hpp.
void append_gzip_recipe(Bytes& out, const GzipRecipe& recipe);

// Reads one recipe and stops behind it. Breaks the cursor off with malformed or too_large; one recipe has one encoding.
// The result has no meaning when the cursor is starved or broken. Memory: at most kGzipHeaderBytesMax + 4 *
// kGzipCutsMax bytes.
[[nodiscard]] GzipRecipe read_gzip_recipe(artifact::ByteCursor& cursor);

// A recipe that is all of `bytes`. Errors: malformed, too_large.
[[nodiscard]] Result<GzipRecipe> decode_gzip_recipe(ByteView bytes);

}  // namespace instar::delta

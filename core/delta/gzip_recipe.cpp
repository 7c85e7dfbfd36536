#include "core/delta/gzip_recipe.hpp"

#include <algorithm>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::delta {
namespace {

constexpr std::uint8_t kGzipMagic[3] = {0x1f, 0x8b, 8};  // the last one: deflate
constexpr std::uint8_t kUnix = 3;
constexpr unsigned kWindowBitsLeast = 9;
constexpr std::uint8_t kHasHeader = 0x40;
constexpr std::uint8_t kHasCuts = 0x80;

bool is_sound(const GzipRecipe& recipe) {
  return recipe.level >= 1 && recipe.level <= 9 && recipe.memory_level >= 1 && recipe.memory_level <= 9 &&
         recipe.window_bits >= kWindowBitsLeast && recipe.window_bits <= 15 &&
         recipe.strategy <= GzipStrategy::fixed_codes && recipe.header.size() >= sizeof kGzipMagic &&
         recipe.header.size() <= limits::kGzipHeaderBytesMax &&
         std::equal(std::begin(kGzipMagic), std::end(kGzipMagic), recipe.header.begin()) &&
         recipe.cuts.size() <= limits::kGzipCutsMax;
}

void read_header(artifact::ByteCursor& cursor, GzipRecipe& recipe) {
  const ByteView rest = cursor.text(limits::kGzipHeaderBytesMax - sizeof kGzipMagic, "the size of a gzip header");
  recipe.header.assign(std::begin(kGzipMagic), std::end(kGzipMagic));
  recipe.header.insert(recipe.header.end(), rest.begin(), rest.end());
  if (!cursor.starved() && recipe.header == usual_gzip_header(recipe.level)) {
    cursor.break_off(Code::malformed, "a gzip recipe spells out the usual header");
  }
}

void read_cuts(artifact::ByteCursor& cursor, GzipRecipe& recipe) {
  const std::uint64_t count = cursor.varint(limits::kGzipCutsMax, "the number of cuts in a gzip recipe");
  if (count == 0 && !cursor.starved()) cursor.break_off(Code::malformed, "a gzip recipe announces cuts and has none");
  for (std::uint64_t i = 0; i < count && !cursor.starved() && !cursor.broken(); ++i) {
    const std::uint64_t distance =
        cursor.varint(limits::kContentBytesMax - 1, "the distance of a cut in a gzip recipe");
    if (distance == 0 && !cursor.starved()) cursor.break_off(Code::malformed, "a gzip recipe cuts twice at one place");
    recipe.cuts.push_back(static_cast<std::uint32_t>(distance));
  }
}

}  // namespace

Bytes usual_gzip_header(std::uint8_t level) {
  const std::uint8_t mark = level == 9 ? 2 : level == 1 ? 4 : 0;
  return {kGzipMagic[0], kGzipMagic[1], kGzipMagic[2], 0, 0, 0, 0, 0, mark, kUnix};
}

void append_gzip_recipe(Bytes& out, const GzipRecipe& recipe) {
  INSTAR_ASSERT(is_sound(recipe));
  const bool has_header = recipe.header != usual_gzip_header(recipe.level);
  const bool has_cuts = !recipe.cuts.empty();
  out.push_back(static_cast<std::uint8_t>(recipe.level | recipe.memory_level << 4));
  out.push_back(static_cast<std::uint8_t>((recipe.window_bits - kWindowBitsLeast) |
                                          static_cast<unsigned>(recipe.strategy) << 3 | (has_header ? kHasHeader : 0U) |
                                          (has_cuts ? kHasCuts : 0U)));
  if (has_header) artifact::append_text(out, as_text(ByteView(recipe.header).subspan(sizeof kGzipMagic)));
  if (has_cuts) {
    artifact::append_varint(out, recipe.cuts.size());
    for (const std::uint32_t distance : recipe.cuts) {
      INSTAR_ASSERT(distance != 0);
      artifact::append_varint(out, distance);
    }
  }
}

GzipRecipe read_gzip_recipe(artifact::ByteCursor& cursor) {
  GzipRecipe recipe;
  const std::uint8_t levels = cursor.byte();
  const std::uint8_t shape = cursor.byte();
  if (cursor.starved() || cursor.broken()) return recipe;
  recipe.level = levels & 0x0fU;
  recipe.memory_level = static_cast<std::uint8_t>(levels >> 4);
  recipe.window_bits = static_cast<std::uint8_t>((shape & 0x07U) + kWindowBitsLeast);
  recipe.strategy = static_cast<GzipStrategy>((shape >> 3) & 0x07U);
  recipe.header = usual_gzip_header(recipe.level);
  if (!is_sound(recipe)) {
    cursor.break_off(Code::malformed, "a gzip recipe has level " + std::to_string(recipe.level) + ", memory level " +
                                          std::to_string(recipe.memory_level) + ", window bits " +
                                          std::to_string(recipe.window_bits) + ", strategy " +
                                          std::to_string(static_cast<unsigned>(recipe.strategy)));
    return recipe;
  }
  if ((shape & kHasHeader) != 0) read_header(cursor, recipe);
  if ((shape & kHasCuts) != 0) read_cuts(cursor, recipe);
  return recipe;
}

Result<GzipRecipe> decode_gzip_recipe(ByteView bytes) {
  artifact::ByteCursor cursor(bytes);
  GzipRecipe recipe = read_gzip_recipe(cursor);
  if (cursor.broken()) return fail(cursor.error());
  if (cursor.starved()) return fail(Code::malformed, "a gzip recipe ends too early");
  if (cursor.position() != bytes.size()) return fail(Code::malformed, "bytes follow a gzip recipe");
  return recipe;
}

}  // namespace instar::delta

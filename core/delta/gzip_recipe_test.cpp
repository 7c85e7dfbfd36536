#include "core/delta/gzip_recipe.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "core/base/limits.hpp"
#include "core/delta/gzip_stream.hpp"

namespace instar::delta {
namespace {

Bytes read_fixture(const std::string& name) {
  std::ifstream in(std::string(INSTAR_SOURCE_DIR) + "/tests/fixtures/" + name);
  std::string hex;
  for (std::string digits; in >> digits;) hex += digits;
  Bytes bytes;
  EXPECT_TRUE(from_hex(hex, bytes));
  return bytes;
}

Bytes encoded(const GzipRecipe& recipe) {
  Bytes bytes;
  append_gzip_recipe(bytes, recipe);
  return bytes;
}

Code verdict(ByteView bytes) {
  const auto recipe = decode_gzip_recipe(bytes);
  return recipe ? Code::ok : recipe.error().code;
}

Result<Bytes> make_file(const GzipRecipe& recipe, ByteView content) {
  Bytes file;
  GzipWriter writer(recipe, [&](ByteView made) -> Status {
    file.insert(file.end(), made.begin(), made.end());
    return {};
  });
  INSTAR_CHECK(writer.write(content));
  INSTAR_CHECK(writer.finish());
  return file;
}

GzipRecipe usual(std::uint8_t level) {
  GzipRecipe recipe;
  recipe.level = level;
  recipe.header = usual_gzip_header(level);
  return recipe;
}

// The recipe of docs/formats/gzip-recipe.md.
GzipRecipe example() {
  GzipRecipe recipe;
  recipe.header = {0x1f, 0x8b, 8, 8, 0x80, 0x43, 0x6d, 0x38, 0, 3, 'n', 'e', 'w', 's', 0};
  recipe.level = 6;
  recipe.memory_level = 9;
  recipe.cuts = {12, 300 - 12};
  return recipe;
}

Bytes example_content() {
  std::string text;
  for (int i = 0; text.size() < 400; ++i) text += "moult " + std::to_string(i * i) + "\n";
  return to_bytes(text);
}

TEST(GzipRecipe, MatchesTheDocumentedExample) {
  EXPECT_EQ(to_hex(encoded(example())), to_hex(read_fixture("gzip-recipe.hex")));
  const auto recipe = decode_gzip_recipe(read_fixture("gzip-recipe.hex"));
  ASSERT_TRUE(recipe) << recipe.error().message;
  EXPECT_EQ(*recipe, example());
}

// This must hold for every zlib that devices may have. One that compresses in another way fails here.
TEST(GzipRecipe, MakesTheDocumentedFile) {
  const auto file = make_file(example(), example_content());
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(to_hex(*file), to_hex(read_fixture("gzip-recipe-file.hex")));
}

TEST(GzipRecipe, TakesTwoBytesForMostFiles) {
  for (std::uint8_t level = 1; level <= 9; ++level) {
    const Bytes bytes = encoded(usual(level));
    EXPECT_EQ(bytes.size(), 2U);
    EXPECT_EQ(decode_gzip_recipe(bytes).value(), usual(level));
  }
}

TEST(GzipRecipe, SurvivesTheRoundTripWithEveryField) {
  for (std::uint8_t level = 1; level <= 9; ++level) {
    for (std::uint8_t window_bits = 9; window_bits <= 15; ++window_bits) {
      for (const GzipStrategy strategy : {GzipStrategy::normal, GzipStrategy::filtered, GzipStrategy::huffman_only,
                                          GzipStrategy::run_length, GzipStrategy::fixed_codes}) {
        GzipRecipe recipe = usual(level);
        recipe.memory_level = static_cast<std::uint8_t>(10 - level);
        recipe.window_bits = window_bits;
        recipe.strategy = strategy;
        if (window_bits % 2 == 0) recipe.header.insert(recipe.header.end(), 100U * level - 90, 7);
        if (level % 2 == 0) recipe.cuts.assign(level * 100U, window_bits * 1000U);
        if (recipe.header.size() > limits::kGzipHeaderBytesMax) recipe.header.resize(limits::kGzipHeaderBytesMax);
        const auto decoded = decode_gzip_recipe(encoded(recipe));
        ASSERT_TRUE(decoded) << decoded.error().message;
        EXPECT_EQ(*decoded, recipe);
      }
    }
  }
}

TEST(GzipRecipe, LeavesWhatFollowsToTheNextReader) {
  Bytes bytes = encoded(example());
  const std::size_t size = bytes.size();
  bytes.push_back(42);
  artifact::ByteCursor cursor(bytes);
  EXPECT_EQ(read_gzip_recipe(cursor), example());
  EXPECT_EQ(cursor.position(), size);
  EXPECT_EQ(verdict(bytes), Code::malformed);
}

TEST(GzipRecipe, RefusesEveryTruncation) {
  const Bytes bytes = encoded(example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(verdict(ByteView(bytes).first(size)), Code::malformed) << size;
    artifact::ByteCursor cursor(ByteView(bytes).first(size));
    (void)read_gzip_recipe(cursor);
    EXPECT_TRUE(cursor.starved()) << size;  // a streaming reader waits for more
  }
}

TEST(GzipRecipe, RefusesASecondEncodingOfTheSame) {
  const Bytes usual_header = usual_gzip_header(9);
  Bytes spelled_out{0x89, 0x46, 7};
  spelled_out.insert(spelled_out.end(), usual_header.begin() + 3, usual_header.end());
  EXPECT_EQ(verdict(spelled_out), Code::malformed);
  spelled_out.back() = 7;  // another system: not the usual one
  EXPECT_EQ(verdict(spelled_out), Code::ok);
  EXPECT_EQ(verdict(Bytes{0x89, 0x86, 0}), Code::malformed);           // cuts, but none
  EXPECT_EQ(verdict(Bytes{0x89, 0x86, 2, 5, 0}), Code::malformed);     // twice at one place
  EXPECT_EQ(verdict(Bytes{0x89, 0x86, 1, 0x85, 0}), Code::malformed);  // a long varint
}

TEST(GzipRecipe, RefusesParametersThatZlibDoesNotHave) {
  EXPECT_EQ(verdict(Bytes{0x89, 0x06}), Code::ok);
  EXPECT_EQ(verdict(Bytes{0x80, 0x06}), Code::malformed);  // level 0
  EXPECT_EQ(verdict(Bytes{0x8a, 0x06}), Code::malformed);  // level 10
  EXPECT_EQ(verdict(Bytes{0x09, 0x06}), Code::malformed);  // memory level 0
  EXPECT_EQ(verdict(Bytes{0xa9, 0x06}), Code::malformed);  // memory level 10
  EXPECT_EQ(verdict(Bytes{0x89, 0x07}), Code::malformed);  // window bits 16
  EXPECT_EQ(verdict(Bytes{0x89, 0x2e}), Code::malformed);  // strategy 5
}

TEST(GzipRecipe, RefusesMoreThanItsBounds) {
  Bytes cuts{0x89, 0x86};
  artifact::append_varint(cuts, limits::kGzipCutsMax + 1);
  cuts.insert(cuts.end(), limits::kGzipCutsMax + 1, 1);
  EXPECT_EQ(verdict(cuts), Code::too_large);
  Bytes header{0x89, 0x46};
  artifact::append_varint(header, limits::kGzipHeaderBytesMax - 2);
  header.insert(header.end(), limits::kGzipHeaderBytesMax - 2, 1);
  EXPECT_EQ(verdict(header), Code::too_large);
  Bytes far{0x89, 0x86, 1};
  artifact::append_varint(far, limits::kContentBytesMax);
  EXPECT_EQ(verdict(far), Code::too_large);
}

// A damaged recipe is refused, or makes another file or none. It never makes the same file, so the hash shows it.
TEST(GzipRecipe, FlippedByteIsRefusedOrMakesAnotherFile) {
  const Bytes good = encoded(example());
  const Bytes content = example_content();
  const Bytes file = make_file(example(), content).value();
  int refused = 0;
  int other = 0;
  for (std::size_t at = 2; at < good.size(); ++at) {
    for (const int flip : {0x01, 0x10, 0x80, 0xff}) {
      Bytes broken = good;
      broken[at] ^= static_cast<std::uint8_t>(flip);
      const auto recipe = decode_gzip_recipe(broken);
      const auto made = recipe ? make_file(*recipe, content) : Result<Bytes>(fail(recipe.error()));
      if (!made) {
        EXPECT_TRUE(made.error().code == Code::malformed || made.error().code == Code::too_large)
            << made.error().message;
        ++refused;
      } else {
        EXPECT_NE(*made, file) << at << " " << flip;
        ++other;
      }
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(other, 0);
}

// Other values for the two bytes of parameters may make the same file of so short a content. None is harmful.
TEST(GzipRecipe, AnyParametersAreRefusedOrMakeAFile) {
  const Bytes content = example_content();
  Bytes bytes = encoded(example());
  int made = 0;
  for (unsigned levels = 0; levels < 256; ++levels) {
    for (unsigned shape = 0; shape < 256; ++shape) {
      bytes[0] = static_cast<std::uint8_t>(levels);
      bytes[1] = static_cast<std::uint8_t>(shape);
      const auto recipe = decode_gzip_recipe(bytes);
      if (!recipe) continue;
      const auto file = make_file(*recipe, content);
      if (!file) continue;
      ++made;
      EXPECT_LT(file->size(), 2 * content.size());
    }
  }
  EXPECT_EQ(made, 9 * 9 * 7 * 5);
}

}  // namespace
}  // namespace instar::delta

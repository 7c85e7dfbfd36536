#include "core/delta/make/gzip_finder.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "core/base/limits.hpp"
#include "core/delta/gzip_stream.hpp"
#include "core/delta/make/gzip_unpack.hpp"

namespace instar::delta {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t roll(std::uint64_t sides) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return (state_ >> 33) % sides;
  }

 private:
  std::uint64_t state_;
};

Bytes text(std::size_t size, std::uint64_t seed = 1) {
  static const char* const kWords[] = {"the ", "fix ", "update ", "of ",      "memory ", "leak ",
                                       "in ",  "bug#", "new ",    "Closes: ", "  * ",    "\n"};
  Dice dice(seed);
  std::string made;
  while (made.size() < size) {
    made += kWords[dice.roll(12)];
    if (dice.roll(8) == 0) made += std::to_string(dice.roll(1'000'000));
  }
  made.resize(size);
  return to_bytes(made);
}

// A few long matches between many literals: where GNU gzip ends blocks early.
Bytes tables(std::size_t size) {
  Dice dice(3);
  std::string made;
  while (made.size() < size) {
    made += std::string("column of a table that repeats itself, over and over, line after line: ").substr(dice.roll(8));
    for (int i = 0; i < 4; ++i) made.push_back(static_cast<char>('!' + dice.roll(90)));
  }
  made.resize(size);
  return to_bytes(made);
}

Bytes zlib_file(ByteView content, int level, int memory_level = 8, int strategy = Z_DEFAULT_STRATEGY,
                int window_bits = 15) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, window_bits + 16, memory_level, strategy), Z_OK);
  Bytes file(content.size() + content.size() / 8 + 1000);
  stream.next_in = const_cast<Bytef*>(content.data());
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = file.data();
  stream.avail_out = static_cast<uInt>(file.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  file.resize(stream.total_out);
  deflateEnd(&stream);
  return file;
}

// What the gzip program makes of it.
Bytes gzip_file(ByteView content, const std::string& options) {
  const std::string plain = ::testing::TempDir() + "gzip_finder_test.plain";
  std::ofstream(plain, std::ios::binary).write(as_text(content).data(), static_cast<std::streamsize>(content.size()));
  EXPECT_EQ(std::system(("gzip " + options + " -c '" + plain + "' >'" + plain + ".gz'").c_str()), 0);
  std::ifstream in(plain + ".gz", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The file, made by a device out of the recipe as it was sent.
Bytes made_again(const GzipFound& found) {
  Bytes sent;
  append_gzip_recipe(sent, found.recipe);
  Bytes file;
  GzipWriter writer(decode_gzip_recipe(sent).value(), [&](ByteView made) -> Status {
    file.insert(file.end(), made.begin(), made.end());
    return {};
  });
  EXPECT_TRUE(writer.write(found.content));
  EXPECT_TRUE(writer.finish());
  return file;
}

TEST(GzipFinder, FindsEveryLevelAndMemoryLevelOfZlib) {
  const Bytes content = text(12'000);
  for (int level = 1; level <= 9; ++level) {
    for (int memory_level = 1; memory_level <= 9; ++memory_level) {
      const Bytes file = zlib_file(content, level, memory_level);
      const auto found = find_gzip_recipe(file);
      ASSERT_TRUE(found) << level << " " << memory_level;
      EXPECT_EQ(found->content, content);
      EXPECT_EQ(made_again(*found), file) << level << " " << memory_level;
    }
  }
}

TEST(GzipFinder, FindsStrategiesAndWindows) {
  const Bytes content = text(40'000);
  for (const int strategy : {Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED}) {
    const Bytes file = zlib_file(content, 9, 8, strategy);
    const auto found = find_gzip_recipe(file);
    ASSERT_TRUE(found) << strategy;
    EXPECT_EQ(made_again(*found), file);
  }
  for (int window_bits = 9; window_bits <= 14; ++window_bits) {
    const Bytes file = zlib_file(content, 6, 8, Z_DEFAULT_STRATEGY, window_bits);
    const auto found = find_gzip_recipe(file);
    ASSERT_TRUE(found) << window_bits;
    EXPECT_EQ(found->recipe.window_bits, window_bits);
    EXPECT_EQ(made_again(*found), file);
  }
}

TEST(GzipFinder, FindsWhatTheGzipProgramMakes) {
  for (const char* const options : {"-1", "-6n", "-9n"}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{3'000}, std::size_t{60'000}}) {
      const Bytes content = text(size);
      const Bytes file = gzip_file(content, options);
      const auto found = find_gzip_recipe(file);
      ASSERT_TRUE(found) << options << " " << size;
      EXPECT_EQ(found->content, content);
      EXPECT_EQ(made_again(*found), file) << options << " " << size;
    }
  }
}

TEST(GzipFinder, FindsALargeFileOfTheGzipProgram) {
  const Bytes content = text(2'000'000);
  const Bytes file = gzip_file(content, "-9n");
  const auto found = find_gzip_recipe(file);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->content, content);
  EXPECT_EQ(made_again(*found), file);
}

TEST(GzipFinder, CutsWhereTheGzipProgramEndsItsBlocksEarly) {
  const Bytes content = tables(700'000);
  const Bytes file = gzip_file(content, "-9n");
  const auto found = find_gzip_recipe(file);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->recipe.cuts.empty());
  EXPECT_EQ(found->content, content);
  EXPECT_EQ(made_again(*found), file);
  GzipRecipe without = found->recipe;
  without.cuts.clear();
  EXPECT_NE(made_again({without, content}), file);
}

TEST(GzipFinder, ChoosesTheMemoryLevelThatCostsADeviceLess) {
  EXPECT_EQ(find_gzip_recipe(gzip_file(text(20'000), "-9n"))->recipe.memory_level, 8);
}

TEST(GzipFinder, KeepsNameAndTimeOfTheHeader) {
  const Bytes file = gzip_file(text(1'000), "-9 -N");
  const auto found = find_gzip_recipe(file);
  ASSERT_TRUE(found);
  EXPECT_GT(found->recipe.header.size(), 20U);
  EXPECT_EQ(made_again(*found), file);
}

TEST(GzipFinder, FindsNothingForHeadersOverTheBound) {
  Bytes file = zlib_file(text(1'000), 9);
  file[3] = 8;
  Bytes named = file;
  named.insert(named.begin() + 10, limits::kGzipHeaderBytesMax - 10, 'n');
  named[limits::kGzipHeaderBytesMax - 1] = 0;
  EXPECT_TRUE(find_gzip_recipe(named));
  named.insert(named.begin() + 10, 'n');
  EXPECT_FALSE(find_gzip_recipe(named));
}

TEST(GzipFinder, FindsNothingForAFileThatZlibWouldNotMake) {
  // Stored blocks where zlib would compress.
  EXPECT_FALSE(find_gzip_recipe(zlib_file(text(10'000), 0)));
}

TEST(GzipFinder, FindsNothingForSeveralMembersOrDamage) {
  const Bytes file = zlib_file(text(3'000), 9);
  Bytes twice = file;
  twice.insert(twice.end(), file.begin(), file.end());
  EXPECT_FALSE(find_gzip_recipe(twice));
  Bytes more = file;
  more.push_back(0);
  EXPECT_FALSE(find_gzip_recipe(more));
  for (std::size_t size = 0; size < file.size(); ++size)
    EXPECT_FALSE(find_gzip_recipe(ByteView(file).first(size))) << size;
  EXPECT_FALSE(find_gzip_recipe(text(3'000)));
  // A flipped byte of the header's time is kept, one of the stream is not accepted.
  for (std::size_t at = 10; at < file.size(); ++at) {
    Bytes broken = file;
    broken[at] ^= 0x20;
    EXPECT_FALSE(find_gzip_recipe(broken)) << at;
  }
}

TEST(GzipFinder, DoesNotTrustTheSizeInTheFile) {
  Bytes file = zlib_file(text(3'000), 9);
  for (std::size_t i = 1; i <= 4; ++i) file[file.size() - i] = 0xff;
  EXPECT_FALSE(unpack_gzip(file, SIZE_MAX));
  EXPECT_FALSE(unpack_gzip(zlib_file(text(3'000), 9), 2'999));
  EXPECT_TRUE(unpack_gzip(zlib_file(text(3'000), 9), 3'000));
}

TEST(GzipUnpack, NamesTheEndsOfBlocks) {
  const Bytes content = text(400'000);
  const Bytes file = zlib_file(content, 9);
  const auto parts = unpack_gzip(file, content.size());
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->header_bytes, 10U);
  EXPECT_EQ(parts->content, content);
  ASSERT_GE(parts->block_ends.size(), 2U);
  for (std::size_t i = 1; i < parts->block_ends.size(); ++i) {
    EXPECT_GT(parts->block_ends[i].content_bytes, parts->block_ends[i - 1].content_bytes);
    EXPECT_GT(parts->block_ends[i].file_bits, parts->block_ends[i - 1].file_bits);
  }
  EXPECT_LT(parts->block_ends.back().content_bytes, content.size());
  EXPECT_LT(parts->block_ends.back().file_bits, file.size() * 8);
}

}  // namespace
}  // namespace instar::delta

#include "core/delta/gzip_stream.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>

#include "core/base/limits.hpp"

namespace instar::delta {
namespace {

// Lines that repeat with changes, as logs and manuals do; `seed` makes others.
Bytes text(std::size_t size, std::uint64_t seed = 1) {
  static const char* const kWords[] = {"the ", "fix ", "update ", "of ",      "memory ", "leak ",
                                       "in ",  "bug#", "new ",    "Closes: ", "  * ",    "\n"};
  Bytes bytes;
  std::uint64_t state = seed;
  while (bytes.size() < size) {
    state = state * 6364136223846793005 + 1442695040888963407;
    const Bytes word =
        to_bytes(std::string(kWords[(state >> 33) % 12]) + ((state >> 60) == 0 ? std::to_string(state >> 40) : ""));
    bytes.insert(bytes.end(), word.begin(), word.end());
  }
  bytes.resize(size);
  return bytes;
}

// zlib in one call, as most programs use it: the reference for the writer.
Bytes zlib_file(ByteView content, const GzipRecipe& recipe) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, recipe.level, Z_DEFLATED, recipe.window_bits + 16, recipe.memory_level,
                         static_cast<int>(recipe.strategy)),
            Z_OK);
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

GzipRecipe recipe_of(unsigned level, unsigned memory_level = 8, GzipStrategy strategy = GzipStrategy::normal,
                     unsigned window_bits = 15) {
  GzipRecipe recipe;
  recipe.level = static_cast<std::uint8_t>(level);
  recipe.memory_level = static_cast<std::uint8_t>(memory_level);
  recipe.window_bits = static_cast<std::uint8_t>(window_bits);
  recipe.strategy = strategy;
  recipe.header = usual_gzip_header(recipe.level);
  return recipe;
}

Result<Bytes> written(const GzipRecipe& recipe, ByteView content, std::size_t piece_bytes = SIZE_MAX) {
  Bytes file;
  GzipWriter writer(recipe, [&](ByteView made) -> Status {
    file.insert(file.end(), made.begin(), made.end());
    return {};
  });
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t taken = std::min(piece_bytes, content.size() - at);
    INSTAR_CHECK(writer.write(content.subspan(at, taken)));
    at += taken;
  }
  INSTAR_CHECK(writer.finish());
  return file;
}

ReadBase reads(const Bytes& file) {
  return [&file](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    const std::size_t at = std::min<std::uint64_t>(offset, file.size());
    const std::size_t count = std::min(out.size(), file.size() - at);
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at), count, out.begin());
    return count;
  };
}

// The whole content, or the error.
Result<Bytes> content_of(const Bytes& file, std::size_t piece_bytes = 5000) {
  GzipReader reader(reads(file));
  Bytes content;
  Bytes piece(piece_bytes);
  for (;;) {
    INSTAR_TRY(const std::size_t got, reader.read_at(content.size(), piece));
    content.insert(content.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
    if (got < piece.size()) return content;
  }
}

Code read_verdict(const Bytes& file) {
  const auto content = content_of(file);
  return content ? Code::ok : content.error().code;
}

TEST(GzipWriter, MakesWhatZlibMakesAtEveryLevelAndMemoryLevel) {
  const Bytes content = text(150'000);
  for (unsigned level = 1; level <= 9; ++level) {
    for (unsigned memory_level = 1; memory_level <= 9; ++memory_level) {
      const GzipRecipe recipe = recipe_of(level, memory_level);
      const auto file = written(recipe, content, 4'321);
      ASSERT_TRUE(file) << file.error().message;
      EXPECT_EQ(*file, zlib_file(content, recipe)) << level << " " << memory_level;
      EXPECT_EQ(content_of(*file).value(), content);
    }
  }
}

TEST(GzipWriter, MakesWhatZlibMakesWithEveryStrategyAndWindow) {
  const Bytes content = text(80'000);
  for (const GzipStrategy strategy : {GzipStrategy::normal, GzipStrategy::filtered, GzipStrategy::huffman_only,
                                      GzipStrategy::run_length, GzipStrategy::fixed_codes}) {
    for (unsigned window_bits = 9; window_bits <= 15; ++window_bits) {
      GzipRecipe recipe = recipe_of(6, 8, strategy, window_bits);
      const Bytes wanted = zlib_file(content, recipe);
      recipe.header = to_bytes(ByteView(wanted).first(10));
      const auto file = written(recipe, content);
      ASSERT_TRUE(file) << file.error().message;
      EXPECT_EQ(*file, wanted) << window_bits;
      EXPECT_EQ(content_of(*file).value(), content);
    }
  }
}

// Sizes around zlib's window and the writer's own buffer, where it matters how much zlib has been given.
TEST(GzipWriter, OutputDoesNotDependOnPieces) {
  for (const std::size_t size :
       {0U, 1U, 8191U, 8192U, 8193U, 32'768U, 65'274U, 65'535U, 65'536U, 65'537U, 98'304U, 200'000U}) {
    const Bytes content = text(size, size);
    const Bytes wanted = zlib_file(content, recipe_of(9));
    for (const std::size_t piece_bytes :
         {std::size_t{1}, std::size_t{999}, std::size_t{8192}, std::size_t{65'535}, SIZE_MAX}) {
      EXPECT_EQ(written(recipe_of(9), content, piece_bytes).value(), wanted) << size << " in " << piece_bytes;
    }
    GzipRecipe cut = recipe_of(9, 9);
    if (size > 8193)
      cut.cuts = {8192, 1, static_cast<std::uint32_t>(size - 8193)};  // the last one where the content ends
    const Bytes cut_file = written(cut, content).value();
    EXPECT_EQ(written(cut, content, 7).value(), cut_file);
    EXPECT_EQ(content_of(cut_file).value(), content);
  }
}

TEST(GzipWriter, PutsTheHeaderFirstAndCountsInTheTrailer) {
  GzipRecipe recipe = recipe_of(9);
  recipe.header = {0x1f, 0x8b, 8, 8, 1, 2, 3, 4, 2, 255, 'x', 0};
  const Bytes file = written(recipe, text(300)).value();
  EXPECT_EQ(to_bytes(ByteView(file).first(12)), recipe.header);
  EXPECT_EQ(to_hex(ByteView(file).last(4)), "2c010000");
  EXPECT_EQ(content_of(file).value(), text(300));
}

TEST(GzipWriter, MakesAnEmptyFile) {
  const Bytes file = written(recipe_of(9), {}).value();
  EXPECT_EQ(file, zlib_file({}, recipe_of(9)));
  EXPECT_EQ(content_of(file).value(), Bytes{});
}

TEST(GzipWriter, RefusesACutPastTheEnd) {
  GzipRecipe recipe = recipe_of(9);
  recipe.cuts = {301};
  EXPECT_EQ(written(recipe, text(300)).error().code, Code::malformed);
  EXPECT_TRUE(written(recipe, text(301)));
}

TEST(GzipWriter, ReturnsTheSinksErrors) {
  int calls = 0;
  GzipWriter writer(recipe_of(1), [&](ByteView) -> Status {
    if (++calls == 3) return fail(Code::no_space, "full");
    return {};
  });
  Status status;
  const Bytes content = text(100'000);
  for (int i = 0; i < 10 && status.has_value(); ++i) status = writer.write(content);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::no_space);
  EXPECT_EQ(calls, 3);
}

TEST(GzipReader, ReadsFiveMegabytesInAnyPieces) {
  const Bytes content = text(5'000'000);
  const Bytes file = written(recipe_of(9, 9), content, 100'000).value();
  for (const std::size_t piece_bytes : {std::size_t{777}, std::size_t{65'536}, std::size_t{6'000'000}}) {
    EXPECT_EQ(content_of(file, piece_bytes).value(), content);
  }
}

TEST(GzipReader, ReadsABaseThatComesByteByByte) {
  const Bytes content = text(20'000);
  const Bytes file = zlib_file(content, recipe_of(6));
  const ReadBase whole = reads(file);
  GzipReader reader([&](std::uint64_t offset, std::span<std::uint8_t> out) { return whole(offset, out.first(1)); });
  Bytes got(30'000);
  EXPECT_EQ(reader.read_at(0, got).value(), content.size());
  got.resize(content.size());
  EXPECT_EQ(got, content);
}

TEST(GzipReader, SkipsForward) {
  const Bytes content = text(300'000);
  const Bytes file = zlib_file(content, recipe_of(9));
  GzipReader reader(reads(file));
  Bytes got(1000);
  for (const std::size_t offset : {0U, 1'000U, 1'001U + 1'000U, 50'000U, 299'500U}) {
    const std::size_t wanted = std::min(got.size(), content.size() - offset);
    ASSERT_EQ(reader.read_at(offset, got).value(), wanted) << offset;
    EXPECT_TRUE(std::equal(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(wanted),
                           content.begin() + static_cast<std::ptrdiff_t>(offset)))
        << offset;
  }
  EXPECT_EQ(reader.read_at(300'000, got).value(), 0U);
  EXPECT_EQ(reader.read_at(900'000, got).value(), 0U);
}

TEST(GzipReader, RefusesToGoBack) {
  const Bytes file = zlib_file(text(10'000), recipe_of(9));
  GzipReader reader(reads(file));
  Bytes got(100);
  ASSERT_EQ(reader.read_at(500, got).value(), 100U);
  EXPECT_EQ(reader.read_at(599, got).error().code, Code::malformed);
  EXPECT_EQ(reader.read_at(0, got).error().code, Code::malformed);
  EXPECT_EQ(reader.read_at(600, got).value(), 100U);
}

TEST(GzipReader, RefusesOffsetsPastTheLargestContent) {
  const Bytes file = zlib_file(text(10), recipe_of(9));
  GzipReader reader(reads(file));
  Bytes got(100);
  EXPECT_EQ(reader.read_at(limits::kContentBytesMax, got).error().code, Code::too_large);
  EXPECT_EQ(reader.read_at(UINT64_MAX, got).error().code, Code::too_large);
}

TEST(GzipReader, RefusesEveryTruncation) {
  const Bytes file = zlib_file(text(2'000), recipe_of(9));
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_EQ(read_verdict({file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)}), Code::corrupt) << size;
  }
}

TEST(GzipReader, RefusesEveryFlippedByteBehindTheHeader) {
  const Bytes content = text(2'000);
  const Bytes file = zlib_file(content, recipe_of(9));
  int harmless = 0;
  for (std::size_t at = 0; at < file.size(); ++at) {
    if (at >= 4 && at < 10) continue;  // time, mark and system are not looked at
    for (const int flip : {0x01, 0x40}) {
      Bytes broken = file;
      broken[at] ^= static_cast<std::uint8_t>(flip);
      const auto got = content_of(broken);
      // Some bits say nothing, and some content has two ways to be compressed: then it is whole.
      if (got) {
        EXPECT_EQ(*got, content) << at;
        ++harmless;
      } else {
        EXPECT_EQ(got.error().code, Code::corrupt) << at;
      }
    }
  }
  EXPECT_LT(harmless, 10);
}

TEST(GzipReader, RefusesWhatFollows) {
  const Bytes file = zlib_file(text(2'000), recipe_of(9));
  Bytes more = file;
  more.push_back(0);
  EXPECT_EQ(read_verdict(more), Code::corrupt);
  Bytes twice = file;
  twice.insert(twice.end(), file.begin(), file.end());
  EXPECT_EQ(read_verdict(twice), Code::corrupt);
  // Where the end of the stream is the end of a read of the base.
  Bytes aligned = written(recipe_of(9), text(2'000)).value();
  const std::size_t name_bytes = 8 * 1024 - aligned.size();
  aligned[3] = 8;
  aligned.insert(aligned.begin() + 10, name_bytes, 'n');
  aligned[10 + name_bytes - 1] = 0;
  ASSERT_EQ(aligned.size(), 8 * 1024U);
  EXPECT_EQ(read_verdict(aligned), Code::ok);
  aligned.push_back(0);
  EXPECT_EQ(read_verdict(aligned), Code::corrupt);
}

TEST(GzipReader, RefusesWhatIsNoGzipFile) {
  EXPECT_EQ(read_verdict({}), Code::corrupt);
  EXPECT_EQ(read_verdict(text(10'000)), Code::corrupt);
  EXPECT_EQ(read_verdict(Bytes(100'000, 0x1f)), Code::corrupt);
}

TEST(GzipReader, ReturnsTheBasesErrorsAndGoesOnAfterThem) {
  const Bytes content = text(50'000);
  const Bytes file = zlib_file(content, recipe_of(1));
  const ReadBase whole = reads(file);
  ASSERT_GT(file.size(), 8'192U);
  bool broken = true;
  GzipReader reader([&](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    if (offset >= 8'192 && broken) return fail(Code::io, "unreadable");
    return whole(offset, out);
  });
  Bytes got(content.size());
  EXPECT_EQ(reader.read_at(0, got).error().code, Code::io);
  broken = false;
  // What the failed read had already taken is lost, but the rest is not.
  Bytes last(10);
  EXPECT_EQ(reader.read_at(content.size() - 10, last).value(), 10U);
  EXPECT_TRUE(std::equal(last.begin(), last.end(), content.end() - 10));
}

}  // namespace
}  // namespace instar::delta

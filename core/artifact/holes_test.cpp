#include "core/artifact/holes.hpp"

#include <gtest/gtest.h>

#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

constexpr std::size_t kBlock = kHoleBytes;

// Blocks: 'x' with bytes, '0' without.
Bytes blocks(std::string_view form) {
  Bytes bytes;
  for (const char block : form) bytes.insert(bytes.end(), kBlock, block == 'x' ? 7 : 0);
  return bytes;
}

// The stretches of `bytes` at `offset`: holes negative, in bytes.
std::vector<std::int64_t> stretches(ByteView bytes, std::uint64_t offset) {
  std::vector<std::int64_t> found;
  while (!bytes.empty()) {
    const Stretch one = first_stretch(bytes, offset);
    const auto size = static_cast<std::int64_t>(one.bytes);
    found.push_back(one.is_hole ? -size : size);
    bytes = bytes.subspan(one.bytes);
    offset += one.bytes;
  }
  return found;
}

TEST(Holes, AreWholeBlocksOfZeros) {
  constexpr auto kOne = static_cast<std::int64_t>(kBlock);
  using Found = std::vector<std::int64_t>;
  EXPECT_EQ(stretches(blocks("xx00x0"), 0), (Found{2 * kOne, -2 * kOne, kOne, -kOne}));
  EXPECT_EQ(stretches(blocks("000"), 5 * kBlock), Found{-3 * kOne});
  EXPECT_EQ(stretches(blocks("x"), 0), Found{kOne});
}

TEST(Holes, BeginAtBlocksOfTheFileAndNotOfTheBytes) {
  constexpr auto kOne = static_cast<std::int64_t>(kBlock);
  EXPECT_EQ(stretches(blocks("000"), 100), (std::vector<std::int64_t>{kOne - 100, -2 * kOne, 100}));
  EXPECT_EQ(stretches(Bytes(kBlock), 1), (std::vector<std::int64_t>{kOne}));
  EXPECT_EQ(stretches(Bytes(10), 0), (std::vector<std::int64_t>{10}));
}

TEST(Holes, OneByteFillsItsBlock) {
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}, kBlock - 1}) {
    Bytes bytes = blocks("000");
    bytes[kBlock + at] = 1;
    EXPECT_EQ(blocks_without_holes(bytes), 1U) << at;
  }
}

TEST(Holes, BlocksWithoutThemAreThoseThatAFileTakesUp) {
  EXPECT_EQ(blocks_without_holes({}), 0U);
  EXPECT_EQ(blocks_without_holes(Bytes(1)), 1U) << "the end of a file is no whole block";
  EXPECT_EQ(blocks_without_holes(blocks("x0000x")), 2U);
  Bytes odd = blocks("x0");
  odd.push_back(1);
  EXPECT_EQ(blocks_without_holes(odd), 2U);
}

TEST(Holes, WholeBlocksLieInsideARange) {
  EXPECT_EQ(whole_blocks(0, kBlock), 1U);
  EXPECT_EQ(whole_blocks(1, kBlock), 0U);
  EXPECT_EQ(whole_blocks(1, 2 * kBlock), 1U);
  EXPECT_EQ(whole_blocks(kBlock - 1, 2), 0U);
  EXPECT_EQ(whole_blocks(5, 0), 0U);
}

TEST(ZeroChunks, AreKnownByTheirHash) {
  ZeroChunks zeros;
  const auto chunk = [](const Bytes& content, std::uint32_t encoded) {
    return ChunkRef{ChunkHash(trust::digest(content)), encoded, static_cast<std::uint32_t>(content.size()),
                    Codec::zstd};
  };
  Bytes almost(100'000);
  almost.back() = 1;
  EXPECT_TRUE(zeros.contains(chunk(Bytes(100'000), 25)));
  EXPECT_TRUE(zeros.contains(chunk(Bytes(8192), 20)));
  EXPECT_FALSE(zeros.contains(chunk(almost, 25)));
  EXPECT_FALSE(zeros.contains(chunk(Bytes(100), 20))) << "less than a block";
}

TEST(ZeroChunks, EncodeSoSmallThatTheyAreLookedAt) {
  for (const std::uint32_t bytes : {8U * 1024, 64U * 1024, 256U * 1024}) {
    for (const int level : {1, 3, 19, 22}) {
      const Bytes zeros(bytes);
      const auto encoded = encode_chunk(zeros, level);
      ZeroChunks known;
      EXPECT_TRUE(known.contains(ChunkRef{ChunkHash(trust::digest(zeros)),
                                          static_cast<std::uint32_t>(encoded.bytes.size()), bytes, encoded.codec}))
          << bytes << " at " << level << ": " << encoded.bytes.size();
    }
  }
}

}  // namespace
}  // namespace instar::artifact

#include "core/artifact/chunker.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <unordered_set>

#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

// The same bytes on any machine: xorshift64* (Vigna, 2016).
Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes bytes(size);
  std::uint64_t state = seed;
  for (auto& byte : bytes) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    byte = static_cast<std::uint8_t>(state * 0x2545f4914f6cdd1d >> 56);
  }
  return bytes;
}

std::vector<std::size_t> cut_all(ChunkerParameters parameters, ByteView bytes) {
  const Chunker chunker(parameters);
  std::vector<std::size_t> sizes;
  while (!bytes.empty()) {
    const std::size_t size = chunker.next_cut(bytes, true);
    sizes.push_back(size);
    bytes = bytes.subspan(size);
  }
  return sizes;
}

std::unordered_set<Hash256> chunk_hashes(ByteView bytes) {
  std::unordered_set<Hash256> hashes;
  for (const std::size_t size : cut_all(kDedupeChunks, bytes)) {
    hashes.insert(trust::digest(bytes.first(size)));
    bytes = bytes.subspan(size);
  }
  return hashes;
}

// Frozen with pack format 1: if this fails, packs made by an older release no longer match.
TEST(Chunker, CutsAsInEarlierReleases) {
  const Bytes bytes = noise(300'000, 1);
  EXPECT_EQ(cut_all(kDedupeChunks, bytes),
            (std::vector<std::size_t>{42622, 45429, 15214, 33444, 9868, 33003, 8408, 61018, 42791, 8203}));
  EXPECT_EQ(cut_all({256, 1024, 4096}, ByteView(bytes).first(10'000)),
            (std::vector<std::size_t>{1327, 1615, 1335, 1063, 1131, 1698, 1382, 449}));
  EXPECT_EQ(cut_all(kFullChunks, noise(4'000'000, 3)),
            (std::vector<std::size_t>{262144, 262144, 262144, 201833, 262144, 262144, 262144, 262144, 262144, 262144,
                                      262144, 262144, 262144, 262144, 262144, 128151}));
}

TEST(Chunker, KeepsItsBoundsAndLosesNothing) {
  for (std::uint64_t seed = 1; seed < 6; ++seed) {
    const Bytes bytes = noise(1'000'000 + seed, seed);
    const auto sizes = cut_all(kDedupeChunks, bytes);
    EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}), bytes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_LE(sizes[i], kDedupeChunks.bytes_max);
      if (i + 1 < sizes.size()) {
        EXPECT_GE(sizes[i], kDedupeChunks.bytes_min);
      }
    }
    EXPECT_GT(sizes.size(), bytes.size() / (2 * kDedupeChunks.bytes_average));
    EXPECT_LT(sizes.size(), bytes.size() * 2 / kDedupeChunks.bytes_average);
  }
}

TEST(Chunker, CutsTheSameWithAnyPiecesOfInput) {
  const Bytes bytes = noise(400'000, 7);
  const auto whole = cut_all(kDedupeChunks, bytes);
  const Chunker chunker(kDedupeChunks);
  for (const std::size_t step : {std::size_t{1000}, std::size_t{4096}, std::size_t{65'537}}) {
    std::vector<std::size_t> sizes;
    std::size_t start = 0;
    std::size_t end = 0;
    while (start < bytes.size()) {
      const bool last = end == bytes.size();
      const std::size_t size = chunker.next_cut(ByteView(bytes).subspan(start, end - start), last);
      if (size == 0) {
        ASSERT_FALSE(last);
        end = std::min(bytes.size(), end + step);
        continue;
      }
      sizes.push_back(size);
      start += size;
    }
    EXPECT_EQ(sizes, whole) << step;
  }
}

TEST(Chunker, FindsTheOldCutsAgainAfterAnInsertion) {
  const Bytes before = noise(2'000'000, 9);
  Bytes after = before;
  const Bytes inserted = noise(1'234, 10);
  after.insert(after.begin() + 900'000, inserted.begin(), inserted.end());
  const auto old_hashes = chunk_hashes(before);
  std::size_t fresh = 0;
  for (const Hash256& hash : chunk_hashes(after)) fresh += old_hashes.count(hash) == 0 ? 1 : 0;
  EXPECT_LE(fresh, 4U);
}

TEST(Chunker, NeedsMoreBytesToKnow) {
  const Chunker chunker(kDedupeChunks);
  const Bytes bytes = noise(kDedupeChunks.bytes_min, 3);
  EXPECT_EQ(chunker.next_cut({}, false), 0U);
  EXPECT_EQ(chunker.next_cut({}, true), 0U);
  EXPECT_EQ(chunker.next_cut(bytes, false), 0U);
  EXPECT_EQ(chunker.next_cut(bytes, true), bytes.size());
  EXPECT_EQ(chunker.next_cut(ByteView(bytes).first(1), true), 1U);
}

TEST(Chunker, CutsMonotonousInputAtItsBounds) {
  const Bytes zeros(1'000'000);
  const auto sizes = cut_all(kDedupeChunks, zeros);
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) EXPECT_EQ(sizes[i], sizes[0]);
}

}  // namespace
}  // namespace instar::artifact

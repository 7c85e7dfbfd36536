// Programs that are "linked" here twice, with functions in other places. The tests measure the difference that is left
// when references are predicted.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "core/delta/little_endian.hpp"
#include "core/delta/make/maker.hpp"
#include "core/delta/make/mask.hpp"
#include "core/delta/references.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kCodeAt = 0x2000;
constexpr std::size_t kCodeBytes = 0x20000;
constexpr std::size_t kDataAt = kCodeAt + kCodeBytes;
constexpr std::size_t kWords = 600;
constexpr std::size_t kFileBytes = kDataAt + kWords * 8;
constexpr std::uint64_t kDataGap = 0x1000;  // addresses of data are this much higher than its offsets
constexpr int kFunctions = 300;

void put(Bytes& out, std::size_t at, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out[at + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(value >> (8 * i));
}

void put_headers(Bytes& file, std::uint16_t machine) {
  constexpr std::array<std::uint8_t, 7> kIdent{0x7f, 'E', 'L', 'F', 2, 1, 1};
  std::copy(kIdent.begin(), kIdent.end(), file.begin());
  put(file, 16, 3, 2);
  put(file, 18, machine, 2);
  put(file, 32, 64, 8);
  put(file, 40, 512, 8);  // section headers
  put(file, 54, 56, 2);
  put(file, 56, 2, 2);
  put(file, 58, 64, 2);
  put(file, 60, 3, 2);
  const auto segment = [&](std::size_t i, std::uint32_t flags, std::uint64_t offset, std::uint64_t address,
                           std::uint64_t bytes) {
    const std::size_t at = 64 + i * 56;
    put(file, at, 1, 4);
    put(file, at + 4, flags, 4);
    put(file, at + 8, offset, 8);
    put(file, at + 16, address, 8);
    put(file, at + 32, bytes, 8);
    put(file, at + 40, bytes, 8);
  };
  segment(0, 5, 0, 0, kDataAt);
  segment(1, 6, kDataAt, kDataAt + kDataGap, kWords * 8);
  const auto section = [&](std::size_t i, std::uint64_t flags, std::uint64_t offset, std::uint64_t address,
                           std::uint64_t bytes) {
    const std::size_t at = 512 + i * 64;
    put(file, at + 4, 1, 4);
    put(file, at + 8, flags, 8);
    put(file, at + 16, address, 8);
    put(file, at + 24, offset, 8);
    put(file, at + 32, bytes, 8);
  };
  section(1, 6, kCodeAt, kCodeAt, kCodeBytes);
  section(2, 3, kDataAt, kDataAt + kDataGap, kWords * 8);
}

// The same functions and words, with `gap` unlike instructions before function number `where`.
Bytes link(std::uint16_t machine, int where, std::size_t gap) {
  Bytes file(kFileBytes);
  put_headers(file, machine);
  std::mt19937 shape(7);  // the same in both programs
  std::vector<std::size_t> starts;
  std::vector<std::vector<std::uint32_t>> bodies;
  std::size_t at = kCodeAt;
  for (int i = 0; i < kFunctions; ++i) {
    if (i == where) at += gap;
    starts.push_back(at);
    bodies.emplace_back(20 + shape() % 60);
    for (auto& word : bodies.back()) word = static_cast<std::uint32_t>(shape());
    at += bodies.back().size() * 4;
  }
  const auto word_address = [](std::size_t i) { return kDataAt + kDataGap + i * 8; };
  for (int i = 0; i < kFunctions; ++i) {
    std::size_t here = starts[static_cast<std::size_t>(i)];
    for (const std::uint32_t word : bodies[static_cast<std::size_t>(i)]) {
      const std::size_t callee = starts[word / 8 % kFunctions];
      const std::size_t data = word_address(word / 8 % kWords);
      if (machine == 62) {
        // nop, call, or mov to rax from data: whole instructions in twelve bytes would not fit in four, so each word is
        // an operand of its own.
        put(file, here, 0x90909090, 4);
      } else if (word % 4 == 0) {
        put(file, here, 0x94000000U | (static_cast<std::uint32_t>((callee - here) / 4) & 0x03ffffff), 4);
      } else if (word % 4 == 1) {
        const auto pages = static_cast<std::uint32_t>((data >> 12) - (here >> 12));
        put(file, here, 0x90000000U | (pages & 3) << 29 | ((pages >> 2) & 0x7ffff) << 5 | 3, 4);
      } else if (word % 4 == 2) {
        put(file, here, 0xd503201f, 4);
      } else {
        put(file, here, 0x8b000000U | (word & 0xfffff), 4);
      }
      here += 4;
    }
    if (machine != 62) continue;
    // x86-64: calls and loads packed as compilers do.
    here = starts[static_cast<std::size_t>(i)];
    const std::size_t end = here + bodies[static_cast<std::size_t>(i)].size() * 4;
    std::mt19937 inside(static_cast<unsigned>(i));
    while (here + 12 <= end) {
      const std::size_t callee = starts[inside() % kFunctions];
      const std::size_t data = word_address(inside() % kWords);
      put(file, here, 0xe8, 1);
      put(file, here + 1, callee - (here + 5), 4);
      put(file, here + 5, 0x058b48, 3);
      put(file, here + 8, data - (here + 12), 4);
      here += 12;
    }
  }
  std::mt19937 random(static_cast<unsigned>(gap));
  if (where < kFunctions) {
    for (std::size_t i = 0; i < gap; ++i)
      file[starts[static_cast<std::size_t>(where)] - gap + i] = static_cast<std::uint8_t>(random() % 8);
  }
  for (std::size_t i = 0; i < kWords; ++i)
    put(file, kDataAt + i * 8, i % 2 == 0 ? starts[i % kFunctions] : word_address((i * 7) % kWords), 8);
  return file;
}

std::size_t nonzero(const Bytes& bytes) {
  return bytes.size() - static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), 0));
}

class ReferencesOf : public testing::TestWithParam<std::uint16_t> {};

TEST_P(ReferencesOf, MovedProgramsAreAlmostAllPredicted) {
  const Bytes old = link(GetParam(), kFunctions, 0);
  const Bytes now = link(GetParam(), kFunctions / 3, 400);
  const FileDelta plain = match_file(old, now, {.references = false});
  const FileDelta predicted = match_file(old, now);
  EXPECT_TRUE(predicted.control.predicts);
  EXPECT_FALSE(plain.control.predicts);
  const std::size_t left = nonzero(predicted.difference) + predicted.extra.size();
  const std::size_t plain_left = nonzero(plain.difference) + plain.extra.size();
  EXPECT_LT(left, 700U) << "the 400 bytes that are new, and little else";
  EXPECT_GT(plain_left, 5 * left);
}

TEST_P(ReferencesOf, PredictionDoesNotDependOnThePieces) {
  const Bytes old = link(GetParam(), kFunctions, 0);
  const Bytes now = link(GetParam(), 50, 120);
  FileDelta made = match_file(old, now);
  ASSERT_TRUE(made.control.predicts);
  made.control.base = BaseKind::same_path;
  DeltaMaker maker;
  maker.add(made);
  const auto pack = maker.finish();
  const auto read = [](const Bytes& bytes) -> ReadAt {
    return [&bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
      return out.size();
    };
  };
  for (const std::uint64_t step : {std::uint64_t{1}, std::uint64_t{100'000'000}}) {
    const auto decoder = std::move(*Decoder::open(pack.header, read(pack.body)));
    ASSERT_TRUE(decoder->next_file()->has_value());
    Bytes made_again;
    bool done = false;
    while (!done) {
      const auto more = decoder->decode(
          {read(old), old.size()},
          [&](ByteView bytes) -> Status {
            made_again.insert(made_again.end(), bytes.begin(), bytes.end());
            return {};
          },
          step);
      ASSERT_TRUE(more.has_value()) << more.error().message;
      done = *more;
    }
    EXPECT_TRUE(made_again == now);
  }
}

TEST_P(ReferencesOf, MaskedProgramsLookAlikeWhereTheyMoved) {
  const Bytes old = link(GetParam(), kFunctions, 0);
  const Bytes now = link(GetParam(), 0, 400);
  const Bytes masked_old = mask_references(old).value();
  const Bytes masked_now = mask_references(now).value();
  ASSERT_EQ(masked_old.size(), old.size());
  const auto differing = [&](const Bytes& a, const Bytes& b) {
    std::size_t count = 0;
    for (std::size_t i = kCodeAt; i < kCodeAt + 20'000; ++i) count += a[i] != b[i + 400] ? 1 : 0;
    return count;
  };
  EXPECT_LT(differing(masked_old, masked_now) * 10, differing(old, now));
}

INSTANTIATE_TEST_SUITE_P(Machines, ReferencesOf, testing::Values(std::uint16_t{62}, std::uint16_t{183}),
                         [](const auto& machine) { return machine.param == 62 ? "x86_64" : "aarch64"; });

TEST(References, FilesThatAreNoProgramsAreLeftAlone) {
  EXPECT_FALSE(mask_references(Bytes(1000)).has_value());
  Bytes other = link(40, kFunctions, 0);  // a 32-bit machine, in a file of 64
  EXPECT_FALSE(mask_references(other).has_value());
  EXPECT_FALSE(match_file(other, link(40, 3, 40)).control.predicts);
  Bytes cut = link(62, kFunctions, 0);
  cut.resize(100);
  EXPECT_FALSE(mask_references(cut).has_value());
}

}  // namespace
}  // namespace instar::delta

// Programs for 32-bit Arm that are "linked" here twice, with functions in other places, as prediction_test.cpp has them
// for others.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/delta/arm_code.hpp"
#include "core/delta/little_endian.hpp"
#include "core/delta/make/arm_mode_finder.hpp"
#include "core/delta/make/maker.hpp"
#include "core/delta/make/mask.hpp"

namespace instar::delta {
namespace {

enum class ArmProgram : std::uint8_t { a32, thumb, fixed_a32 };

constexpr std::uint32_t kArmCodeAt = 0x2000;
constexpr std::uint32_t kArmCodeBytes = 0x20000;
constexpr std::uint32_t kArmIndexAt = kArmCodeAt + kArmCodeBytes;  // .ARM.exidx
constexpr std::uint32_t kArmFunctions = 250;
constexpr std::uint32_t kArmDataAt = kArmIndexAt + kArmFunctions * 8;
constexpr std::uint32_t kArmWords = 800;
constexpr std::uint32_t kArmFileBytes = kArmDataAt + kArmWords * 4;
constexpr std::uint32_t kArmDataGap = 0x1000;  // addresses of data are this much higher than its offsets
constexpr std::uint32_t kFixedOrigin = 0x10000;

class ArmLinker {
 public:
  explicit ArmLinker(ArmProgram program) : program_(program), file_(kArmFileBytes) {}

  // The same functions and words, with `gap` other bytes before function number `where`.
  Bytes link(std::uint32_t where, std::uint32_t gap) {
    put_headers();
    std::mt19937 shape(7);  // the same in both programs
    std::uint32_t at = kArmCodeAt;
    for (std::uint32_t i = 0; i < kArmFunctions; ++i) {
      if (i == where) at += gap;
      starts_.push_back(at);
      seeds_.push_back(static_cast<std::uint32_t>(shape()));
      at += body(i, 0, false);
    }
    for (std::uint32_t i = 0; i < kArmFunctions; ++i) {
      static_cast<void>(body(i, starts_[i], true));
      store32(file_.data() + kArmIndexAt + i * 8, (starts_[i] - (kArmIndexAt + i * 8)) & 0x7fffffff);
      store32(file_.data() + kArmIndexAt + i * 8 + 4, 1);
    }
    for (std::uint32_t i = 0; i < gap && where < kArmFunctions; ++i)
      file_[starts_[where] - gap + i] = static_cast<std::uint8_t>(i % 2 == 0 ? i * 7 % 11 : is_thumb() ? 0x20 : 0xe0);
    for (std::uint32_t i = 0; i < kArmWords; ++i) {
      const std::uint32_t function = starts_[i * 3 % kArmFunctions] + (is_thumb() ? 1 : 0);
      store32(file_.data() + kArmDataAt + i * 4, origin() + (i % 2 == 0 ? function : word_address(i * 7 % kArmWords)));
    }
    return std::move(file_);
  }

 private:
  [[nodiscard]] bool is_thumb() const { return program_ == ArmProgram::thumb; }
  [[nodiscard]] std::uint32_t origin() const { return program_ == ArmProgram::fixed_a32 ? kFixedOrigin : 0; }
  static std::uint32_t word_address(std::uint32_t i) { return kArmDataAt + kArmDataGap + i * 4; }

  void put_headers() {
    const std::array<std::uint8_t, 7> ident{0x7f, 'E', 'L', 'F', 1, 1, 1};
    std::copy(ident.begin(), ident.end(), file_.begin());
    store16(file_.data() + 16, program_ == ArmProgram::fixed_a32 ? 2 : 3);
    store16(file_.data() + 18, 40);
    store32(file_.data() + 28, 52);
    store32(file_.data() + 32, 512);  // section headers
    const std::array<std::uint16_t, 4> sizes{32, 2, 40, 4};
    for (std::size_t i = 0; i < sizes.size(); ++i) store16(file_.data() + 42 + i * 2, sizes[i]);
    put_numbers(52, {1, 0, origin(), 0, kArmDataAt, kArmDataAt, 5});
    put_numbers(84, {1, kArmDataAt, origin() + word_address(0), 0, kArmWords * 4, kArmWords * 4, 6});
    put_numbers(552, {0, 1, 6, origin() + kArmCodeAt, kArmCodeAt, kArmCodeBytes});
    put_numbers(592, {0, 0x70000001, 2, origin() + kArmIndexAt, kArmIndexAt, kArmFunctions * 8});
    put_numbers(632, {0, 1, 3, origin() + word_address(0), kArmDataAt, kArmWords * 4});
  }

  void put_numbers(std::size_t at, std::initializer_list<std::uint32_t> numbers) {
    for (const std::uint32_t number : numbers) {
      store32(file_.data() + at, number);
      at += 4;
    }
  }

  std::uint32_t put(std::uint32_t word, bool is_wide = true) {
    if (writes_) {
      if (is_thumb() && is_wide) {
        store32(file_.data() + at_, word << 16 | word >> 16);
      } else if (is_thumb()) {
        store16(file_.data() + at_, static_cast<std::uint16_t>(word));
      } else {
        store32(file_.data() + at_, word);
      }
    }
    const std::uint32_t before = at_;
    at_ += is_thumb() && !is_wide ? 2 : 4;
    return before;
  }

  // A function at `at`: calls, loads of words, pairs of halves, other instructions, and the words behind. Returns its
  // bytes.
  std::uint32_t body(std::uint32_t index, std::uint32_t at, bool writes) {
    at_ = at;
    writes_ = writes;
    std::mt19937 shape(seeds_[index]);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> loads;  // where, and the word's value
    const auto steps = static_cast<std::uint32_t>(15 + shape() % 20);
    for (std::uint32_t i = 0; i < steps; ++i) {
      const auto pick = static_cast<std::uint32_t>(shape());
      if (pick % 5 == 0) {
        call(writes ? starts_[pick / 8 % kArmFunctions] : 0);
      } else if (pick % 5 == 1 && loads.size() < 6) {
        loads.push_back(load(word_address(pick / 8 % kArmWords)));
      } else if (pick % 5 == 2) {
        pair(word_address(pick / 8 % kArmWords));
      } else {
        static_cast<void>(put(is_thumb() ? 0x3000 | (pick >> 8 & 0x7ff) : 0xe2800000 | (pick >> 8 & 0xfff), false));
      }
    }
    at_ = (at_ + 3) & ~3U;
    for (const auto& [from, value] : loads) {
      const std::uint32_t counts_from = is_thumb() ? (from + 4) & ~3U : from + 8;
      if (writes && is_thumb())
        store16(file_.data() + from, static_cast<std::uint16_t>(0x4b00 | (at_ - counts_from) / 4));
      if (writes && !is_thumb()) store32(file_.data() + from, 0xe59f3000 | (at_ - counts_from));
      if (writes) store32(file_.data() + at_, value);
      at_ += 4;
    }
    return at_ - at;
  }

  void call(std::uint32_t callee) {
    const ArmField field = is_thumb() ? ArmField::wide_branch : ArmField::branch;
    static_cast<void>(
        put(with_arm_distance(field, is_thumb() ? 0xf000d000 : 0xeb000000, callee - arm_counts_from(field, at_))));
  }

  std::pair<std::uint32_t, std::uint32_t> load(std::uint32_t target) {
    const std::uint32_t from = put(0, false);
    if (program_ == ArmProgram::fixed_a32) return {from, origin() + target};
    const std::uint32_t adds = put(is_thumb() ? 0x447b : 0xe08f3003, false);
    return {from, target - (adds + (is_thumb() ? 4 : 8))};
  }

  void pair(std::uint32_t target) {
    const bool adds = program_ != ArmProgram::fixed_a32;
    const std::uint32_t value = adds ? target - (at_ + 8 + (is_thumb() ? 4 : 8)) : origin() + target;
    static_cast<void>(put(with_arm_distance(is_thumb() ? ArmField::wide_low_half : ArmField::low_half,
                                            is_thumb() ? 0xf2400100 : 0xe3001000, value)));
    static_cast<void>(put(with_arm_distance(is_thumb() ? ArmField::wide_high_half : ArmField::high_half,
                                            is_thumb() ? 0xf2c00100 : 0xe3401000, value)));
    if (adds) static_cast<void>(put(is_thumb() ? 0x4479 : 0xe08f1001, false));
  }

  ArmProgram program_;
  Bytes file_;
  std::vector<std::uint32_t> starts_;
  std::vector<std::uint32_t> seeds_;
  std::uint32_t at_ = 0;
  bool writes_ = false;
};

Bytes link_arm(ArmProgram program, std::uint32_t where, std::uint32_t gap) {
  return ArmLinker(program).link(where, gap);
}

std::size_t differing_bytes(const Bytes& bytes) {
  return bytes.size() - static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), 0));
}

ReadAt arm_reader(const Bytes& bytes) {
  return [&bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return out.size();
  };
}

Bytes decode_alone(const DeltaMaker::Made& pack, const Bytes& old, std::uint64_t step) {
  const auto decoder = std::move(*Decoder::open(pack.header, arm_reader(pack.body)));
  EXPECT_TRUE(decoder->next_file()->has_value());
  Bytes made;
  for (bool done = false; !done;) {
    const auto more = decoder->decode(
        {arm_reader(old), old.size()},
        [&](ByteView bytes) -> Status {
          made.insert(made.end(), bytes.begin(), bytes.end());
          return {};
        },
        step);
    if (!more) {
      ADD_FAILURE() << more.error().message;
      return made;
    }
    done = *more;
  }
  return made;
}

class ArmReferencesOf : public testing::TestWithParam<ArmProgram> {};

TEST_P(ArmReferencesOf, MovedProgramsAreAlmostAllPredicted) {
  const Bytes old = link_arm(GetParam(), kArmFunctions, 0);
  const Bytes now = link_arm(GetParam(), kArmFunctions / 3, 400);
  const FileDelta plain = match_file(old, now, {.references = false});
  const FileDelta predicted = match_file(old, now);
  EXPECT_TRUE(predicted.control.predicts && predicted.control.arm_modes);
  EXPECT_FALSE(plain.control.predicts || plain.control.arm_modes);
  const std::size_t left = differing_bytes(predicted.difference) + predicted.extra.size();
  EXPECT_LT(left, 700U) << "the 400 bytes that are new, and little else";
  EXPECT_GT(differing_bytes(plain.difference) + plain.extra.size(), 3 * left);
}

TEST_P(ArmReferencesOf, PredictionDoesNotDependOnThePieces) {
  const Bytes old = link_arm(GetParam(), kArmFunctions, 0);
  const Bytes now = link_arm(GetParam(), 50, 120);
  FileDelta made = match_file(old, now);
  ASSERT_TRUE(made.control.predicts);
  made.control.base = BaseKind::same_path;
  DeltaMaker maker;
  maker.add(made);
  const auto pack = maker.finish();
  EXPECT_EQ(pack.header.format(), 4);
  for (const std::uint64_t step : {std::uint64_t{1}, std::uint64_t{100'000'000}})
    EXPECT_TRUE(decode_alone(pack, old, step) == now) << step;
}

TEST_P(ArmReferencesOf, MaskedProgramsLookAlikeWhereTheyMoved) {
  const Bytes old = link_arm(GetParam(), kArmFunctions, 0);
  const Bytes now = link_arm(GetParam(), 0, 400);
  const Bytes masked_old = mask_references(old).value();
  const Bytes masked_now = mask_references(now).value();
  ASSERT_EQ(masked_old.size(), old.size());
  const auto differing = [&](const Bytes& a, const Bytes& b) {
    std::size_t count = 0;
    for (std::size_t i = kArmCodeAt; i < kArmCodeAt + 15'000; ++i) count += a[i] != b[i + 400] ? 1 : 0;
    return count;
  };
  EXPECT_LE(differing(masked_old, masked_now) * 10, differing(old, now));
}

INSTANTIATE_TEST_SUITE_P(Programs, ArmReferencesOf,
                         testing::Values(ArmProgram::a32, ArmProgram::thumb, ArmProgram::fixed_a32),
                         [](const auto& program) {
                           return program.param == ArmProgram::a32     ? "A32"
                                  : program.param == ArmProgram::thumb ? "Thumb"
                                                                       : "FixedA32";
                         });

TEST(ArmReferences, WhatGainsNothingIsSentForOlderClients) {
  const Bytes old = link_arm(ArmProgram::thumb, kArmFunctions, 0);
  Bytes now = old;
  now[kArmDataAt + 10] ^= 0xff;  // nothing moved
  FileDelta made = match_file(old, now);
  EXPECT_FALSE(made.control.predicts || made.control.arm_modes);
  made.control.base = BaseKind::same_path;
  DeltaMaker maker;
  maker.add(made);
  const auto pack = maker.finish();
  EXPECT_EQ(pack.header.format(), 1);
  EXPECT_TRUE(decode_alone(pack, old, 1000) == now);
}

TEST(ArmReferences, AreNotPredictedInPacksOfFormatOne) {
  const Bytes old = link_arm(ArmProgram::thumb, kArmFunctions, 0);
  FileDelta made = match_file(old, link_arm(ArmProgram::thumb, 50, 120));
  // As a program of 64 bits has it. Clients of before add the differences to the old bytes as they are.
  made.control.arm_modes.reset();
  made.control.base = BaseKind::same_path;
  made.operations = {{0, kArmFileBytes, 0}};
  made.difference.assign(kArmFileBytes, 0);
  made.extra.clear();
  DeltaMaker maker;
  maker.add(made);
  EXPECT_TRUE(decode_alone(maker.finish(), old, 1000) == old);
}

TEST(ArmModeFinder, TellsA32FromThumbByWhatTheyLookLike) {
  Bytes file = link_arm(ArmProgram::thumb, kArmFunctions, 0);
  const Bytes other = link_arm(ArmProgram::a32, kArmFunctions, 0);
  constexpr std::uint32_t kFrom = kArmCodeAt + 0x1000;
  constexpr std::uint32_t kTo = kArmCodeAt + 0x2000;
  std::copy(other.begin() + kFrom, other.begin() + kTo, file.begin() + kFrom);
  const auto image = ElfImage::read(arm_reader(file), file.size());
  ASSERT_TRUE(image);
  const ArmModes modes = find_arm_modes(*image, file);
  ASSERT_GE(modes.switches().size(), 3U);
  EXPECT_TRUE(modes.is_thumb(kArmCodeAt));
  EXPECT_TRUE(modes.is_thumb(kFrom - 64));
  EXPECT_FALSE(modes.is_thumb(kFrom + 64));
  EXPECT_FALSE(modes.is_thumb(kTo - 64));
  EXPECT_TRUE(modes.is_thumb(kTo + 64));
}

}  // namespace
}  // namespace instar::delta

#include "core/delta/arm_code.hpp"

#include <gtest/gtest.h>

#include "core/delta/arm_modes.hpp"
#include "core/delta/little_endian.hpp"

namespace instar::delta {
namespace {

// --- fields, against what an assembler makes --------------------------------------------------------
struct Known {
  const char* text;
  std::uint32_t word;
  ArmField field;
  std::uint32_t distance;
};

std::ostream& operator<<(std::ostream& out, const Known& known) {
  return out << known.text;
}

class KnownA32 : public testing::TestWithParam<Known> {};
class KnownThumb : public testing::TestWithParam<Known> {};

void expect_field(const Known& known, ArmField found) {
  EXPECT_EQ(found, known.field);
  EXPECT_EQ(arm_distance(known.field, known.word), known.distance);
  EXPECT_EQ(with_arm_distance(known.field, known.word & ~arm_field_mask(known.field), known.distance), known.word);
}

// Halves are made from the whole value.
void expect_half(const Known& known, ArmField found) {
  EXPECT_EQ(found, known.field);
  EXPECT_EQ(arm_distance(known.field, known.word), known.distance);
  const std::uint32_t value = is_low_half(known.field) ? 0xabcd0000U | known.distance : known.distance << 16 | 0xabcdU;
  EXPECT_EQ(with_arm_distance(known.field, known.word & ~arm_field_mask(known.field), value), known.word);
}

void expect_known(const Known& known, ArmField found) {
  if (is_half(known.field)) return expect_half(known, found);
  expect_field(known, found);
}

TEST_P(KnownA32, IsReadAndWritten) {
  expect_known(GetParam(), find_a32_field(GetParam().word));
}

TEST_P(KnownThumb, IsReadAndWritten) {
  const std::uint32_t word = GetParam().word;
  expect_known(GetParam(), word > 0xffff ? find_wide_field(word) : find_thumb_field(static_cast<std::uint16_t>(word)));
  EXPECT_EQ(word > 0xffff, is_wide_thumb(static_cast<std::uint16_t>(word > 0xffff ? word >> 16 : word)));
}

INSTANTIATE_TEST_SUITE_P(Fields, KnownA32,
                         testing::Values(Known{"bl .", 0xebfffffe, ArmField::branch, 0xfffffff8},
                                         Known{"beq .+16", 0x0a000002, ArmField::branch, 8},
                                         Known{"blx .+10", 0xfb000000, ArmField::exchange, 2},
                                         Known{"ldr r3, [pc, #16]", 0xe59f3010, ArmField::load, 16},
                                         Known{"ldr r3, [pc, #-16]", 0xe51f3010, ArmField::load, 0xfffffff0},
                                         Known{"vldr s14, [pc, #16]", 0xed9f7a04, ArmField::float_load, 16},
                                         Known{"movw r3, #0x1234", 0xe3013234, ArmField::low_half, 0x1234},
                                         Known{"movt r3, #0xf234", 0xe34f3234, ArmField::high_half, 0xf234}));
INSTANTIATE_TEST_SUITE_P(Fields, KnownThumb,
                         testing::Values(Known{"bl .", 0xf7fffffe, ArmField::wide_branch, 0xfffffffc},
                                         Known{"bl .+4", 0xf000f800, ArmField::wide_branch, 0},
                                         Known{"bl .+0x400004", 0xf000f000, ArmField::wide_branch, 0x400000},
                                         Known{"bl .-0xfffffc", 0xf400d000, ArmField::wide_branch, 0xff000000},
                                         Known{"b.w .", 0xf7ffbffe, ArmField::wide_branch, 0xfffffffc},
                                         Known{"blx .", 0xf7ffeffe, ArmField::wide_exchange, 0xfffffffc},
                                         Known{"beq.w .", 0xf43faffe, ArmField::wide_condition, 0xfffffffc},
                                         Known{"beq.w .+4", 0xf0008000, ArmField::wide_condition, 0},
                                         Known{"b .", 0xe7fe, ArmField::short_branch, 0xfffffffc},
                                         Known{"beq .", 0xd0fe, ArmField::short_condition, 0xfffffffc},
                                         Known{"cbnz r3, .+70", 0xbb0b, ArmField::short_compare, 66},
                                         Known{"ldr r3, [pc, #16]", 0x4b04, ArmField::short_load, 16},
                                         Known{"ldr.w r3, [pc, #-16]", 0xf85f3010, ArmField::wide_load, 0xfffffff0},
                                         Known{"vldr s14, [pc, #16]", 0xed9f7a04, ArmField::wide_float_load, 16},
                                         Known{"movw r3, #0x1234", 0xf2412334, ArmField::wide_low_half, 0x1234},
                                         Known{"movw r3, #0x0800", 0xf6400300, ArmField::wide_low_half, 0x0800},
                                         Known{"movt r3, #0x1234", 0xf2c12334, ArmField::wide_high_half, 0x1234}));

TEST(ArmFields, AreNoneInOtherInstructions) {
  EXPECT_EQ(find_a32_field(0xe0801002), ArmField::none);   // add r1, r0, r2
  EXPECT_EQ(find_a32_field(0xf57ff05f), ArmField::none);   // dmb sy
  EXPECT_EQ(find_wide_field(0xf3bf8f5f), ArmField::none);  // dmb sy
  EXPECT_EQ(find_thumb_field(0xdf00), ArmField::none);     // svc 0
  EXPECT_EQ(find_thumb_field(0x4770), ArmField::none);     // bx lr
}

TEST(ArmModes, ChangeAtEachSwitch) {
  EXPECT_FALSE(ArmModes().is_thumb(0));
  const ArmModes modes({100, 200});
  EXPECT_FALSE(modes.is_thumb(99));
  EXPECT_TRUE(modes.is_thumb(100));
  EXPECT_TRUE(modes.is_thumb(199));
  EXPECT_FALSE(modes.is_thumb(200));
}

// --- what code leads to -----------------------------------------------------------------------------
constexpr std::uint32_t kImageBytes = 0x100000;

// One segment of an image: from 0, or at a fixed address.
ElfImage image_at(std::uint32_t origin) {
  Bytes first(128);
  const std::array<std::uint8_t, 7> ident{0x7f, 'E', 'L', 'F', 1, 1, 1};
  std::copy(ident.begin(), ident.end(), first.begin());
  store16(first.data() + 16, origin == 0 ? 3 : 2);
  store16(first.data() + 18, 40);
  store32(first.data() + 28, 52);
  store16(first.data() + 42, 32);
  store16(first.data() + 44, 1);
  store32(first.data() + 52, 1);
  store32(first.data() + 52 + 8, origin);
  store32(first.data() + 52 + 16, kImageBytes);
  store32(first.data() + 52 + 20, kImageBytes);
  store32(first.data() + 52 + 24, 5);
  return ElfImage::read_layout(first, kImageBytes).value();
}

// Goes through the code as if it were at 0x1000.
std::vector<ArmReference> look_through(const ElfImage& image, const Bytes& code, bool is_thumb) {
  ArmCode scanner(image);
  std::vector<ArmReference> found;
  for (std::size_t at = 0; at + 4 <= code.size();) {
    found.push_back(
        scanner.look(code.data() + at, code.size() - at, 0x1000 + static_cast<std::uint32_t>(at), is_thumb));
    at += found.back().bytes;
  }
  return found;
}

Bytes words(std::initializer_list<std::uint32_t> list) {
  Bytes out(list.size() * 4);
  std::size_t at = 0;
  for (const std::uint32_t word : list) store32(out.data() + 4 * at++, word);
  return out;
}

TEST(ArmCode, AWordThatIsLoadedCountsFromWhereTheCounterIsAdded) {
  const ElfImage image = image_at(0);
  // ldr r3, [pc, #4]; add r3, pc, r3; bx lr; the word
  const auto found = look_through(image, words({0xe59f3004, 0xe08f3003, 0xe12fff1e, 0x00002000}), false);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].target, 0x100cU);
  EXPECT_EQ(found[1].field, ArmField::none);
  EXPECT_EQ(found[3].field, ArmField::word);
  EXPECT_EQ(found[3].from, ArmBase::place);
  EXPECT_EQ(found[3].target, 0x1004U + 8 + 0x2000);
}

TEST(ArmCode, ThumbCountsFourBytesAhead) {
  const ElfImage image = image_at(0);
  // ldr r3, [pc, #4]; add r3, pc; bx lr; nop; the word
  Bytes code = words({0x447b4b01, 0xbf004770, 0x00002000});
  const auto found = look_through(image, code, true);
  ASSERT_EQ(found.size(), 5U);
  EXPECT_EQ(found[0].target, 0x1008U);
  EXPECT_EQ(found[4].field, ArmField::word);
  EXPECT_EQ(found[4].target, 0x1002U + 4 + 0x2000);
}

TEST(ArmCode, AWordThatNothingIsAddedToIsAnAddressOfAFixedProgramOnly) {
  const Bytes code = words({0xe59f3004, 0xe5930000, 0xe12fff1e, 0x00012000});
  const auto fixed = look_through(image_at(0x10000), code, false);
  EXPECT_EQ(fixed[3].field, ArmField::word);
  EXPECT_EQ(fixed[3].from, ArmBase::origin);
  EXPECT_EQ(fixed[3].target, 0x2000U);
  EXPECT_EQ(look_through(image_at(0), code, false)[3].field, ArmField::none);
}

TEST(ArmCode, PairsOfHalvesAreOneValue) {
  // movw r0, #0x5678; movt r0, #0x0001; add r0, pc, r0; nothing
  const auto found = look_through(image_at(0), words({0xe3050678, 0xe3400001, 0xe08f0000, 0xe1a00000}), false);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_TRUE(is_half(found[i].field));
    EXPECT_EQ(found[i].from, ArmBase::place);
    EXPECT_EQ(found[i].target, 0x1008U + 8 + 0x15678);
  }
  // Another register in between, or no second half: no value.
  EXPECT_EQ(look_through(image_at(0), words({0xe3050678, 0xe3401001, 0xe08f0000, 0}), false)[0].field, ArmField::none);
}

TEST(ArmCode, AnEntryOfTheLinkageTableIsOneReference) {
  // add ip, pc, #0, 12; add ip, ip, #0x23000; ldr pc, [ip, #0x456]!
  const auto found = look_through(image_at(0), words({0xe28fc600, 0xe28cca23, 0xe5bcf456}), false);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].field, ArmField::linkage);
  EXPECT_EQ(found[0].target, 0x1008U + 0x23456);
}

}  // namespace
}  // namespace instar::delta

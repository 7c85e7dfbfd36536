#include "core/delta/arm_fields.hpp"

namespace instar::delta {
namespace {

std::uint32_t extend_sign(std::uint32_t value, unsigned bits) noexcept {
  const std::uint32_t sign = 1U << (bits - 1);
  return (value ^ sign) - sign;
}

std::uint32_t bits_of(std::uint32_t word, unsigned low, unsigned bits) noexcept {
  return (word >> low) & ((1U << bits) - 1);
}

constexpr std::uint32_t kAdds = 1U << 23;  // of loads: the distance counts upwards

std::uint32_t load_distance(std::uint32_t word, std::uint32_t distance) noexcept {
  return (word & kAdds) != 0 ? distance : 0 - distance;
}

std::uint32_t with_load_distance(std::uint32_t word, std::uint32_t distance, std::uint32_t mask, unsigned shift) {
  const bool adds = (distance >> 31) == 0;
  const std::uint32_t size = adds ? distance : 0 - distance;
  return (word & ~(mask | kAdds)) | (adds ? kAdds : 0) | ((size >> shift) & mask);
}

// BL, BLX and B.W: S:I1:I2:imm10:imm11:0, where I1 = not (J1 xor S), I2 = not (J2 xor S).
std::uint32_t wide_branch_distance(std::uint32_t word) noexcept {
  const std::uint32_t sign = bits_of(word, 26, 1);
  const std::uint32_t high = sign << 2 | (bits_of(word, 13, 1) ^ sign ^ 1) << 1 | (bits_of(word, 11, 1) ^ sign ^ 1);
  return extend_sign(high << 22 | bits_of(word, 16, 10) << 12 | bits_of(word, 0, 11) << 1, 25);
}

std::uint32_t with_wide_branch(std::uint32_t word, std::uint32_t distance) noexcept {
  const std::uint32_t sign = bits_of(distance, 24, 1);
  const std::uint32_t first = bits_of(distance, 23, 1) ^ sign ^ 1;
  const std::uint32_t second = bits_of(distance, 22, 1) ^ sign ^ 1;
  return (word & ~arm_field_mask(ArmField::wide_branch)) | sign << 26 | bits_of(distance, 12, 10) << 16 | first << 13 |
         second << 11 | bits_of(distance, 1, 11);
}

// B<c>.W: S:J2:J1:imm6:imm11:0.
std::uint32_t wide_condition_distance(std::uint32_t word) noexcept {
  const std::uint32_t high = bits_of(word, 26, 1) << 2 | bits_of(word, 11, 1) << 1 | bits_of(word, 13, 1);
  return extend_sign(high << 18 | bits_of(word, 16, 6) << 12 | bits_of(word, 0, 11) << 1, 21);
}

std::uint32_t with_wide_condition(std::uint32_t word, std::uint32_t distance) noexcept {
  return (word & ~arm_field_mask(ArmField::wide_condition)) | bits_of(distance, 20, 1) << 26 |
         bits_of(distance, 12, 6) << 16 | bits_of(distance, 18, 1) << 13 | bits_of(distance, 19, 1) << 11 |
         bits_of(distance, 1, 11);
}

// imm4:imm12 of A32, imm4:i:imm3:imm8 of Thumb.
std::uint32_t half_of(ArmField field, std::uint32_t word) noexcept {
  if (field == ArmField::low_half || field == ArmField::high_half)
    return bits_of(word, 16, 4) << 12 | bits_of(word, 0, 12);
  return bits_of(word, 16, 4) << 12 | bits_of(word, 26, 1) << 11 | bits_of(word, 12, 3) << 8 | bits_of(word, 0, 8);
}

std::uint32_t with_half(ArmField field, std::uint32_t word, std::uint32_t value) noexcept {
  const std::uint32_t half = is_low_half(field) ? value & 0xffff : value >> 16;
  const std::uint32_t rest = (word & ~arm_field_mask(field)) | bits_of(half, 12, 4) << 16;
  if (field == ArmField::low_half || field == ArmField::high_half) return rest | bits_of(half, 0, 12);
  return rest | bits_of(half, 11, 1) << 26 | bits_of(half, 8, 3) << 12 | bits_of(half, 0, 8);
}

}  // namespace

ArmField find_a32_field(std::uint32_t word) noexcept {
  if ((word & 0xfe000000) == 0xfa000000) return ArmField::exchange;
  if ((word >> 28) == 0xf) return ArmField::none;
  if ((word & 0x0e000000) == 0x0a000000) return ArmField::branch;
  if ((word & 0x0f7f0000) == 0x051f0000) return ArmField::load;
  if ((word & 0x0f3f0e00) == 0x0d1f0a00) return ArmField::float_load;
  if ((word & 0x0ff00000) == 0x03000000) return ArmField::low_half;
  if ((word & 0x0ff00000) == 0x03400000) return ArmField::high_half;
  if ((word & 0xffffff00) == 0xe28fc600) return ArmField::linkage;
  return ArmField::none;
}

ArmField find_thumb_field(std::uint16_t half) noexcept {
  if ((half & 0xf800) == 0xe000) return ArmField::short_branch;
  if ((half & 0xf000) == 0xd000 && (half & 0x0e00) != 0x0e00) return ArmField::short_condition;
  if ((half & 0xf500) == 0xb100) return ArmField::short_compare;
  if ((half & 0xf800) == 0x4800) return ArmField::short_load;
  return ArmField::none;
}

ArmField find_wide_field(std::uint32_t word) noexcept {
  if ((word & 0xf8008000) == 0xf0008000) {
    if ((word & 0x5000) == 0x5000 || (word & 0x5000) == 0x1000) return ArmField::wide_branch;
    if ((word & 0x5001) == 0x4000) return ArmField::wide_exchange;
    if ((word & 0x5000) == 0 && (word & 0x03800000) != 0x03800000) return ArmField::wide_condition;
    return ArmField::none;
  }
  if ((word & 0xff7f0000) == 0xf85f0000) return ArmField::wide_load;
  if ((word & 0xff3f0e00) == 0xed1f0a00) return ArmField::wide_float_load;
  if ((word & 0xfbf08000) == 0xf2400000) return ArmField::wide_low_half;
  if ((word & 0xfbf08000) == 0xf2c00000) return ArmField::wide_high_half;
  return ArmField::none;
}

std::uint32_t arm_distance(ArmField field, std::uint32_t word) noexcept {
  switch (field) {
    case ArmField::branch: return extend_sign(word & 0xffffff, 24) << 2;
    case ArmField::exchange: return extend_sign(word & 0xffffff, 24) << 2 | bits_of(word, 24, 1) << 1;
    case ArmField::load:
    case ArmField::wide_load: return load_distance(word, word & 0xfff);
    case ArmField::float_load:
    case ArmField::wide_float_load: return load_distance(word, (word & 0xff) << 2);
    case ArmField::wide_branch:
    case ArmField::wide_exchange: return wide_branch_distance(word);
    case ArmField::wide_condition: return wide_condition_distance(word);
    case ArmField::short_branch: return extend_sign(word & 0x7ff, 11) << 1;
    case ArmField::short_condition: return extend_sign(word & 0xff, 8) << 1;
    case ArmField::short_compare: return bits_of(word, 9, 1) << 6 | bits_of(word, 3, 5) << 1;
    case ArmField::short_load: return (word & 0xff) << 2;
    case ArmField::low_half:
    case ArmField::high_half:
    case ArmField::wide_low_half:
    case ArmField::wide_high_half: return half_of(field, word);
    case ArmField::word: return word;
    case ArmField::linkage:
    case ArmField::none: break;
  }
  return 0;
}

std::uint32_t with_arm_distance(ArmField field, std::uint32_t word, std::uint32_t distance) noexcept {
  switch (field) {
    case ArmField::branch: return (word & ~0xffffffU) | ((distance >> 2) & 0xffffff);
    case ArmField::exchange: return (word & ~0x1ffffffU) | bits_of(distance, 1, 1) << 24 | ((distance >> 2) & 0xffffff);
    case ArmField::load:
    case ArmField::wide_load: return with_load_distance(word, distance, 0xfff, 0);
    case ArmField::float_load:
    case ArmField::wide_float_load: return with_load_distance(word, distance, 0xff, 2);
    case ArmField::wide_branch:
    case ArmField::wide_exchange: return with_wide_branch(word, distance);
    case ArmField::wide_condition: return with_wide_condition(word, distance);
    case ArmField::short_branch: return (word & ~0x7ffU) | bits_of(distance, 1, 11);
    case ArmField::short_condition: return (word & ~0xffU) | bits_of(distance, 1, 8);
    case ArmField::short_compare: return (word & ~0x2f8U) | bits_of(distance, 6, 1) << 9 | bits_of(distance, 1, 5) << 3;
    case ArmField::short_load: return (word & ~0xffU) | bits_of(distance, 2, 8);
    case ArmField::low_half:
    case ArmField::high_half:
    case ArmField::wide_low_half:
    case ArmField::wide_high_half: return with_half(field, word, distance);
    case ArmField::word: return distance;
    case ArmField::linkage:
    case ArmField::none: break;
  }
  return word;
}

std::uint32_t arm_field_mask(ArmField field) noexcept {
  switch (field) {
    case ArmField::branch: return 0x00ffffff;
    case ArmField::exchange: return 0x01ffffff;
    case ArmField::load:
    case ArmField::wide_load: return 0x00800fff;
    case ArmField::float_load:
    case ArmField::wide_float_load: return 0x008000ff;
    case ArmField::wide_branch:
    case ArmField::wide_exchange: return 0x07ff2fff;
    case ArmField::wide_condition: return 0x043f2fff;
    case ArmField::short_branch: return 0x7ff;
    case ArmField::short_condition:
    case ArmField::short_load: return 0xff;
    case ArmField::short_compare: return 0x2f8;
    case ArmField::low_half:
    case ArmField::high_half: return 0x000f0fff;
    case ArmField::wide_low_half:
    case ArmField::wide_high_half: return 0x040f70ff;
    case ArmField::word: return 0xffffffff;
    case ArmField::linkage:
    case ArmField::none: break;
  }
  return 0;
}

std::uint32_t arm_counts_from(ArmField field, std::uint32_t address) noexcept {
  switch (field) {
    case ArmField::branch:
    case ArmField::exchange:
    case ArmField::load:
    case ArmField::float_load:
    case ArmField::linkage: return address + 8;
    case ArmField::wide_load:
    case ArmField::wide_float_load:
    case ArmField::wide_exchange:
    case ArmField::short_load: return (address + 4) & ~3U;
    default: return address + 4;
  }
}

unsigned arm_register(ArmField field, std::uint32_t word) noexcept {
  switch (field) {
    case ArmField::load:
    case ArmField::wide_load:
    case ArmField::low_half:
    case ArmField::high_half: return bits_of(word, 12, 4);
    case ArmField::wide_low_half:
    case ArmField::wide_high_half: return bits_of(word, 8, 4);
    case ArmField::short_load: return bits_of(word, 8, 3);
    default: return 0;
  }
}

}  // namespace instar::delta

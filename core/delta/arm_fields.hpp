// The fields of A32 and Thumb instructions that hold a distance to a place, or half of an address. Only what reference
// prediction uses. Arm Architecture Reference Manual ARMv7-A, A5, A6 and A8.
//
// A Thumb instruction of 32 bits is taken as one number, its first half on top.
#pragma once

#include <cstdint>

namespace instar::delta {

enum class ArmField : std::uint8_t {
  none,
  branch,      // A32: B, BL
  exchange,    // A32: BLX
  load,        // A32: LDR (literal)
  float_load,  // A32: VLDR (literal)
  wide_load,   // Thumb: LDR.W (literal)
  wide_float_load,
  wide_branch,     // Thumb: BL, B.W
  wide_exchange,   // Thumb: BLX
  wide_condition,  // Thumb: B<c>.W
  short_branch,    // Thumb, 16 bits: B
  short_condition,
  short_compare,  // CBZ, CBNZ
  short_load,     // LDR (literal)
  // Halves of a value that is made by two instructions. Their distance is the whole value.
  low_half,   // MOVW of A32
  high_half,  // MOVT of A32
  wide_low_half,
  wide_high_half,
  // The three instructions of an entry of the linkage table, in A32: the distance is their sum.
  linkage,
  // A word among the code.
  word,
};

[[nodiscard]] constexpr bool is_short(ArmField field) noexcept {
  return field >= ArmField::short_branch && field <= ArmField::short_load;
}
// Whether what it leads to is mostly in the same function.
[[nodiscard]] constexpr bool is_near(ArmField field) noexcept {
  return is_short(field) || field == ArmField::load || field == ArmField::float_load || field == ArmField::wide_load ||
         field == ArmField::wide_float_load || field == ArmField::wide_condition;
}
[[nodiscard]] constexpr bool is_half(ArmField field) noexcept {
  return field >= ArmField::low_half && field <= ArmField::wide_high_half;
}
[[nodiscard]] constexpr bool is_low_half(ArmField field) noexcept {
  return field == ArmField::low_half || field == ArmField::wide_low_half;
}

// What the instruction is; none where it has no such field.
[[nodiscard]] ArmField find_a32_field(std::uint32_t word) noexcept;
[[nodiscard]] ArmField find_thumb_field(std::uint16_t half) noexcept;
[[nodiscard]] ArmField find_wide_field(std::uint32_t word) noexcept;
// Whether a Thumb instruction that begins so has 32 bits.
[[nodiscard]] constexpr bool is_wide_thumb(std::uint16_t half) noexcept {
  return half >= 0xe800;
}

// The field of `word` as a distance; of halves the 16 bits that they hold.
[[nodiscard]] std::uint32_t arm_distance(ArmField field, std::uint32_t word) noexcept;
// `word` with another distance; of halves with the half of it that they hold. Bits that do not fit are cut off.
[[nodiscard]] std::uint32_t with_arm_distance(ArmField field, std::uint32_t word, std::uint32_t distance) noexcept;
// The bits of the field.
[[nodiscard]] std::uint32_t arm_field_mask(ArmField field) noexcept;

// From where an instruction at `address` counts.
[[nodiscard]] std::uint32_t arm_counts_from(ArmField field, std::uint32_t address) noexcept;
// The register that a load, but of floats, or a half sets.
[[nodiscard]] unsigned arm_register(ArmField field, std::uint32_t word) noexcept;

}  // namespace instar::delta

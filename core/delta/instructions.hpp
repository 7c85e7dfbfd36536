// Which instructions refer to places, and how. Only the part of the instruction sets of x86-64 and AArch64 that
// reference prediction uses. Intel SDM volume 2, appendix A; Arm Architecture Reference Manual, C4.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace instar::delta {

// --- x86-64 ---------------------------------------------------------------------------------------------
// A 32-bit distance to a place, counted from the end of the operand.
struct X86Reference {
  std::size_t operand_at = 0;  // bytes before the operand
  bool into_code = false;      // call, jmp and jcc: what it leads to must be code
};
// Looks at the bytes at `at`, of which `left` may be read. `before`: the byte in front of them, if it is known.
// This is a guess from the bytes alone. The caller checks whether the place exists.
[[nodiscard]] std::optional<X86Reference> find_x86_reference(const std::uint8_t* at, std::size_t left,
                                                             std::optional<std::uint8_t> before) noexcept;

// --- AArch64 --------------------------------------------------------------------------------------------
// A distance in words, `bits` wide, at `low_bit` of an instruction: B, BL, B.cond, CBZ, CBNZ, TBZ, TBNZ, LDR (literal).
struct ArmBranch {
  unsigned low_bit = 0;
  unsigned bits = 0;
  [[nodiscard]] std::uint32_t mask() const noexcept { return ((1U << bits) - 1) << low_bit; }
  // In bytes.
  [[nodiscard]] std::uint32_t distance(std::uint32_t word) const noexcept;
};
[[nodiscard]] std::optional<ArmBranch> find_arm_branch(std::uint32_t word) noexcept;

// ADRP: the page of a place, relative to the page of the instruction.
inline constexpr std::uint32_t kArmPageMask = 0x60ffffe0;
[[nodiscard]] inline bool is_arm_page(std::uint32_t word) noexcept {
  return (word & 0x9f000000) == 0x90000000;
}
// Signed, in pages.
[[nodiscard]] std::uint32_t arm_page_distance(std::uint32_t word) noexcept;
[[nodiscard]] std::uint32_t with_arm_page_distance(std::uint32_t word, std::uint32_t pages) noexcept;

// ADD (immediate), LDR and STR (unsigned immediate): the place in the page. The log2 of its unit.
inline constexpr std::uint32_t kArmLowBitsMask = 0xfffU << 10;
[[nodiscard]] std::optional<unsigned> find_arm_low_bits(std::uint32_t word) noexcept;
[[nodiscard]] inline unsigned arm_base_register(std::uint32_t word) noexcept {
  return (word >> 5) & 31;
}

}  // namespace instar::delta

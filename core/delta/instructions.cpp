#include "core/delta/instructions.hpp"

#include <array>

namespace instar::delta {
namespace {

// Whether the byte before a ModRM byte may be an opcode that has one. Of two-byte opcodes only the usual ones count.
constexpr std::array<bool, 256> make_modrm_opcodes() {
  std::array<bool, 256> has{};
  for (unsigned op = 0; op < 0x40; ++op) has[op] = (op & 7) < 4;
  for (const unsigned op : {0x63U, 0x69U, 0x6bU, 0xc0U, 0xc1U, 0xc6U, 0xc7U, 0xf6U, 0xf7U, 0xfeU, 0xffU})
    has[op] = true;
  for (unsigned op = 0x80; op < 0x90; ++op) has[op] = true;
  for (unsigned op = 0xd0; op < 0xe0; ++op) has[op] = true;
  // Two-byte opcodes: moves and arithmetic of SSE, cmov, setcc, movzx, movsx …
  for (unsigned op = 0x10; op < 0x18; ++op) has[op] = true;
  for (unsigned op = 0x40; op < 0x80; ++op) has[op] = true;
  for (unsigned op = 0x90; op < 0xa0; ++op) has[op] = true;
  for (const unsigned op : {0x28U, 0x29U, 0x2aU, 0x2eU, 0x2fU, 0xafU, 0xb0U, 0xb1U, 0xb6U, 0xb7U, 0xbeU, 0xbfU})
    has[op] = true;
  return has;
}
constexpr std::array<bool, 256> kModrmOpcodes = make_modrm_opcodes();

std::uint32_t sign_extend(std::uint32_t value, unsigned bits) noexcept {
  const std::uint32_t sign = 1U << (bits - 1);
  return (value ^ sign) - sign;
}

}  // namespace

std::optional<X86Reference> find_x86_reference(const std::uint8_t* at, std::size_t left,
                                               std::optional<std::uint8_t> before) noexcept {
  if (left >= 5 && (at[0] == 0xe8 || at[0] == 0xe9)) return X86Reference{1, true};
  if (left >= 6 && at[0] == 0x0f && (at[1] & 0xf0) == 0x80) return X86Reference{2, true};
  if (left >= 5 && (at[0] & 0xc7) == 0x05 && before && kModrmOpcodes[*before]) return X86Reference{1, false};
  return std::nullopt;
}

std::uint32_t ArmBranch::distance(std::uint32_t word) const noexcept {
  return sign_extend((word & mask()) >> low_bit, bits) << 2;
}

std::optional<ArmBranch> find_arm_branch(std::uint32_t word) noexcept {
  if ((word & 0x7c000000) == 0x14000000) return ArmBranch{0, 26};  // B, BL
  if ((word & 0xff000010) == 0x54000000) return ArmBranch{5, 19};  // B.cond
  if ((word & 0x7e000000) == 0x34000000) return ArmBranch{5, 19};  // CBZ, CBNZ
  if ((word & 0x7e000000) == 0x36000000) return ArmBranch{5, 14};  // TBZ, TBNZ
  if ((word & 0x3b000000) == 0x18000000) return ArmBranch{5, 19};  // LDR (literal)
  return std::nullopt;
}

std::uint32_t arm_page_distance(std::uint32_t word) noexcept {
  return sign_extend(((word >> 5) & 0x7ffff) << 2 | ((word >> 29) & 3), 21);
}

std::uint32_t with_arm_page_distance(std::uint32_t word, std::uint32_t pages) noexcept {
  return (word & ~kArmPageMask) | (pages & 3) << 29 | ((pages >> 2) & 0x7ffff) << 5;
}

std::optional<unsigned> find_arm_low_bits(std::uint32_t word) noexcept {
  if ((word & 0xffc00000) == 0x91000000) return 0;
  if ((word & 0x3b000000) != 0x39000000) return std::nullopt;
  const bool vector128 = (word & 0x04000000) != 0 && (word >> 30) == 0 && (word & 0x00800000) != 0;
  return vector128 ? 4 : word >> 30;
}

}  // namespace instar::delta

// Numbers in little-endian byte order at any address.
#pragma once

#include <cstdint>

namespace instar::delta {

[[nodiscard]] inline std::uint16_t load16(const std::uint8_t* at) noexcept {
  return static_cast<std::uint16_t>(at[0] | at[1] << 8);
}
[[nodiscard]] inline std::uint32_t load32(const std::uint8_t* at) noexcept {
  return std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
}
[[nodiscard]] inline std::uint64_t load64(const std::uint8_t* at) noexcept {
  return std::uint64_t{load32(at)} | std::uint64_t{load32(at + 4)} << 32;
}
inline void store16(std::uint8_t* at, std::uint16_t value) noexcept {
  at[0] = static_cast<std::uint8_t>(value);
  at[1] = static_cast<std::uint8_t>(value >> 8);
}
inline void store32(std::uint8_t* at, std::uint32_t value) noexcept {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (8 * i));
}
inline void store64(std::uint8_t* at, std::uint64_t value) noexcept {
  store32(at, static_cast<std::uint32_t>(value));
  store32(at + 4, static_cast<std::uint32_t>(value >> 32));
}

}  // namespace instar::delta

// Internal to core/trust: integers of fixed size, little-endian on any machine.
#pragma once

#include <cstdint>

#include "core/base/bytes.hpp"

namespace instar::trust {

inline void append_le32(Bytes& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

inline void append_le64(Bytes& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// `bytes` must be at least as long as the integer.
[[nodiscard]] inline std::uint32_t load_le32(ByteView bytes) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

[[nodiscard]] inline std::uint64_t load_le64(ByteView bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

}  // namespace instar::trust

// Distances that go both ways, as numbers that are small where the distance is: 0, −1, 1, −2 … are 0, 1, 2, 3 …
#pragma once

#include <cstdint>

namespace instar::delta {

[[nodiscard]] constexpr std::uint64_t zigzag(std::int64_t value) noexcept {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
[[nodiscard]] constexpr std::int64_t unzigzag(std::uint64_t value) noexcept {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

}  // namespace instar::delta

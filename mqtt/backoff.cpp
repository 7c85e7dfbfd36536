#include "mqtt/backoff.hpp"

#include <algorithm>

namespace instar::mqtt {

Backoff::Backoff(std::uint32_t ms_min, std::uint32_t ms_max) noexcept
    : ms_min_(std::max<std::uint32_t>(ms_min, 2)), ms_max_(std::max(ms_max, ms_min_)), step_ms_(ms_min_) {}

std::uint32_t Backoff::next_ms(std::uint32_t random) noexcept {
  const std::uint32_t half = step_ms_ / 2;
  const std::uint32_t delay =
      half + static_cast<std::uint32_t>(static_cast<std::uint64_t>(random) * (step_ms_ - half) >> 32U);
  step_ms_ = step_ms_ > ms_max_ / 2 ? ms_max_ : step_ms_ * 2;
  return delay;
}

}  // namespace instar::mqtt

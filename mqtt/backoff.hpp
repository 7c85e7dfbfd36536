// How long to wait before the next attempt to connect.
#pragma once

#include <cstdint>

namespace instar::mqtt {

// Doubles from `ms_min` to `ms_max`; each delay is spread over [half, whole] of its step, so that a fleet whose broker
// restarts does not come back in one instant.
class Backoff {
 public:
  Backoff(std::uint32_t ms_min, std::uint32_t ms_max) noexcept;
  // `random`: any 32 random bits.
  [[nodiscard]] std::uint32_t next_ms(std::uint32_t random) noexcept;
  // A connection that lasted: the next failure starts from the shortest delay again.
  void reset() noexcept { step_ms_ = ms_min_; }

 private:
  std::uint32_t ms_min_;
  std::uint32_t ms_max_;
  std::uint32_t step_ms_;
};

}  // namespace instar::mqtt

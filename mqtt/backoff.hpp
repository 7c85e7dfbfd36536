// How long to wait before the next attempt to connect.
#pragma once

#include <cstdint>

namespace instar::mqtt {

// Delays that double from `ms_min` to `ms_max`. Each delay is a random part of its step, at least half of it, so that
// not all of a fleet comes back at the same moment after a restart of the broker.
class Backoff {
 public:
  Backoff(std::uint32_t ms_min, std::uint32_t ms_max) noexcept;
  // `random`: any 32 random bits.
  [[nodiscard]] std::uint32_t next_ms(std::uint32_t random) noexcept;
  // To be called after a connection that lasted: the next failure has the shortest delay again.
  void reset() noexcept { step_ms_ = ms_min_; }

 private:
  std::uint32_t ms_min_;
  std::uint32_t ms_max_;
  std::uint32_t step_ms_;
};

}  // namespace instar::mqtt

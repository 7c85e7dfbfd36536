// How many devices of a rollout may start within a minute.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"

namespace instar::rollout {

class Starts {
 public:
  // 0: without a bound.
  explicit Starts(std::uint32_t per_minute_max) noexcept : per_minute_max_(per_minute_max) {}
  // Takes a place in the minute for the device; false: there is none. The same attempt gets one place: when its turn is
  // given again, the start counts from then on.
  [[nodiscard]] bool take(const DeviceId& device, std::uint32_t attempt, MonotonicMs now);
  // An earlier process has given turns, and how many in the last minute is not known.
  void hold_for_a_minute(MonotonicMs now) noexcept;
  [[nodiscard]] bool are_held(MonotonicMs now) const noexcept { return now < held_until_; }
  [[nodiscard]] bool are_bounded() const noexcept { return per_minute_max_ != 0; }
  void assert_invariants() const;

 private:
  struct Start {
    MonotonicMs at;
    DeviceId device;
    std::uint32_t attempt = 0;
  };

  std::uint32_t per_minute_max_;
  std::deque<Start> starts_;  // of the last minute, the oldest first
  MonotonicMs held_until_;
};

}  // namespace instar::rollout

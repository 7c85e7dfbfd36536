// How long the current wave is open, and how long its conditions hold: on the monotonic clock, so that a wall clock
// that jumps opens no wave.
#pragma once

#include <cstdint>

#include "core/base/time.hpp"
#include "core/rollout/exchange/record.hpp"
#include "core/rollout/rollouts/waves.hpp"

namespace instar::rollout {

class WaveClock {
 public:
  // Goes on from what the store has.
  void load(const RolloutRecord& record, std::int64_t silent_ms, Now now) noexcept;
  void wave_opened(MonotonicMs now) noexcept;
  // The conditions hold from now on, or hold no more.
  void soak_restarted(MonotonicMs now) noexcept;
  [[nodiscard]] WaveTimes times(MonotonicMs now) const noexcept;

 private:
  MonotonicMs opened_;   // the current wave
  MonotonicMs settled_;  // its conditions hold since then, if they do
};

}  // namespace instar::rollout

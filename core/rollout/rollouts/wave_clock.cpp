#include "core/rollout/rollouts/wave_clock.hpp"

#include <algorithm>

namespace instar::rollout {

void WaveClock::load(const RolloutRecord& record, std::int64_t silent_ms, Now now) noexcept {
  // No message could arrive while the broker was down: at least half of the time for that is left to the devices.
  const auto opened = record.wave_opened.empty() ? record.started : record.wave_opened.back();
  opened_ = now.monotonic + -std::clamp<std::int64_t>(now.wall - opened, 0, silent_ms / 2);
  // The soak goes on from what was saved of it: a wall clock that was set forward meanwhile does not shorten it.
  settled_ = now.monotonic + -std::max<std::int64_t>(record.soaked_ms, 0);
}

void WaveClock::wave_opened(MonotonicMs now) noexcept {
  opened_ = settled_ = now;
}

void WaveClock::soak_restarted(MonotonicMs now) noexcept {
  settled_ = now;
}

WaveTimes WaveClock::times(MonotonicMs now) const noexcept {
  return {now - opened_, now - settled_};
}

}  // namespace instar::rollout

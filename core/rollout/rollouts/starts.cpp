#include "core/rollout/rollouts/starts.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::rollout {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

}  // namespace

bool Starts::take(const DeviceId& device, std::uint32_t attempt, MonotonicMs now) {
  if (per_minute_max_ == 0) return true;
  std::erase_if(starts_, [&](const Start& start) {
    return (start.device == device && start.attempt == attempt) || now - start.at >= kMinuteMs;
  });
  if (starts_.size() >= per_minute_max_) return false;
  starts_.push_back({now, device, attempt});
  return true;
}

void Starts::hold_for_a_minute(MonotonicMs now) noexcept {
  if (per_minute_max_ != 0) held_until_ = now + kMinuteMs;
}

void Starts::assert_invariants() const {
  INSTAR_ASSERT(starts_.size() <= per_minute_max_);
  INSTAR_ASSERT(std::ranges::is_sorted(starts_, {}, &Start::at));
}

}  // namespace instar::rollout

#include "core/rollout/rollouts/wave_times.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

std::int64_t soak_of(const wire::Policy& policy, std::size_t wave) {
  return std::int64_t{wire::wave_of(policy, wave).soak_s} * 1'000;
}

}  // namespace

bool mend_wave_times(const wire::Policy& policy, WallMs earliest, WallMs now, std::vector<WallMs>& opened) {
  const auto before = opened;
  auto latest = now;
  for (std::size_t i = opened.size(); i-- > 0;) {
    opened[i] = std::min(opened[i], latest);
    if (i > 0) latest = opened[i] + -soak_of(policy, i - 1);
  }
  auto soonest = earliest;
  for (std::size_t i = 0; i < opened.size(); ++i) {
    opened[i] = std::max(opened[i], std::min(before[i], soonest));
    soonest = opened[i] + soak_of(policy, i);
  }
  return opened != before;
}

}  // namespace instar::rollout

#include "tests/sim/policies.hpp"

#include <algorithm>

namespace instar::sim {
namespace {

std::uint32_t u32(Random& random, std::int64_t low, std::int64_t high) {
  return static_cast<std::uint32_t>(random.between(low, high));
}

// By names, counts or shares, rising, and everyone in the end.
std::vector<wire::Wave> draw_waves(Random& random, const std::vector<std::string>& devices, bool gentle) {
  std::vector<wire::Wave> waves;
  const auto count = random.between(1, 3);
  std::uint32_t share = 0;
  std::uint32_t devices_before = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    wire::Wave wave;
    const auto kind = random.below(3);
    if (kind == 0) {
      for (std::int64_t n = random.between(1, 3); n > 0; --n)
        wave.devices.push_back(devices[random.below(devices.size())]);
      if (!gentle && random.chance(1'000)) wave.devices.emplace_back("dev-unknown");
    } else if (kind == 1) {
      devices_before += u32(random, 1, 3);
      wave.device_count = devices_before;
    } else {
      share += u32(random, 500, 2'500);
      wave.share_bp = static_cast<std::uint16_t>(share);
    }
    wave.success_bp = static_cast<std::uint16_t>(gentle ? random.between(1, 9'000) : random.between(3'000, 10'000));
    wave.quorum_bp = static_cast<std::uint16_t>(gentle ? random.between(0, 5'000) : random.between(0, 10'000));
    wave.soak_s = random.chance(5'000) ? 0 : u32(random, 10, gentle ? 20 : 90);
    // Longer than the story: what opens after it, somebody else has opened.
    if (!gentle && random.chance(1'500)) wave.soak_s = u32(random, 3'600, 20'000);
    wave.approval = !gentle && random.chance(2'000);
    waves.push_back(std::move(wave));
  }
  wire::Wave all;
  all.share_bp = 10'000;
  waves.push_back(std::move(all));
  return waves;
}

}  // namespace

wire::Policy draw_policy(Random& random, const std::vector<std::string>& devices) {
  wire::Policy policy;
  policy.attempts_max = u32(random, 1, 3);
  policy.backoff_s = u32(random, 1, 30);
  policy.metered_fallback = random.chance(7'000);
  policy.silent_s = u32(random, 30, 400);
  if (random.chance(6'000)) policy.waves = draw_waves(random, devices, false);
  const bool asks = std::ranges::any_of(policy.waves, &wire::Wave::approval);
  policy.approval_signed = random.chance(5'000) && asks;
  if (random.chance(4'000)) {
    if (random.chance(5'000)) {
      policy.failures_max = u32(random, 1, 4);
    } else {
      policy.failures_bp = static_cast<std::uint16_t>(random.between(500, 6'000));
    }
    policy.budget_action = static_cast<wire::BudgetAction>(random.below(3));
  }
  policy.revert_allowed = policy.budget_action == wire::BudgetAction::revert || random.chance(4'000);
  if (random.chance(3'000)) policy.in_flight_max = u32(random, 1, static_cast<std::int64_t>(devices.size()));
  if (random.chance(2'000)) policy.starts_per_minute_max = u32(random, 1, static_cast<std::int64_t>(devices.size()));
  if (random.chance(1'000)) policy.windows = {{static_cast<std::uint8_t>(random.between(1, 127)), 0, 1'440}};
  policy.download_any_time = random.chance(5'000);
  policy.consent = random.chance(1'000);
  policy.unmetered_only = random.chance(500);
  if (random.chance(1'500)) policy.device_bytes_max = static_cast<std::uint64_t>(random.between(50'000, 800'000));
  if (random.chance(1'500)) policy.rollout_bytes_max = static_cast<std::uint64_t>(random.between(100'000, 4'000'000));
  if (random.chance(1'000)) policy.rate_bytes_per_s_max = u32(random, 2'000, 200'000);
  return policy;
}

wire::Policy draw_gentle_policy(Random& random, const std::vector<std::string>& devices) {
  wire::Policy policy;
  policy.attempts_max = 3;
  policy.backoff_s = 5;
  policy.metered_fallback = true;
  policy.silent_s = u32(random, 30, 60);
  if (random.chance(6'000)) policy.waves = draw_waves(random, devices, true);
  const auto half = static_cast<std::int64_t>((devices.size() + 1) / 2);
  if (random.chance(3'000)) policy.in_flight_max = u32(random, half, 2 * half);
  if (random.chance(2'000)) policy.starts_per_minute_max = u32(random, half, 2 * half);
  return policy;
}

}  // namespace instar::sim

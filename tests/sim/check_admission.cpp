#include <algorithm>

#include "core/trust/digest.hpp"
#include "tests/sim/rollout_checks.hpp"

namespace instar::sim {
namespace {

constexpr std::int64_t kDayMinutes = 24 * 60;
constexpr std::int64_t kWeekMinutes = 7 * kDayMinutes;
// By so much the clocks of machines that are looked after may differ (docs/decisions/0013-whose-clock-counts.md).
constexpr std::int64_t kClocksDifferMs = 10 * 60 * 1'000;

// Whether the device's clock is good enough to see that a gate lies ahead of it.
bool can_tell(const AdmissionCheck::Start& start, const wire::Manifest& manifest) {
  if (start.clock == wire::ClockState::synchronized) return true;
  if (start.clock == wire::ClockState::none) return false;
  return std::max(manifest.issued, kRootIssued) - start.wall <= kClocksDifferMs;
}

// Where no soak stands before a wave, the time at which it opened proves nothing.
bool has_soak_before(const wire::Policy& policy, std::uint32_t wave) {
  bool found = false;
  for (std::size_t before = 0; before < wave && before < policy.waves.size(); ++before)
    found = found || policy.waves[before].soak_s > 0;
  return found;
}

// Since Monday 00:00 local time, by the device's own clock. 1970 began on a Thursday.
std::int64_t minute_of_week(const AdmissionCheck::Start& start) {
  const auto local = start.wall.value / 1'000 + start.utc_offset_s;
  const auto minutes = (local >= 0 ? local : local - 59) / 60 + 3 * kDayMinutes;
  return (minutes % kWeekMinutes + kWeekMinutes) % kWeekMinutes;
}

}  // namespace

std::uint32_t place_of(const wire::Policy& policy, const std::string& device) {
  Bytes input = policy.salt;
  input.insert(input.end(), device.begin(), device.end());
  const auto hash = trust::digest(input);
  std::uint32_t place = 0;
  for (int i = 7; i >= 4; --i) place = place << 8 | hash.bytes[static_cast<std::size_t>(i)];
  return place;
}

int wave_of_device(const wire::Policy& policy, const std::vector<std::uint64_t>& limits, const std::string& device) {
  for (std::size_t wave = 0; wave < limits.size(); ++wave) {
    if (place_of(policy, device) < limits[wave]) return static_cast<int>(wave);
    if (wave < policy.waves.size() && std::ranges::count(policy.waves[wave].devices, device) > 0)
      return static_cast<int>(wave);
  }
  return -1;
}

void AdmissionCheck::started(const Start& start) {
  const auto found = releases_.find(start.rollout);
  if (found == releases_.end()) return world_.found(start.device + " begins a release that no operator published");
  const auto& release = *found->second;
  const auto& policy = release.manifest.policy;
  const auto name = start.device + " begins " + release.manifest.release;
  if (start.held) world_.found(name + " though its owner holds updates");
  if (policy.consent && !start.consented) world_.found(name + " without its owner's consent");
  if (policy.unmetered_only && start.metered) world_.found(name + " over a metered link");
  if (!is_admitted(start, release)) world_.found(name + " though no gate of the broker has admitted it");
  check_clock(start, release.manifest);
  check_newest(start, name);
}

bool AdmissionCheck::is_admitted(const Start& start, const Release& release) {
  const auto& policy = release.manifest.policy;
  const auto admits = [&](const wire::Gate& gate) {
    if (gate.state != wire::GateState::open) return false;
    if (place_of(policy, start.device) < gate.admitted_point) return true;
    for (std::size_t wave = 0; wave <= gate.wave && wave < policy.waves.size(); ++wave) {
      if (std::ranges::count(policy.waves[wave].devices, start.device) > 0) return true;
    }
    return false;
  };
  if (std::ranges::any_of(gates_[start.rollout], admits)) return true;
  return std::ranges::any_of(said_ahead_[start.rollout], [&](const wire::Gate& gate) {
    return admits(gate) && !(has_soak_before(policy, gate.wave) && can_tell(start, release.manifest) &&
                             gate.wave_opened.back() - start.wall > kClocksDifferMs);
  });
}

// What has begun may go on: attempts after the first are no new start of the release.
void AdmissionCheck::check_clock(const Start& start, const wire::Manifest& manifest) {
  const auto name = start.device + " begins " + manifest.release;
  if (start.is_first && manifest.expires.value != 0 && start.wall >= manifest.expires)
    world_.found(name + " which by its own clock has expired");
  const auto& policy = manifest.policy;
  if (policy.windows.empty() || policy.download_any_time) return;
  const auto minute = minute_of_week(start);
  const bool open = std::ranges::any_of(policy.windows, [&](const wire::MaintenanceWindow& window) {
    for (std::int64_t day = 0; day < 7; ++day) {
      const auto since = (minute - day * kDayMinutes - window.start_minute + 2 * kWeekMinutes) % kWeekMinutes;
      if ((window.days >> day & 1) != 0 && since < window.duration_minutes) return true;
    }
    return false;
  });
  if (!open) world_.found(name + " outside of its windows by its own clock");
}

// Gates that somebody else has signed have the number of one of the broker's, or 1.
void AdmissionCheck::check_newest(const Start& start, const std::string& name) {
  const auto kept = kept_.find({start.shows_as, start.rollout});
  if (kept == kept_.end()) return;
  std::uint64_t last = 1;
  bool is_known = false;
  bool is_open = false;
  for (const auto& gate : gates_[start.rollout]) {
    last = std::max(last, gate.issue);
    is_known = is_known || gate.issue == kept->second;
    is_open = is_open || (gate.issue == kept->second && gate.state == wire::GateState::open);
  }
  if (kept->second > last) return world_.found(name + " by a gate that is newer than any of the broker");
  if (is_known && !is_open) world_.found(name + " though the newest gate that it has kept lets nobody begin");
}

void AdmissionCheck::kept(const std::string& device, const ManifestId& rollout, std::uint64_t issue) {
  if (!releases_.contains(rollout)) return;
  auto& highest = kept_[{device, rollout}];
  highest = std::max(highest, issue);
}

void AdmissionCheck::runs(const std::string& device, const wire::RevisionInfo& running) {
  auto& before = running_[device];
  if (before.manifest == running.manifest) return;
  if (running.sequence < before.sequence) {
    const auto& gates = gates_[before.manifest];
    const bool taken_back =
        std::ranges::any_of(gates, [](const wire::Gate& gate) { return gate.state == wire::GateState::reverted; });
    const auto release = releases_.find(before.manifest);
    const bool allowed = release != releases_.end() && release->second->manifest.policy.revert_allowed;
    if (!taken_back || !allowed) world_.found(device + " falls from " + before.release + " back to " + running.release);
  }
  before = running;
}

}  // namespace instar::sim

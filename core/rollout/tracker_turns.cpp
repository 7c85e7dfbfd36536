// Turns (how many devices are in flight, how many start in a minute) and byte leases.
#include <algorithm>

#include "core/rollout/tracker.hpp"

namespace instar::rollout {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

}  // namespace

// A device that has its turn and is not heard of for long gives its place away; when it comes back it goes on all the
// same, so that for a while more than in_flight_max may be under way. The other way round, devices that died would stop
// the rollout for good.
std::uint64_t Tracker::count_in_flight(const Rollout& rollout, Now now) const {
  const auto silent_ms = std::int64_t{rollout.policy->silent_s} * 1'000;
  return static_cast<std::uint64_t>(
      std::count_if(rollout.in_flight.begin(), rollout.in_flight.end(), [&](const DeviceId& id) {
        const auto device = devices_.find(id);
        return device != devices_.end() && (device->second.online || now.monotonic - device->second.heard < silent_ms);
      }));
}

// Told anew it counts anew: the device starts then, not when the turn was given.
bool Tracker::take_start(Rollout& rollout, const DeviceId& device, std::uint32_t attempt, Now now) {
  if (rollout.policy->starts_per_minute_max == 0) return true;
  std::erase_if(rollout.starts, [&](const Start& start) {
    return (start.device == device && start.attempt == attempt) || now.monotonic - start.told >= kMinuteMs;
  });
  if (rollout.starts.size() >= rollout.policy->starts_per_minute_max) return false;
  rollout.starts.push_back({now.monotonic, device, attempt});
  return true;
}

bool Tracker::has_turn(const DeviceId& device, std::uint64_t prefix, std::uint32_t attempt) const {
  const auto hash = by_prefix(prefix);
  const auto rollout = hash ? rollouts_.find(*hash) : rollouts_.end();
  if (rollout == rollouts_.end()) return false;
  const auto member = rollout->second.members.find(device);
  if (member == rollout->second.members.end()) return false;
  return member->second.record.granted == attempt && member->second.record.attempt == attempt &&
         member->second.record.asks == 0;
}

void Tracker::note_untold(Rollout& rollout, const DeviceId& device) {
  if (std::ranges::find(rollout.untold, device) == rollout.untold.end()) rollout.untold.push_back(device);
}

// A turn that was given and not heard of is said again when it fits into the minute, before others are given theirs.
void Tracker::repeat_turns(const Hash256& hash, Rollout& rollout, Now now, Effects& effects) {
  while (!rollout.untold.empty()) {
    const auto id = rollout.untold.front();
    const auto member = rollout.members.find(id);
    const auto device = devices_.find(id);
    const bool still = member != rollout.members.end() && device != devices_.end() &&
                       member->second.record.step == wire::Step::waiting &&
                       member->second.record.granted == member->second.record.attempt;
    if (still) {
      if (!take_start(rollout, id, member->second.record.attempt, now)) return;
      effects.emplace_back(SendAck{
          id, {device->second.record.applied_sequence, Code::ok, "", hash.prefix64(), member->second.record.attempt}});
    }
    rollout.untold.pop_front();
  }
}

void Tracker::give_turns(const Hash256& hash, Rollout& rollout, Now now, Effects& effects) {
  auto& record = rollout.record;
  if (record.state != RolloutState::active || now.monotonic < rollout.no_starts_before) return;
  const auto& policy = *rollout.policy;
  repeat_turns(hash, rollout, now, effects);
  if (!rollout.untold.empty()) return;
  auto in_flight = policy.in_flight_max == 0 ? 0 : count_in_flight(rollout, now);
  bool given = false;
  while (!rollout.queue.empty()) {
    if (policy.in_flight_max != 0 && in_flight >= policy.in_flight_max) break;
    const auto id = rollout.queue.begin()->second;
    auto member = rollout.members.at(id).record;
    if (!take_start(rollout, id, member.attempt, now)) break;
    member.asks = 0;
    member.granted = member.attempt;
    const auto attempt = member.attempt;
    save_member(hash, id, std::move(member), effects);
    if (policy.starts_per_minute_max != 0) ++record.starts;
    ++in_flight;
    given = true;
    effects.emplace_back(
        SendAck{id, {devices_.at(id).record.applied_sequence, Code::ok, "", hash.prefix64(), attempt}});
  }
  if (given && policy.starts_per_minute_max != 0) save(hash, rollout, effects);
}

std::uint64_t Tracker::lease_step(const wire::Policy& policy) noexcept {
  return std::clamp<std::uint64_t>(policy.rollout_bytes_max / 256, 256 * 1024, 64 * 1024 * 1024);
}

void Tracker::extend_leases(Effects& effects) {
  for (const auto& hash : std::exchange(leases_due_, {})) {
    auto* const rollout = find_rollout(hash);
    if (rollout == nullptr) continue;
    const auto most = rollout->policy->rollout_bytes_max;
    const auto leased = std::min(most, rollout->bytes_charged + lease_step(*rollout->policy));
    if (leased <= rollout->record.bytes_leased) continue;
    rollout->record.bytes_leased = leased;
    save(hash, *rollout, effects);
    effects.emplace_back(LeaseSaved{hash, leased});
  }
}

void Tracker::lease_saved(const Hash256& hash, std::uint64_t bytes) {
  auto* const rollout = find_rollout(hash);
  if (rollout != nullptr) rollout->bytes_leased = std::max(rollout->bytes_leased, bytes);
}

}  // namespace instar::rollout

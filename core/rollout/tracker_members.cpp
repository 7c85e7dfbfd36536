// Who is a member of what, and the sums that follow from it.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/rollout/tracker.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

// May leave a rollout without a trace: it has told and taken nothing.
bool is_untouched(const MemberRecord& member) {
  return member.step == wire::Step::waiting && member.report_sequence == 0 && member.bytes_sent == 0;
}

bool covers(const RolloutRecord& rollout, const DeviceRecord& device) {
  return std::any_of(rollout.groups.begin(), rollout.groups.end(), [&](const GroupPath& group) {
    return std::any_of(device.groups.begin(), device.groups.end(),
                       [&](const GroupPath& own) { return group.covers(own); });
  });
}

}  // namespace

std::string_view Rollout::state_name() const noexcept {
  switch (record.state) {
    case RolloutState::paused: return "paused";
    case RolloutState::aborted: return "aborted";
    case RolloutState::reverted: return "reverted";
    case RolloutState::active: break;
  }
  const auto& sums_now = sums();
  return sums_now.devices > 0 && is_last_wave() && sums_now.all_ended() ? "complete" : "active";
}

Counts Tracker::recount(const Rollout& rollout) {
  Counts counts;
  for (const auto& [device, member] : rollout.members) counts.add(member.record);
  return counts;
}

std::vector<WaveCounts> Tracker::recount_waves(const Rollout& rollout) {
  Rollout empty;
  empty.waves.resize(rollout.waves.size());
  for (const auto& [device, member] : rollout.members) count(empty, member, true);
  return empty.waves;
}

// In and out again must come to nothing: only what `member` itself says is looked at.
void Tracker::count(Rollout& rollout, const Member& member, bool in) {
  if (in) {
    rollout.counts.add(member.record);
  } else {
    rollout.counts.subtract(member.record);
  }
  if (member.wave < 0) return;
  auto& wave = rollout.waves.at(static_cast<std::size_t>(member.wave));
  const auto standing = standing_of(member.record);
  const auto change = [in](std::uint64_t& number) {
    INSTAR_ASSERT(in || number > 0);
    number += in ? 1 : -1;
  };
  change(wave.admitted);
  switch (standing) {
    case Standing::waiting: change(wave.waiting); break;
    case Standing::in_flight: change(wave.in_flight); break;
    case Standing::committed: change(wave.committed); break;
    case Standing::failed: change(wave.failed); break;
    case Standing::retrying: change(wave.retrying); break;
    case Standing::left_out: change(wave.left_out); break;
  }
  if (!has_ended(standing) && !member.seen) change(wave.unseen);
}

Rollout* Tracker::find_rollout(const Hash256& hash) noexcept {
  const auto found = rollouts_.find(hash);
  return found == rollouts_.end() ? nullptr : &found->second;
}

void Tracker::set_member(Rollout& rollout, const DeviceId& device, MemberRecord record, bool stored) {
  auto [it, is_new] = rollout.members.try_emplace(device);
  auto& member = it->second;
  if (is_new) {
    member.point = wire::placement_point(rollout.policy->salt, device);
    const auto wave = wire::first_wave(*rollout.policy, rollout.record.wave_limits, device, member.point);
    member.wave = wave.has_value() ? static_cast<std::int16_t>(*wave) : std::int16_t{-1};
    const auto found = devices_.find(device);
    member.seen = found != devices_.end() && found->second.online;
  } else {
    count(rollout, member, false);
    if (member.record.asks != record.asks) rollout.queue.erase(member.record.asks);
  }
  if (record.asks != 0) rollout.queue[record.asks] = device;
  if (record.granted != 0 && record.granted == record.attempt && record.asks == 0 && !has_ended(standing_of(record)) &&
      standing_of(record) != Standing::retrying) {
    rollout.in_flight.insert(device);
  } else {
    rollout.in_flight.erase(device);
  }
  rollout.updated = std::max(rollout.updated, record.updated);
  member.record = std::move(record);
  member.stored = stored;
  count(rollout, member, true);
}

void Tracker::mark_seen(const DeviceId& device, const std::optional<Hash256>& hash) {
  auto* const rollout = hash.has_value() ? find_rollout(*hash) : nullptr;
  if (rollout == nullptr) return;
  const auto member = rollout->members.find(device);
  if (member == rollout->members.end() || member->second.seen) return;
  count(*rollout, member->second, false);
  member->second.seen = true;
  count(*rollout, member->second, true);
}

void Tracker::save_member(const Hash256& hash, const DeviceId& device, MemberRecord record, Effects& effects) {
  effects.emplace_back(SaveMember{hash, device, encode(record)});
  effects.emplace_back(ShowStatus{hash});
  set_member(rollouts_.at(hash), device, std::move(record), true);
  settle_bytes(hash, device);
}

void Tracker::drop_member(const Hash256& hash, const DeviceId& device, Effects* effects) {
  auto& rollout = rollouts_.at(hash);
  const auto member = rollout.members.find(device);
  if (member == rollout.members.end()) return;
  count(rollout, member->second, false);
  rollout.queue.erase(member->second.record.asks);
  rollout.in_flight.erase(device);
  if (effects != nullptr) {
    if (member->second.stored) effects->emplace_back(RemoveMember{hash, device});
    effects->emplace_back(ShowStatus{hash});
  }
  rollout.members.erase(member);
  settle_bytes(hash, device);
}

void Tracker::settle_bytes(const Hash256& hash, const DeviceId& device) {
  for (auto* unsaved : {&devices_due_, &devices_with_new_bytes_}) {
    if (const auto entry = unsaved->find(device); entry != unsaved->end()) std::erase(entry->second, hash);
  }
}

std::optional<Hash256> Tracker::find_target(const DeviceRecord& device) const {
  const auto sequences = by_product_.find(device.product);
  if (sequences == by_product_.end()) return std::nullopt;
  const bool runs = device.running.has_value() && device.running->product == device.product;
  for (auto it = sequences->second.rbegin(); it != sequences->second.rend(); ++it) {
    if (runs && it->first < device.running->sequence) return std::nullopt;  // a device never goes back to an older one
    const auto& record = rollouts_.at(it->second).record;
    const bool goes_on = record.state == RolloutState::active || record.state == RolloutState::paused;
    if (goes_on && covers(record, device)) return it->second;
  }
  return std::nullopt;
}

void Tracker::place(const DeviceId& id, Device& device, Effects* effects) {
  const auto target = find_target(device.record);
  if (device.target.has_value() && device.target != target) {
    const auto old = rollouts_.find(*device.target);
    if (old != rollouts_.end()) {
      const auto member = old->second.members.find(id);
      if (member != old->second.members.end() && is_untouched(member->second.record))
        drop_member(*device.target, id, effects);
    }
  }
  device.target = target;
  if (!target.has_value()) return;
  auto& rollout = rollouts_.at(*target);
  auto& members = rollout.members;
  const bool runs_it = device.record.running.has_value() && device.record.running->manifest == *target;
  const auto known = members.find(id);
  if (known != members.end() && !(runs_it && is_untouched(known->second.record))) return;
  if (known != members.end() && effects == nullptr) return;
  MemberRecord member;
  member.updated = rollout.record.started;
  if (!runs_it || effects == nullptr) {
    set_member(rollout, id, std::move(member), false);
    if (effects != nullptr) effects->emplace_back(ShowStatus{*target});
    return;
  }
  // It runs what this rollout brings, though this store has heard no report of that: an earlier one has.
  member.step = wire::Step::committed;
  save_member(*target, id, std::move(member), *effects);
}

void Tracker::place_product(std::string_view product, Effects& effects) {
  for (auto& [id, device] : devices_) {
    if (device.record.product == product) place(id, device, &effects);
  }
}

}  // namespace instar::rollout

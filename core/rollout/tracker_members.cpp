// Who is a member of what, and the sums that follow from it.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/rollout/tracker.hpp"

namespace instar::rollout {
namespace {

// May leave a rollout without a trace: it has told and taken nothing.
bool is_untouched(const MemberRecord& member) {
  return member.step == wire::Step::waiting && member.report_sequence == 0 && member.bytes_sent == 0;
}

bool covers(const RolloutRecord& rollout, const DeviceRecord& device) {
  return std::any_of(rollout.groups.begin(), rollout.groups.end(), [&](const GroupPath& group) {
    return std::any_of(device.groups.begin(), device.groups.end(), [&](const GroupPath& own) { return group.covers(own); });
  });
}

}  // namespace

bool Counts::all_final() const noexcept {
  for (std::size_t step = 0; step < kStepCount; ++step) {
    if (by_step[step] > 0 && !wire::is_final(static_cast<wire::Step>(step))) return false;
  }
  return true;
}

void Counts::add(const MemberRecord& member) {
  ++by_step[static_cast<std::size_t>(member.step)];
  ++devices;
  bytes_sent += member.bytes_sent;
  bytes_full += member.bytes_full;
  if (member.code != Code::ok) ++reasons[{member.code, member.reason}];
}

void Counts::subtract(const MemberRecord& member) {
  auto& count = by_step[static_cast<std::size_t>(member.step)];
  INSTAR_ASSERT(count > 0 && devices > 0);
  INSTAR_ASSERT(bytes_sent >= member.bytes_sent && bytes_full >= member.bytes_full);
  --count;
  --devices;
  bytes_sent -= member.bytes_sent;
  bytes_full -= member.bytes_full;
  if (member.code == Code::ok) return;
  const auto reason = reasons.find({member.code, member.reason});
  INSTAR_ASSERT(reason != reasons.end());
  if (--reason->second == 0) reasons.erase(reason);
}

std::string_view Rollout::state_name() const noexcept {
  switch (record.state) {
    case RolloutState::paused: return "paused";
    case RolloutState::aborted: return "aborted";
    case RolloutState::active: break;
  }
  return counts.devices > 0 && counts.all_final() ? "complete" : "active";
}

Counts Tracker::recount(const Rollout& rollout) {
  Counts counts;
  for (const auto& [device, member] : rollout.members) counts.add(member.record);
  return counts;
}

void Tracker::set_member(const Hash256& hash, const DeviceId& device, MemberRecord record, bool stored) {
  auto& rollout = rollouts_.at(hash);
  auto [it, is_new] = rollout.members.try_emplace(device);
  if (!is_new) rollout.counts.subtract(it->second.record);
  rollout.counts.add(record);
  rollout.updated = std::max(rollout.updated, record.updated);
  it->second = {std::move(record), stored};
}

void Tracker::save_member(const Hash256& hash, const DeviceId& device, MemberRecord record, Effects& effects) {
  effects.emplace_back(SaveMember{hash, device, encode(record)});
  effects.emplace_back(ShowStatus{hash});
  set_member(hash, device, std::move(record), true);
}

void Tracker::drop_member(const Hash256& hash, const DeviceId& device, Effects* effects) {
  auto& rollout = rollouts_.at(hash);
  const auto member = rollout.members.find(device);
  if (member == rollout.members.end()) return;
  rollout.counts.subtract(member->second.record);
  if (effects != nullptr) {
    if (member->second.stored) effects->emplace_back(RemoveMember{hash, device});
    effects->emplace_back(ShowStatus{hash});
  }
  rollout.members.erase(member);
  members_with_new_bytes_.erase({hash, device});
}

std::optional<Hash256> Tracker::find_target(const DeviceRecord& device) const {
  const auto sequences = by_product_.find(device.product);
  if (sequences == by_product_.end()) return std::nullopt;
  const bool runs = device.running.has_value() && device.running->product == device.product;
  for (auto it = sequences->second.rbegin(); it != sequences->second.rend(); ++it) {
    if (runs && it->first < device.running->sequence) return std::nullopt;  // a device never goes back to an older one
    const auto& record = rollouts_.at(it->second).record;
    if (record.state != RolloutState::aborted && covers(record, device)) return it->second;
  }
  return std::nullopt;
}

void Tracker::place(const DeviceId& id, Device& device, Effects* effects) {
  const auto target = find_target(device.record);
  if (device.target.has_value() && device.target != target) {
    const auto old = rollouts_.find(*device.target);
    if (old != rollouts_.end()) {
      const auto member = old->second.members.find(id);
      if (member != old->second.members.end() && is_untouched(member->second.record)) drop_member(*device.target, id, effects);
    }
  }
  device.target = target;
  if (!target.has_value()) return;
  auto& members = rollouts_.at(*target).members;
  const bool runs_it = device.record.running.has_value() && device.record.running->manifest == *target;
  const auto known = members.find(id);
  if (known != members.end() && !(runs_it && is_untouched(known->second.record))) return;
  if (known != members.end() && effects == nullptr) return;
  MemberRecord member;
  member.updated = rollouts_.at(*target).record.started;
  if (!runs_it || effects == nullptr) {
    set_member(*target, id, std::move(member), false);
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

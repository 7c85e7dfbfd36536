// Loading, and events from operators.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/rollout/tracker.hpp"

namespace instar::rollout {

void Tracker::load_rollout(const Hash256& hash, RolloutRecord record) {
  index_rollout(hash, record);
  auto& rollout = rollouts_[hash];
  rollout.updated = record.updated;
  rollout.record = std::move(record);
}

void Tracker::load_device(const DeviceId& id, DeviceRecord record) {
  devices_[id].record = std::move(record);
}

void Tracker::load_member(const Hash256& hash, const DeviceId& device, MemberRecord record) {
  // Members of a rollout or device whose record could not be read count for nothing.
  if (!rollouts_.contains(hash) || !devices_.contains(device)) return;
  set_member(hash, device, std::move(record), true);
}

void Tracker::loaded() {
  for (auto& [id, device] : devices_) place(id, device, nullptr);
}

void Tracker::index_rollout(const Hash256& hash, const RolloutRecord& record) {
  by_product_[record.product][record.sequence] = hash;
  by_prefix_[hash.prefix64()] = hash;
  order_last_ = std::max(order_last_, record.order);
  for (const auto& group : record.groups) {
    const auto now = group_rollouts_.find(group);
    if (now == group_rollouts_.end() || rollouts_.at(now->second).record.order < record.order) group_rollouts_[group] = hash;
  }
}

std::uint64_t Tracker::highest_sequence(std::string_view product) const {
  const auto sequences = by_product_.find(product);
  return sequences == by_product_.end() || sequences->second.empty() ? 0 : sequences->second.rbegin()->first;
}

std::optional<Hash256> Tracker::by_prefix(std::uint64_t prefix64) const {
  const auto found = by_prefix_.find(prefix64);
  if (found == by_prefix_.end()) return std::nullopt;
  return found->second;
}

const Rollout* Tracker::rollout(const Hash256& hash) const noexcept {
  const auto found = rollouts_.find(hash);
  return found == rollouts_.end() ? nullptr : &found->second;
}

namespace {

// One wave, of all: what this version can carry out. Any other policy would be bent, not obeyed.
Status check_policy(const wire::Policy& policy) {
  const auto& waves = policy.waves;
  if (waves.empty()) return {};
  const bool of_all = waves.size() == 1 && (waves[0].share_bp == 10'000 || waves[0].share_bp == 0) && waves[0].device_count == 0 &&
                      waves[0].devices.empty() && !waves[0].approval;
  if (of_all) return {};
  return fail(Code::unsupported, "the policy has " + std::to_string(waves.size()) +
                                     " wave(s) that are not simply all devices, which this broker cannot carry out: publish without waves");
}

}  // namespace

Result<Tracker::Taken> Tracker::take_manifest(const Hash256& hash, const wire::Manifest& manifest, Now now, Effects& effects) {
  const auto highest = highest_sequence(manifest.product);
  if (rollouts_.contains(hash)) {
    const bool current = std::all_of(manifest.groups.begin(), manifest.groups.end(), [&](const GroupPath& group) {
      const auto found = group_rollouts_.find(group);
      return found != group_rollouts_.end() && found->second == hash;
    });
    if (current) return Taken::known;
  }
  if (manifest.sequence <= highest) {
    return fail(Code::stale, "sequence " + std::to_string(manifest.sequence) + " of product " + manifest.product +
                                 " is not above the highest one taken so far, " + std::to_string(highest) +
                                 ": publish again with a higher one");
  }
  INSTAR_CHECK(check_policy(manifest.policy));
  make_room(effects);
  if (rollouts_.size() >= limits::kRolloutsMax) {
    return fail(Code::too_large,
                "the broker keeps at most " + std::to_string(limits::kRolloutsMax) + " rollouts, and all are some group's current one");
  }
  RolloutRecord record;
  record.product = manifest.product;
  record.release = manifest.release;
  record.sequence = manifest.sequence;
  record.groups = manifest.groups;
  record.wave_opened = {now.wall};
  record.order = order_last_ + 1;
  record.started = now.wall;
  record.updated = now.wall;
  load_rollout(hash, std::move(record));
  place_product(manifest.product, effects);
  send_gates(hash, rollouts_.at(hash), now, effects);
  effects.emplace_back(ShowStatus{hash});
  effects.emplace_back(Note{5, "rollout " + hash.short_hex() + " of " + manifest.product + " " + manifest.release + " (sequence " +
                                   std::to_string(manifest.sequence) + ") begins"});
  return Taken::created;
}

// Drops the oldest rollout that no group looks at any more, when there are too many.
void Tracker::make_room(Effects& effects) {
  if (rollouts_.size() < limits::kRolloutsMax) return;
  std::set<Hash256> current;
  for (const auto& [group, hash] : group_rollouts_) current.insert(hash);
  auto oldest = rollouts_.end();
  for (auto it = rollouts_.begin(); it != rollouts_.end(); ++it) {
    if (current.contains(it->first)) continue;
    if (oldest == rollouts_.end() || it->second.record.order < oldest->second.record.order) oldest = it;
  }
  if (oldest == rollouts_.end()) return;
  const auto hash = oldest->first;
  const auto product = oldest->second.record.product;
  for (const auto& [device, member] : oldest->second.members) {
    if (member.stored) effects.emplace_back(RemoveMember{hash, device});
  }
  by_product_[product].erase(oldest->second.record.sequence);
  by_prefix_.erase(hash.prefix64());
  rollouts_.erase(oldest);
  effects.emplace_back(RemoveRollout{hash});
  for (auto& [id, device] : devices_) {
    if (device.target == hash) device.target.reset();
  }
}

Status Tracker::act(const Hash256& hash, Action action, Now now, Effects& effects) {
  const auto found = rollouts_.find(hash);
  if (found == rollouts_.end()) return fail(Code::not_found, "no rollout " + hash.short_hex() + " is known here");
  auto& rollout = found->second;
  const auto to = state_after(rollout.record.state, action);
  if (!to.has_value()) {
    return fail(Code::refused, "rollout " + hash.short_hex() + " was aborted, and stays so: publish a new release");
  }
  if (*to == rollout.record.state) return {};
  rollout.record.state = *to;
  rollout.record.updated = now.wall;
  rollout.updated = now.wall;
  if (*to == RolloutState::aborted) place_product(rollout.record.product, effects);
  send_gates(hash, rollout, now, effects);
  effects.emplace_back(ShowStatus{hash});
  effects.emplace_back(Note{5, "rollout " + hash.short_hex() + ": " + std::string(action_name(action)) + " by an operator"});
  return {};
}

void Tracker::refresh_gates(Now now, Effects& effects) {
  std::set<Hash256> current;
  for (const auto& [group, hash] : group_rollouts_) current.insert(hash);
  for (const auto& hash : current) send_gates(hash, rollouts_.at(hash), now, effects);
}

void Tracker::send_gates(const Hash256& hash, Rollout& rollout, Now now, Effects& effects) {
  auto& record = rollout.record;
  ++record.issue;
  effects.emplace_back(SaveRollout{hash, encode(record)});
  for (const auto& group : record.groups) {
    if (group_rollouts_.at(group) != hash) continue;
    wire::Gate gate;
    gate.group = group;
    gate.product = record.product;
    gate.manifest = hash;
    gate.sequence = record.sequence;
    gate.state = static_cast<wire::GateState>(record.state);
    gate.admitted_bp = 10'000;
    gate.wave = record.wave;
    gate.fresh = now.wall;
    gate.wave_opened = record.wave_opened;
    gate.issue = record.issue;
    gate.retry_epoch = record.retry_epoch;
    effects.emplace_back(SendGate{std::move(gate)});
  }
}

}  // namespace instar::rollout

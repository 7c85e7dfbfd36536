// Events from devices.
#include "core/rollout/tracker.hpp"

#include <algorithm>
#include <tuple>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::rollout {

Status Tracker::hello(const wire::Hello& hello, Via via, Now now, Effects& effects) {
  const auto found = devices_.find(hello.device);
  if (found == devices_.end() && devices_.size() >= limits::kDevicesMax) {
    return fail(Code::unavailable, "the broker keeps at most " + std::to_string(limits::kDevicesMax) +
                                       " devices: forget those that are gone (instar devices forget)");
  }
  if (found != devices_.end() && found->second.record.key != hello.key) {
    return fail(Code::untrusted_key,
                "device " + hello.device.str() +
                    " is known here by another key; if it was made anew on purpose, an operator must forget it first "
                    "(control command forgetDevice)");
  }
  if (found != devices_.end() && via == Via::bridge) {
    const auto& known = found->second.record;
    if (std::tie(hello.boot, hello.connect) < std::tie(known.boot, known.connect)) {
      return fail(Code::stale, "device " + hello.device.str() + ": an older hello than one heard already");
    }
  }
  auto& device = devices_[hello.device];
  auto& record = device.record;
  if (found == devices_.end()) {
    record.key = hello.key;
    record.first_seen = now.wall;
    effects.emplace_back(Note{5, "device " + hello.device.str() + " is new; its key is pinned"});
  }
  record.product = hello.product;
  record.groups = hello.groups;
  record.architecture = hello.architecture;
  record.kernel = hello.kernel;
  record.client_version = hello.client_version;
  record.memory_bytes = hello.memory_bytes;
  record.free_bytes = hello.free_bytes;
  record.metered = hello.metered;
  record.boot = hello.boot;
  record.connect = hello.connect;
  record.root_version = hello.root_version;
  record.degraded = hello.degraded;
  record.pack_formats = hello.pack_formats;
  record.image_formats = hello.image_formats;
  record.handlers = hello.handlers;
  record.last_seen = now.wall;
  online_ += device.online ? 0 : 1;
  device.online = true;
  device.heard = now.monotonic;
  // Higher than ours only when this store has lost what an earlier one had acked.
  record.applied_sequence = std::max(record.applied_sequence, hello.acked_sequence);
  // A hello from before a report that is applied already (QoS 1 brings one again after a lost connection) must not undo
  // it. A device that has lost its state says hello once more when it has learnt where its numbers go on.
  const bool is_current = hello.last_sequence >= record.applied_sequence;
  if (is_current) {
    record.running = hello.running;
    record.previous = hello.previous;
  }
  place(hello.device, device, &effects);
  mark_seen(hello.device, device.target);
  // With a report still to come, that report says it better.
  if (hello.last_sequence == record.applied_sequence) {
    adopt_hello(hello, device, now, effects);
    answer_asking(hello, now, effects);
  }
  save_device(hello.device, device, effects);
  effects.emplace_back(SendAck{hello.device, {record.applied_sequence, Code::ok, "", 0, 0}});
  return {};
}

// Takes over where the device is in a rollout that it has told nothing about here.
void Tracker::adopt_hello(const wire::Hello& hello, Device& device, Now now, Effects& effects) {
  if (hello.step == wire::Step::idle) return;
  const auto rollout = rollouts_.find(hello.rollout);
  if (rollout == rollouts_.end()) return;
  MemberRecord member;
  if (const auto known = rollout->second.members.find(hello.device); known != rollout->second.members.end())
    member = known->second.record;
  if (member.step == hello.step && member.attempt == hello.attempt) return;
  if (!may_follow(member.step, member.attempt, hello.step, hello.attempt)) return;
  member.step = hello.step;
  member.attempt = hello.attempt;
  member.code = Code::ok;
  member.reason.clear();
  member.again = false;
  member.asks = 0;
  member.report_sequence = device.record.applied_sequence;
  member.updated = now.wall;
  save_member(hello.rollout, hello.device, std::move(member), effects);
  advance(hello.rollout, rollout->second, now, effects);
}

// Its turn may have come while it was away, or with an ack that was lost; or its question was.
void Tracker::answer_asking(const wire::Hello& hello, Now now, Effects& effects) {
  if (!hello.asks_start) return;
  const auto rollout = rollouts_.find(hello.rollout);
  if (rollout == rollouts_.end()) return;
  const auto known = rollout->second.members.find(hello.device);
  if (known == rollout->second.members.end() || known->second.record.attempt != hello.attempt) return;
  if (known->second.record.granted == hello.attempt) {
    note_untold(rollout->second, hello.device);
    return give_turns(hello.rollout, rollout->second, now, effects);
  }
  if (known->second.record.asks != 0) return;
  auto member = known->second.record;
  member.asks = ++ask_last_;
  save_member(hello.rollout, hello.device, std::move(member), effects);
  give_turns(hello.rollout, rollout->second, now, effects);
}

Status Tracker::report(const wire::Report& report, Now now, Effects& effects) {
  const auto found = devices_.find(report.device);
  if (found == devices_.end()) {
    return fail(Code::not_found, "device " + report.device.str() + " is not known here: it must say hello first");
  }
  auto& device = found->second;
  device.heard = now.monotonic;
  if (report.sequence == device.record.applied_sequence + 1) {
    apply(report, device, now, effects);
  }
  effects.emplace_back(SendAck{report.device, {device.record.applied_sequence, Code::ok, "", 0, 0}});
  return {};
}

void Tracker::apply(const wire::Report& report, Device& device, Now now, Effects& effects) {
  auto& record = device.record;
  record.applied_sequence = report.sequence;
  record.last_seen = now.wall;
  if (report.running.has_value()) record.running = report.running;
  const ReportSummary summary{report.sequence, report.rollout, report.attempt,       report.step,
                              report.code,     report.reason,  report.bytes_fetched, now.wall};
  effects.emplace_back(SaveReport{report.device, report.sequence, encode(summary)});

  auto* const rollout = find_rollout(report.rollout);
  if (rollout != nullptr && !rollout->record.archived.has_value()) {
    MemberRecord member;
    const auto known = rollout->members.find(report.device);
    if (known != rollout->members.end()) member = known->second.record;
    if (may_follow(member.step, member.attempt, report.step, report.attempt)) {
      const auto before = standing_of(member);
      const bool asks = report.asks_start && report.step == wire::Step::waiting;
      const bool asked_before = member.asks != 0 && member.attempt == report.attempt;
      // It has its turn, and has not heard of that yet, or had to wait for something else meanwhile.
      const bool has_turn = asks && member.granted != 0 && member.granted == report.attempt;
      if (has_turn) {
        member.asks = 0;
        note_untold(*rollout, report.device);
      } else if (!asks || !asked_before) {
        member.asks = asks ? ++ask_last_ : 0;
      }
      // An attempt that has come to an end, or was given up, has no turn any more.
      if (wire::is_final(report.step)) member.granted = 0;
      // A word beside the way (a gate that is not obeyed) plans nothing, and takes nothing back of what the attempt has
      // planned.
      if (report.bytes_full != 0 || report.attempt != member.attempt) {
        member.bytes_planned = report.bytes_planned;
        member.bytes_fetched = report.bytes_fetched;
        member.bytes_full = report.bytes_full;
        member.pack_kind = report.pack_kind;
      }
      member.step = report.step;
      member.attempt = report.attempt;
      member.again = report.again;
      member.code = report.code;
      member.reason = report.reason;
      if (report.downtime_ms > 0) member.downtime_ms = report.downtime_ms;
      if (report.switch_ms > 0) member.switch_ms = report.switch_ms;
      member.report_sequence = report.sequence;
      member.updated = now.wall;
      if (before == Standing::failed && standing_of(member) != Standing::failed)
        recovered(report.rollout, *rollout, effects);
      save_member(report.rollout, report.device, std::move(member), effects);
    } else {
      effects.emplace_back(Note{4, "device " + report.device.str() + " reports " +
                                       std::string(wire::step_name(report.step)) + " after " +
                                       std::string(wire::step_name(member.step)) + " in attempt " +
                                       std::to_string(report.attempt) + ": not counted"});
    }
  } else if (rollout == nullptr && report.code != Code::ok) {
    effects.emplace_back(Note{
        4, "device " + report.device.str() + " reports " + std::string(code_name(report.code)) + ": " + report.reason});
  }
  place(report.device, device, &effects);
  mark_seen(report.device, report.rollout);
  save_device(report.device, device, effects);
  if (rollout != nullptr) advance(report.rollout, *rollout, now, effects);
}

// A device that had failed tries anew: its failure is no longer one that was forgiven, and its wave may yet succeed.
void Tracker::recovered(const Hash256& hash, Rollout& rollout, Effects& effects) {
  auto& record = rollout.record;
  if (record.forgiven == 0 && !record.stuck_forgiven) return;
  record.forgiven -= record.forgiven > 0 ? 1 : 0;
  record.stuck_forgiven = false;
  save(hash, rollout, effects);
}

void Tracker::heard(const DeviceId& id, Now now) {
  const auto device = devices_.find(id);
  if (device == devices_.end()) return;
  device->second.heard = now.monotonic;
  mark_seen(id, device->second.target);
}

void Tracker::is_there(const DeviceId& id) {
  const auto device = devices_.find(id);
  if (device == devices_.end() || device->second.online) return;
  device->second.online = true;
  ++online_;
  mark_seen(id, device->second.target);
}

void Tracker::gone(const DeviceId& id, Now now) {
  const auto device = devices_.find(id);
  if (device == devices_.end() || !device->second.online) return;
  device->second.online = false;
  device->second.heard = now.monotonic;
  --online_;
}

Charge Tracker::charge(const DeviceId& id, std::uint64_t prefix, std::uint64_t bytes) {
  const auto device = devices_.find(id);
  if (device == devices_.end()) return Charge::ok;
  const auto count = [&] {
    device->second.record.bytes_sent += bytes;
    if (!devices_due_.contains(id)) devices_with_new_bytes_.try_emplace(id);
  };
  const auto hash = by_prefix(prefix);
  auto* const rollout = hash.has_value() ? find_rollout(*hash) : nullptr;
  if (rollout == nullptr) {
    count();
    return Charge::ok;
  }
  // It may have begun before the broker has heard of it, or while its place is with a newer release: it costs the
  // rollout all the same.
  const auto member = rollout->members.find(id);
  const bool known = member != rollout->members.end();
  const auto& policy = *rollout->policy;
  const auto sent = known ? member->second.record.bytes_sent : 0;
  if (policy.device_bytes_max != 0 && sent + bytes > policy.device_bytes_max) return Charge::device_spent;
  if (policy.rollout_bytes_max != 0) {
    if (rollout->bytes_charged + bytes > policy.rollout_bytes_max) {
      rollout->bytes_spent = true;
      return Charge::rollout_spent;
    }
    if (rollout->bytes_charged + bytes + lease_step(policy) / 2 > rollout->record.bytes_leased)
      leases_due_.insert(*hash);
    if (rollout->bytes_charged + bytes > rollout->bytes_leased) return Charge::wait;
  }
  rollout->bytes_charged += bytes;
  count();
  if (!known) return Charge::ok;
  member->second.record.bytes_sent += bytes;
  rollout->counts.bytes_sent += bytes;
  const auto due = devices_due_.find(id);
  auto& unsaved = due == devices_due_.end() ? devices_with_new_bytes_[id] : due->second;
  if (std::ranges::find(unsaved, *hash) == unsaved.end()) unsaved.push_back(*hash);
  return Charge::ok;
}

// With it go the bytes that were counted for its memberships.
void Tracker::save_device(const DeviceId& id, const Device& device, Effects& effects) {
  effects.emplace_back(SaveDevice{id, encode(device.record)});
  for (auto* unsaved : {&devices_due_, &devices_with_new_bytes_}) {
    const auto entry = unsaved->extract(id);
    if (entry.empty()) continue;
    for (const auto& hash : entry.mapped()) {
      auto* const rollout = find_rollout(hash);
      if (rollout == nullptr) continue;
      const auto member = rollout->members.find(id);
      if (member == rollout->members.end()) continue;
      member->second.stored = true;
      effects.emplace_back(SaveMember{hash, id, encode(member->second.record)});
      effects.emplace_back(ShowStatus{hash});
    }
  }
}

void Tracker::save_bytes(std::size_t devices_max, Effects& effects) {
  for (std::size_t i = 0; i < devices_max; ++i) {
    if (devices_due_.empty()) devices_due_.swap(devices_with_new_bytes_);
    if (devices_due_.empty()) return;
    const auto id = devices_due_.begin()->first;
    save_device(id, devices_.at(id), effects);
  }
}

Status Tracker::forget(const DeviceId& id, Effects& effects) {
  const auto device = devices_.find(id);
  if (device == devices_.end()) return fail(Code::not_found, "no device " + id.str() + " is known here");
  for (auto& [hash, rollout] : rollouts_) drop_member(hash, id, &effects);
  online_ -= device->second.online ? 1 : 0;
  effects.emplace_back(RemoveDevice{id, device->second.record.applied_sequence});
  devices_.erase(device);
  devices_due_.erase(id);
  devices_with_new_bytes_.erase(id);
  effects.emplace_back(Note{5, "device " + id.str() + " is forgotten; the next hello under this name pins a new key"});
  return {};
}

const Device* Tracker::device(const DeviceId& id) const noexcept {
  const auto found = devices_.find(id);
  return found == devices_.end() ? nullptr : &found->second;
}

}  // namespace instar::rollout

#include "core/rollout/devices/roster.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::rollout {

void Roster::load(const DeviceId& device, DeviceRecord record) {
  if (!record.took_part) newcomers_.add(record.login);
  enrolments_.apply(device, record.description);
  devices_[device].record = std::move(record);
}

bool Roster::is_repeated(const wire::Hello& hello) const noexcept {
  const auto* known = find(hello.device);
  if (known == nullptr || known->record.awaits_key || known->record.key != hello.key) return false;
  return std::tie(hello.boot, hello.connect, hello.instance) ==
         std::tie(known->record.boot, known->record.connect, known->record.instance);
}

Status Roster::check(const wire::Hello& hello, const Origin& origin, WallMs now) const {
  const auto* known = find(hello.device);
  INSTAR_CHECK(tombstones_.check(hello.device, hello.key));
  INSTAR_CHECK(enrolments_.check(hello, known != nullptr && !known->record.awaits_key, now));
  if (known == nullptr) {
    if (devices_.size() < limits::kDevicesMax) return newcomers_.check(origin.login);
    return fail(Code::unavailable, "the broker keeps at most " + std::to_string(limits::kDevicesMax) +
                                       " devices: forget those that are gone (instar devices forget)");
  }
  const auto& last = known->record;
  if (last.awaits_key) {
    if (last.awaited_key == 0 || last.awaited_key == hello.key.id()) return {};
    return fail(Code::untrusted_key, "device " + hello.device.str() + " is to be replaced by one with another key");
  }
  if (last.key != hello.key) {
    return fail(Code::untrusted_key,
                "device " + hello.device.str() +
                    " is known here by another key: if it was installed again, or is new hardware, an operator takes "
                    "it in (instar devices replace " +
                    hello.device.str() + "), or forgets it");
  }
  if (std::tie(hello.boot, hello.connect) > std::tie(last.boot, last.connect)) return {};
  return fail(Code::stale, "device " + hello.device.str() + ": a hello of start " + std::to_string(hello.boot) + ", " +
                               std::to_string(hello.connect) + " is not later than one taken before (start " +
                               std::to_string(last.boot) + ", " + std::to_string(last.connect) + ")");
}

// Each start of a client has a number of its own. One that comes back after another was there, or two in one start, are
// two devices. In its very first start a device may have lost its state, which looks the same.
bool Roster::note_clone(const wire::Hello& hello, DeviceRecord& record, bool is_taken, Now now, Effects& effects) {
  if (hello.instance == 0 || record.instance == 0 || hello.instance == record.instance) return false;
  const bool came_back =
      is_taken && std::ranges::find(record.instances_before, hello.instance) != record.instances_before.end();
  const bool same_start = hello.boot == record.boot && hello.boot > 1;
  if (!came_back && !same_start) return false;
  if (record.cloned.value != 0 && now.wall - record.cloned < limits::kCloneNotedMs) return false;
  record.cloned = now.wall;
  effects.emplace_back(Note{LogLevel::warning,
                            "two devices speak as " + hello.device.str() +
                                " with the same key (a cloned disk?): give one of them a name and a key of its own, "
                                "and replace the other (instar devices replace)",
                            hello.device});
  return true;
}

bool Roster::note_stale(const wire::Hello& hello, Now now, Effects& effects) {
  auto* const known = find(hello.device);
  return known != nullptr && note_clone(hello, known->record, false, now, effects);
}

void Roster::note_other_key(const wire::Hello& hello, WallMs now) noexcept {
  auto* const known = find(hello.device);
  if (known == nullptr || known->record.key == hello.key || !tombstones_.check(hello.device, hello.key)) return;
  known->other_key = hello.key.id();
  known->other_key_at = now;
}

void Roster::pin(const wire::Hello& hello, DeviceRecord& record, bool is_new, Effects& effects) {
  record.key = hello.key;
  record.awaits_key = false;
  record.awaited_key = 0;
  enrolments_.note_pinned(hello, effects);
  effects.emplace_back(Note{
      LogLevel::notice,
      "device " + hello.device.str() + (is_new ? " is new; its key is pinned" : " is replaced; its new key is pinned"),
      hello.device});
}

void Roster::await_key(const DeviceId& device, Device& known, trust::KeyId key, WallMs now, Effects& effects) {
  auto& record = known.record;
  if (!record.awaits_key) tombstones_.add(device, record.key, now, effects);
  record.key = {};
  record.awaits_key = true;
  record.awaited_key = key;
  record.boot = record.connect = 0;
  record.instance = 0;
  record.instances_before.clear();
  record.cloned = {};
  record.description.running.reset();
  record.description.previous.reset();
  record.description.highest_sequence = 0;
}

Device& Roster::describe(const wire::Hello& hello, Now now, Effects& effects, const std::string& login) {
  const auto [entry, is_new] = devices_.try_emplace(hello.device);
  auto& device = entry->second;
  auto& record = device.record;
  if (is_new) {
    record.first_seen = now.wall;
    record.login = login;
    newcomers_.add(login);
  }
  if (is_new || record.awaits_key) {
    pin(hello, record, is_new, effects);
    device.other_key = 0;
    device.other_key_at = {};
  }
  static_cast<void>(note_clone(hello, record, true, now, effects));
  if (record.instance != hello.instance) {
    auto& before = record.instances_before;
    std::erase(before, hello.instance);
    if (record.instance != 0) before.insert(before.begin(), record.instance);
    if (before.size() > limits::kInstancesKeptMax) before.pop_back();
    record.instance = hello.instance;
  }
  record.boot = hello.boot;
  record.connect = hello.connect;
  record.last_seen = now.wall;
  connect(device);
  device.heard = now.monotonic;
  // Higher than ours only if this store has lost what an earlier one had acked.
  record.applied_sequence = std::max(record.applied_sequence, hello.acked_sequence);
  auto description = hello.description;
  enrolments_.apply(hello.device, description);
  // A hello from before a report that is applied already must not undo it: QoS 1 delivers one again after a lost
  // connection. A device that has lost its state says hello once more when it knows where its numbers go on.
  if (hello.last_sequence < record.applied_sequence) {
    description.running = std::move(record.description.running);
    description.previous = std::move(record.description.previous);
  }
  record.description = std::move(description);
  record.described = now.wall;
  return device;
}

Device* Roster::find(const DeviceId& device) noexcept {
  const auto found = devices_.find(device);
  return found == devices_.end() ? nullptr : &found->second;
}

const Device* Roster::find(const DeviceId& device) const noexcept {
  const auto found = devices_.find(device);
  return found == devices_.end() ? nullptr : &found->second;
}

bool Roster::connect(Device& device) noexcept {
  if (device.online) return false;
  device.online = true;
  ++online_;
  return true;
}

void Roster::disconnect(Device& device, Now now) noexcept {
  if (!device.online) return;
  device.online = false;
  device.heard = now.monotonic;
  --online_;
}

void Roster::note_part(Device& device) {
  if (std::exchange(device.record.took_part, true)) return;
  newcomers_.remove(device.record.login);
}

void Roster::erase(const DeviceId& device) {
  const auto found = devices_.find(device);
  INSTAR_ASSERT(found != devices_.end());
  if (!found->second.record.took_part) newcomers_.remove(found->second.record.login);
  online_ -= found->second.online ? 1 : 0;
  devices_.erase(found);
}

bool Roster::is_online(const DeviceId& device) const noexcept {
  const auto* found = find(device);
  return found != nullptr && found->online;
}

void Roster::assert_invariants() const {
  const auto online = std::ranges::count_if(devices_, [](const auto& entry) { return entry.second.online; });
  INSTAR_ASSERT(static_cast<std::size_t>(online) == online_);
  const auto strangers =
      std::ranges::count_if(devices_, [](const auto& entry) { return !entry.second.record.took_part; });
  INSTAR_ASSERT(static_cast<std::size_t>(strangers) == newcomers_.count());
  newcomers_.assert_invariants();
  tombstones_.assert_invariants();
  enrolments_.assert_invariants();
}

}  // namespace instar::rollout

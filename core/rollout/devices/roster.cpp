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
  devices_[device].record = std::move(record);
}

Status Roster::check(const wire::Hello& hello, const Origin& origin) const {
  const auto* known = find(hello.device);
  if (known == nullptr) {
    if (devices_.size() < limits::kDevicesMax) return newcomers_.check(origin.login);
    return fail(Code::unavailable, "the broker keeps at most " + std::to_string(limits::kDevicesMax) +
                                       " devices: forget those that are gone (instar devices forget)");
  }
  if (known->record.key != hello.key) {
    return fail(Code::untrusted_key,
                "device " + hello.device.str() +
                    " is known here by another key; if it was made anew on purpose, an operator must forget it first "
                    "(control command forgetDevice)");
  }
  if (origin.via == Via::bridge &&
      std::tie(hello.boot, hello.connect) < std::tie(known->record.boot, known->record.connect)) {
    return fail(Code::stale, "device " + hello.device.str() + ": an older hello than one heard already");
  }
  return {};
}

Device& Roster::describe(const wire::Hello& hello, Now now, Effects& effects, const std::string& login) {
  const auto [entry, is_new] = devices_.try_emplace(hello.device);
  auto& device = entry->second;
  auto& record = device.record;
  if (is_new) {
    record.key = hello.key;
    record.first_seen = now.wall;
    record.login = login;
    newcomers_.add(login);
    effects.emplace_back(
        Note{LogLevel::notice, "device " + hello.device.str() + " is new; its key is pinned", hello.device});
  }
  record.boot = hello.boot;
  record.connect = hello.connect;
  record.last_seen = now.wall;
  connect(device);
  device.heard = now.monotonic;
  // Higher than ours only if this store has lost what an earlier one had acked.
  record.applied_sequence = std::max(record.applied_sequence, hello.acked_sequence);
  auto description = hello.description;
  // A hello from before a report that is applied already must not undo it: QoS 1 delivers one again after a lost
  // connection. A device that has lost its state says hello once more when it knows where its numbers go on.
  if (hello.last_sequence < record.applied_sequence) {
    description.running = std::move(record.description.running);
    description.previous = std::move(record.description.previous);
  }
  record.description = std::move(description);
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
}

}  // namespace instar::rollout

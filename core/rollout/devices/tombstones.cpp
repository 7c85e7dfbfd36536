#include "core/rollout/devices/tombstones.hpp"

#include <algorithm>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::rollout {

void Tombstones::put(const DeviceId& device, Entries entries) {
  if (const auto found = entries_.find(device); found != entries_.end()) {
    by_age_.erase({found->second.front().since.value, device});
    count_ -= found->second.size();
    entries_.erase(found);
  }
  if (entries.empty()) return;
  by_age_.insert({entries.front().since.value, device});
  count_ += entries.size();
  entries_.emplace(device, std::move(entries));
}

void Tombstones::save(const DeviceId& device, Effects& effects) const {
  const auto found = entries_.find(device);
  effects.emplace_back(
      SaveTombstones{device, found == entries_.end() ? std::nullopt : std::optional(encode(found->second))});
}

void Tombstones::load(const DeviceId& device, std::vector<Tombstone> tombstones) {
  put(device, std::move(tombstones));
}

Status Tombstones::check(const DeviceId& device, const trust::PublicKey& key) const {
  const auto found = entries_.find(device);
  if (found == entries_.end()) return {};
  const auto hash = hash_of(key);
  if (std::ranges::find(found->second, hash, &Tombstone::key) == found->second.end()) return {};
  return fail(Code::untrusted_key,
              "this key of device " + device.str() +
                  " was taken back by an operator: give the device a new key (remove its key file), or let this one "
                  "come again (instar devices forget " +
                  device.str() + " --allow-key)");
}

void Tombstones::add(const DeviceId& device, const trust::PublicKey& key, WallMs now, Effects& effects) {
  const auto found = entries_.find(device);
  Entries entries = found == entries_.end() ? Entries() : found->second;
  const auto hash = hash_of(key);
  std::erase_if(entries, [&](const Tombstone& one) { return one.key == hash; });
  entries.push_back({hash, now});
  if (entries.size() > limits::kTombstonesPerDeviceMax) entries.erase(entries.begin());
  put(device, std::move(entries));
  save(device, effects);
  while (count_ > limits::kTombstonesMax) {
    const auto oldest = by_age_.begin()->second;
    auto left = entries_.at(oldest);
    left.erase(left.begin());
    put(oldest, std::move(left));
    save(oldest, effects);
  }
}

bool Tombstones::lift(const DeviceId& device, Effects& effects) {
  if (!entries_.contains(device)) return false;
  put(device, {});
  save(device, effects);
  return true;
}

void Tombstones::assert_invariants() const {
  INSTAR_ASSERT(by_age_.size() == entries_.size());
  std::size_t count = 0;
  for (const auto& [device, entries] : entries_) {
    INSTAR_ASSERT(!entries.empty());
    INSTAR_ASSERT(by_age_.contains({entries.front().since.value, device}));
    count += entries.size();
  }
  INSTAR_ASSERT(count == count_);
}

}  // namespace instar::rollout

// Keys of devices that were taken back: a device that was forgotten or replaced does not come back by its old key,
// whoever holds that. A part of the devices' side.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/exchange/effects.hpp"
#include "core/rollout/exchange/record.hpp"

namespace instar::rollout {

class Tombstones {
 public:
  void load(const DeviceId& device, std::vector<Tombstone> tombstones);
  // Errors: untrusted_key (it was taken back).
  [[nodiscard]] Status check(const DeviceId& device, const trust::PublicKey& key) const;
  // Takes the key back. Past limits::kTombstonesPerDeviceMax and kTombstonesMax the oldest is given up.
  void add(const DeviceId& device, const trust::PublicKey& key, WallMs now, Effects& effects);
  // Its keys may come again. False: none was taken back.
  bool lift(const DeviceId& device, Effects& effects);
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  void assert_invariants() const;

 private:
  using Entries = std::vector<Tombstone>;  // of one device: oldest first, never empty
  // Replaces a device's entries.
  void put(const DeviceId& device, Entries entries);
  void save(const DeviceId& device, Effects& effects) const;

  std::map<DeviceId, Entries> entries_;
  std::set<std::pair<std::int64_t, DeviceId>> by_age_;  // of each device's oldest
  std::size_t count_ = 0;
};

}  // namespace instar::rollout

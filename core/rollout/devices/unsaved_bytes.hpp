// Whose counted bytes are not in the store yet, and which rollouts they count for. Pieces go out far too often for a
// write each: devices are saved one after the other, those first that have waited longest.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"

namespace instar::rollout {

class UnsavedBytes {
 public:
  // Bytes of the device were counted; `rollout`: for its membership there as well.
  void count(const DeviceId& device, const std::optional<ManifestId>& rollout);
  // The device is being saved. Returns the memberships to be saved with it.
  [[nodiscard]] std::vector<ManifestId> take(const DeviceId& device);
  // The membership has been saved, or is no more.
  void settle(const DeviceId& device, const ManifestId& rollout);
  void forget(const DeviceId& device);
  // The device to be saved next.
  [[nodiscard]] std::optional<DeviceId> next();
  [[nodiscard]] std::size_t size() const noexcept { return due_.size() + with_new_.size(); }
  void assert_invariants() const;

 private:
  using Unsaved = std::map<DeviceId, std::vector<ManifestId>>;
  // No device is in both. All in `due_` are saved before one in `with_new_` becomes due.
  Unsaved due_;
  Unsaved with_new_;
};

}  // namespace instar::rollout

// Which rollouts there are for a device, by their terms, and which of them is its target.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/rollout/exchange/fleet.hpp"

namespace instar::rollout {

class Offers {
 public:
  // Replaces the terms of before, if any.
  void set(const ManifestId& rollout, Terms terms);
  void erase(const ManifestId& rollout);
  // nullptr: no such rollout.
  [[nodiscard]] const Terms* find(const ManifestId& rollout) const noexcept;
  // By its product and its groups, as the broker knows them, the rollout is for the device.
  [[nodiscard]] static bool is_for(const Terms& terms, const DeviceRecord& device);
  // Drops nothing but says so: the members of this rollout are no longer kept.
  void mark_archived(const ManifestId& rollout);
  // The rollout that the device should take: the newest of its product that goes on and covers one of its groups, if
  // that is not older than what it runs.
  [[nodiscard]] std::optional<ManifestId> target_of(const DeviceRecord& device) const;
  [[nodiscard]] std::size_t size() const noexcept { return terms_.size(); }
  void assert_invariants() const;

 private:
  std::map<ManifestId, Terms> terms_;
  // Product → sequence and rollout: two rollouts for different groups may have the same sequence.
  std::map<std::string, std::set<std::pair<std::uint64_t, ManifestId>>, std::less<>> by_product_;
};

}  // namespace instar::rollout

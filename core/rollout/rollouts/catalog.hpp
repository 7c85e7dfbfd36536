// Which rollouts there are, by product, by group and by the start of their hash.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/rollout/exchange/record.hpp"

namespace instar::rollout {

class Catalog {
 public:
  void add(const ManifestId& rollout, const RolloutRecord& record);
  void remove(const ManifestId& rollout, const RolloutRecord& record);

  [[nodiscard]] std::size_t size() const noexcept { return orders_.size(); }
  // The rollout whose manifest stands on each group's topic: of those for the group, the one with the highest order.
  [[nodiscard]] const std::map<GroupPath, ManifestId>& by_group() const noexcept { return by_group_; }
  [[nodiscard]] bool is_current_for(const GroupPath& group, const ManifestId& rollout) const;
  // Those that are the current one of some group.
  [[nodiscard]] const std::set<ManifestId>& current() const noexcept { return current_; }
  [[nodiscard]] bool is_current(const ManifestId& rollout) const { return current_.contains(rollout); }
  // The oldest that is no group's current one; nullopt: all are current.
  [[nodiscard]] std::optional<ManifestId> oldest_replaced() const;
  // Of one product, the last one taken first.
  [[nodiscard]] std::vector<ManifestId> of_product(std::string_view product) const;
  // The hash whose first 8 bytes are these; for topics and fetches.
  [[nodiscard]] std::optional<ManifestId> by_prefix(std::uint64_t prefix64) const;
  [[nodiscard]] std::uint64_t order_last() const noexcept { return order_last_; }
  void assert_invariants() const;

 private:
  std::map<std::string, std::map<std::uint64_t, ManifestId>, std::less<>> by_product_;  // product → order → rollout
  std::map<std::uint64_t, ManifestId> by_prefix_;
  std::map<GroupPath, ManifestId> by_group_;
  std::set<ManifestId> current_;                // the values of by_group_
  std::map<ManifestId, std::uint64_t> orders_;  // of each rollout, in which its manifest was taken
  std::uint64_t order_last_ = 0;
};

}  // namespace instar::rollout

#include "core/rollout/rollouts/catalog.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::rollout {

void Catalog::add(const ManifestId& rollout, const RolloutRecord& record) {
  by_product_[record.product][record.order] = rollout;
  by_prefix_[rollout.prefix64()] = rollout;
  order_last_ = std::max(order_last_, record.order);
  orders_[rollout] = record.order;
  for (const auto& group : record.groups) {
    const auto before = by_group_.find(group);
    if (before == by_group_.end() || orders_.at(before->second) < record.order) by_group_[group] = rollout;
  }
  current_.clear();
  for (const auto& [group, current] : by_group_) current_.insert(current);
}

void Catalog::remove(const ManifestId& rollout, const RolloutRecord& record) {
  INSTAR_ASSERT(!is_current(rollout));
  by_product_[record.product].erase(record.order);
  by_prefix_.erase(rollout.prefix64());
  orders_.erase(rollout);
}

bool Catalog::is_current_for(const GroupPath& group, const ManifestId& rollout) const {
  const auto found = by_group_.find(group);
  return found != by_group_.end() && found->second == rollout;
}

std::optional<ManifestId> Catalog::oldest_replaced() const {
  std::optional<ManifestId> oldest;
  for (const auto& [rollout, order] : orders_) {
    if (!is_current(rollout) && (!oldest.has_value() || order < orders_.at(*oldest))) oldest = rollout;
  }
  return oldest;
}

std::vector<ManifestId> Catalog::of_product(std::string_view product) const {
  std::vector<ManifestId> out;
  const auto orders = by_product_.find(product);
  if (orders == by_product_.end()) return out;
  for (auto it = orders->second.rbegin(); it != orders->second.rend(); ++it) out.push_back(it->second);
  return out;
}

std::optional<ManifestId> Catalog::by_prefix(std::uint64_t prefix64) const {
  const auto found = by_prefix_.find(prefix64);
  if (found == by_prefix_.end()) return std::nullopt;
  return found->second;
}

void Catalog::assert_invariants() const {
  std::set<ManifestId> current;
  for (const auto& [group, rollout] : by_group_) {
    INSTAR_ASSERT(orders_.contains(rollout));
    current.insert(rollout);
  }
  INSTAR_ASSERT(current == current_);
  for (const auto& [rollout, order] : orders_) INSTAR_ASSERT(order <= order_last_);
  for (const auto& [product, orders] : by_product_) {
    for (const auto& [order, rollout] : orders) INSTAR_ASSERT(orders_.at(rollout) == order);
  }
}

}  // namespace instar::rollout

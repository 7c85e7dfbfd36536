#include "core/rollout/rollouts/catalog.hpp"

#include <algorithm>
#include <iterator>

#include "core/base/assert.hpp"

namespace instar::rollout {

void Catalog::add(const ManifestId& rollout, const RolloutRecord& record) {
  by_product_[record.product][record.order] = rollout;
  by_prefix_[rollout.prefix64()] = rollout;
  order_last_ = std::max(order_last_, record.order);
  orders_[rollout] = record.order;
  for (const auto& group : record.groups) {
    const Audience audience{group, record.product};
    auto& orders = of_audience_[audience];
    orders[record.order] = rollout;
    by_audience_[audience] = orders.rbegin()->second;
  }
  current_.clear();
  for (const auto& [audience, current] : by_audience_) current_.insert(current);
}

std::vector<Audience> Catalog::choose(const std::function<OfferState(const ManifestId&)>& state_of) {
  std::vector<Audience> changed;
  current_.clear();
  for (auto& [audience, current] : by_audience_) {
    const auto& orders = of_audience_.at(audience);
    auto choice = orders.rbegin();
    const auto before = current;
    if (state_of(choice->second) == OfferState::ended) {
      const auto earlier = std::find_if(std::next(choice), orders.rend(), [&](const auto& one) {
        const auto state = state_of(one.second);
        return state == OfferState::stands || (state != OfferState::ended && one.second == before);
      });
      if (earlier != orders.rend()) choice = earlier;
    }
    current = choice->second;
    if (current != before) changed.push_back(audience);
    current_.insert(current);
  }
  return changed;
}

void Catalog::remove(const ManifestId& rollout, const RolloutRecord& record) {
  INSTAR_ASSERT(!is_current(rollout));
  by_product_[record.product].erase(record.order);
  by_prefix_.erase(rollout.prefix64());
  orders_.erase(rollout);
  for (const auto& group : record.groups) of_audience_.at({group, record.product}).erase(record.order);
}

bool Catalog::is_current_for(const Audience& audience, const ManifestId& rollout) const {
  const auto found = by_audience_.find(audience);
  return found != by_audience_.end() && found->second == rollout;
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
  INSTAR_ASSERT(by_audience_.size() == of_audience_.size());
  for (const auto& [audience, rollout] : by_audience_) {
    INSTAR_ASSERT(orders_.contains(rollout));
    INSTAR_ASSERT(of_audience_.at(audience).contains(orders_.at(rollout)));
    current.insert(rollout);
  }
  INSTAR_ASSERT(current == current_);
  for (const auto& [rollout, order] : orders_) INSTAR_ASSERT(order <= order_last_);
  for (const auto& [product, orders] : by_product_) {
    for (const auto& [order, rollout] : orders) INSTAR_ASSERT(orders_.at(rollout) == order);
  }
}

}  // namespace instar::rollout

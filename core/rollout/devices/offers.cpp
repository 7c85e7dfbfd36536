#include "core/rollout/devices/offers.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::rollout {
bool Offers::is_for(const Terms& terms, const DeviceRecord& device) {
  if (terms.product != device.description.product) return false;
  return std::ranges::any_of(terms.groups, [&](const GroupPath& group) {
    return std::ranges::any_of(device.description.groups, [&](const GroupPath& own) { return group.covers(own); });
  });
}

void Offers::set(const ManifestId& rollout, Terms terms) {
  INSTAR_ASSERT(terms.wave_limits.size() == terms.wave_opened.size());
  by_product_[terms.product].emplace(terms.sequence, rollout);
  terms_[rollout] = std::move(terms);
}

void Offers::erase(const ManifestId& rollout) {
  const auto terms = terms_.find(rollout);
  if (terms == terms_.end()) return;
  by_product_[terms->second.product].erase({terms->second.sequence, rollout});
  terms_.erase(terms);
}

const Terms* Offers::find(const ManifestId& rollout) const noexcept {
  const auto terms = terms_.find(rollout);
  return terms == terms_.end() ? nullptr : &terms->second;
}

void Offers::mark_archived(const ManifestId& rollout) {
  terms_.at(rollout).archived = true;
}

std::optional<ManifestId> Offers::target_of(const DeviceRecord& device) const {
  const auto sequences = by_product_.find(device.description.product);
  if (sequences == by_product_.end()) return std::nullopt;
  const bool runs =
      device.description.running.has_value() && device.description.running->product == device.description.product;
  // What runs keeps older releases out, unless its keys were replaced.
  const auto* own = runs ? find(device.description.running->manifest) : nullptr;
  const bool keeps_out = runs && (own == nullptr || own->in_force);
  for (auto it = sequences->second.rbegin(); it != sequences->second.rend(); ++it) {
    if (keeps_out && it->first < device.description.running->sequence) return std::nullopt;
    const auto& terms = terms_.at(it->second);
    if (terms.goes_on && terms.in_force && is_for(terms, device)) return it->second;
  }
  return std::nullopt;
}

void Offers::assert_invariants() const {
  std::size_t indexed = 0;
  for (const auto& [product, sequences] : by_product_) {
    for (const auto& [sequence, rollout] : sequences) {
      const auto* terms = find(rollout);
      INSTAR_ASSERT(terms != nullptr && terms->product == product && terms->sequence == sequence);
      ++indexed;
    }
  }
  INSTAR_ASSERT(indexed == terms_.size());
}

}  // namespace instar::rollout

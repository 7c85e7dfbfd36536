#include "core/rollout/rollouts/supersession.hpp"

#include <cstdint>

namespace instar::rollout {
namespace {

struct Offer {
  std::uint64_t sequence = 0;
  ManifestId rollout;
};
using Offers = std::map<GroupPath, Offer>;  // the highest of each group

// The highest that a device in the group receives; nullptr: none.
const Offer* best_for(const Offers& offers, const GroupPath& group) {
  const Offer* best = nullptr;
  for (const auto& path : group.with_parents()) {
    const auto found = offers.find(path);
    if (found != offers.end() && (best == nullptr || found->second.sequence > best->sequence)) best = &found->second;
  }
  return best;
}

}  // namespace

std::map<ManifestId, ManifestId> superseded(std::span<const Contender> of_product) {
  Offers offers;
  for (const auto& one : of_product) {
    if (!one.offered) continue;
    for (const auto& group : one.record->groups) {
      auto& highest = offers[group];
      if (one.record->sequence > highest.sequence) highest = {one.record->sequence, one.id};
    }
  }
  std::map<ManifestId, ManifestId> out;
  for (const auto& one : of_product) {
    const Offer* newest = nullptr;
    bool is_taken = !one.record->groups.empty();
    for (const auto& group : one.record->groups) {
      const auto* best = best_for(offers, group);
      is_taken = is_taken && best != nullptr && best->sequence > one.record->sequence;
      if (best != nullptr && (newest == nullptr || best->sequence > newest->sequence)) newest = best;
    }
    if (is_taken) out.emplace(one.id, newest->rollout);
  }
  return out;
}

}  // namespace instar::rollout

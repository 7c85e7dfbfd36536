#include "core/artifact/plan.hpp"

#include <algorithm>

namespace instar::artifact {
namespace {

bool is_usable(const PackOffer& offer, const Holdings& holdings) {
  if (offer.format != kPackFormat || offer.kind > PackKind::delta) return false;
  if (holdings.memory_bytes != 0 && offer.memory_bytes > holdings.memory_bytes) return false;
  if (offer.kind != PackKind::delta) return true;
  return holdings.delta_decoder && std::find(holdings.artifacts.begin(), holdings.artifacts.end(), offer.base) != holdings.artifacts.end();
}

}  // namespace

std::vector<Candidate> usable_packs(const std::vector<PackOffer>& offers, const Holdings& holdings) {
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    const PackOffer& offer = offers[i];
    if (!is_usable(offer, holdings)) continue;
    const std::uint64_t all = offer.head_bytes + offer.body_bytes;
    // Without anything held nothing can match: dedupe then costs all of itself.
    const bool may_match = offer.kind == PackKind::dedupe && !holdings.artifacts.empty();
    candidates.push_back({i, all, may_match ? offer.head_bytes : all});
  }
  std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    if (a.bytes_min != b.bytes_min) return a.bytes_min < b.bytes_min;
    return offers[a.offer].kind < offers[b.offer].kind;
  });
  return candidates;
}

}  // namespace instar::artifact

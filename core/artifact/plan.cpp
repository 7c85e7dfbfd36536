#include "core/artifact/plan.hpp"

#include <algorithm>

#include "core/artifact/pack_formats.hpp"

namespace instar::artifact {
namespace {

bool is_usable(const PackOffer& offer, const Holdings& holdings) {
  if (offer.kind > PackKind::delta || !is_known_format(offer.kind, offer.format)) return false;
  if (holdings.memory_bytes != 0 && offer.memory_bytes > holdings.memory_bytes) return false;
  if (offer.kind != PackKind::delta) return true;
  return holdings.delta_decoder &&
         std::find(holdings.artifacts.begin(), holdings.artifacts.end(), offer.base) != holdings.artifacts.end();
}

// The order for equal costs: first what needs no decoder, then what is exact.
int rank(PackKind kind) noexcept {
  switch (kind) {
    case PackKind::full: return 0;
    case PackKind::delta: return 1;
    case PackKind::dedupe: return 2;
  }
  return 3;
}

void order(std::vector<Candidate>& candidates, const std::vector<PackOffer>& offers) {
  std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
    if (a.bytes_min != b.bytes_min) return a.bytes_min < b.bytes_min;
    return rank(offers[a.offer].kind) < rank(offers[b.offer].kind);
  });
}

// How many chunks hold `missing`, by the pack's averages. Each file begins and ends inside a chunk.
std::uint64_t repair_body_bytes(const PackOffer& offer, std::uint64_t content_bytes, const Missing& missing) noexcept {
  if (offer.body_count == 0 || content_bytes == 0 || missing.bytes >= content_bytes) return offer.body_bytes;
  const double share = static_cast<double>(missing.bytes) / static_cast<double>(content_bytes) +
                       static_cast<double>(missing.files) / static_cast<double>(offer.body_count);
  return share >= 1.0 ? offer.body_bytes : static_cast<std::uint64_t>(share * static_cast<double>(offer.body_bytes));
}

}  // namespace

std::vector<Candidate> usable_packs(const std::vector<PackOffer>& offers, const Holdings& holdings) {
  std::vector<Candidate> candidates;
  std::uint64_t delta_bytes = 0;  // of the cheapest one
  for (std::size_t i = 0; i < offers.size(); ++i) {
    const PackOffer& offer = offers[i];
    if (!is_usable(offer, holdings)) continue;
    const std::uint64_t all = offer.head_bytes + offer.body_bytes;
    // If the device holds nothing, nothing can match, and dedupe costs all of its bytes.
    const bool may_match = offer.kind == PackKind::dedupe && !holdings.artifacts.empty();
    candidates.push_back({i, all, may_match ? offer.head_bytes : all});
    if (offer.kind == PackKind::delta) delta_bytes = delta_bytes == 0 ? all : std::min(delta_bytes, all);
  }
  for (Candidate& candidate : candidates) {
    if (offers[candidate.offer].kind == PackKind::dedupe)
      candidate.bytes_min = std::max(candidate.bytes_min, delta_bytes);
  }
  order(candidates, offers);
  return candidates;
}

std::vector<Candidate> repair_packs(const std::vector<PackOffer>& offers, const Holdings& holdings,
                                    std::uint64_t content_bytes, const Missing& missing) {
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    const PackOffer& offer = offers[i];
    if (offer.kind == PackKind::delta || !is_usable(offer, holdings)) continue;
    candidates.push_back(
        {i, offer.head_bytes + offer.body_bytes, offer.head_bytes + repair_body_bytes(offer, content_bytes, missing)});
  }
  order(candidates, offers);
  return candidates;
}

}  // namespace instar::artifact

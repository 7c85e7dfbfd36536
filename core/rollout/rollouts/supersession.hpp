// Which rollouts newer ones have taken over: releases of the same product that go on, in all of their groups. What is
// left to do there is the newer ones'. Pure.
#pragma once

#include <map>
#include <span>

#include "core/base/ids.hpp"
#include "core/rollout/exchange/record.hpp"

namespace instar::rollout {

// A rollout of the product that is asked about. `offered`: devices are to take it, so it takes others over.
struct Contender {
  ManifestId id;
  const RolloutRecord* record = nullptr;
  bool offered = true;
};

// Of those that are taken over, by which: of several, by the one with the highest sequence. A rollout takes over groups
// below its own too, by the sequence, as devices do.
[[nodiscard]] std::map<ManifestId, ManifestId> superseded(std::span<const Contender> of_product);

}  // namespace instar::rollout

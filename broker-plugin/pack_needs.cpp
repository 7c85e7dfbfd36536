#include "broker-plugin/pack_needs.hpp"

#include <algorithm>
#include <set>

namespace instar::broker {

PackNeeds pack_needs(const rollout::Tracker& tracker) {
  PackNeeds needs;
  std::set<ManifestId> in_force;
  for (const auto& [audience, id] : tracker.current_rollouts()) in_force.insert(id);
  for (const auto& id : in_force) {
    const auto rollout = tracker.rollout(id);
    if (!rollout.has_value()) continue;
    const auto state = rollout->record.state;
    if (state != rollout::RolloutState::active && state != rollout::RolloutState::paused) continue;
    for (const auto& pack : rollout->release->packs) needs.rollouts[pack].push_back(id);
  }
  for (const auto& [id, device] : tracker.devices()) {
    std::set<ArtifactId> artifacts;
    for (const auto* revision : {&device.record.description.running, &device.record.description.previous}) {
      if (revision->has_value()) artifacts.insert((*revision)->artifacts.begin(), (*revision)->artifacts.end());
    }
    for (const auto& artifact : artifacts) ++needs.devices[artifact];
  }
  return needs;
}

std::vector<PackId> unneeded_packs(const Upload& upload, const PackNeeds& needs, std::int64_t unused_ms, WallMs now) {
  std::vector<std::pair<WallMs, PackId>> oldest_first;
  for (const auto& [id, pack] : upload.packs().all()) {
    // One that is not whole gets nobody back to anything.
    const bool has_device = pack.state == PackState::complete && needs.devices.contains(pack.artifact);
    const bool goes = pack.state != PackState::removing && !has_device && !needs.rollouts.contains(id) &&
                      !upload.is_uploading(id) && is_unused(pack, unused_ms, now);
    if (goes) oldest_first.emplace_back(pack.used, id);
  }
  std::ranges::sort(oldest_first);
  std::vector<PackId> out;
  for (const auto& [used, id] : oldest_first) out.push_back(id);
  return out;
}

}  // namespace instar::broker

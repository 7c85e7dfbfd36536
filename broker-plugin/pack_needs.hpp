// Which packs somebody needs, and which therefore may go. docs/broker.md "Packs that nothing needs"
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "broker-plugin/upload.hpp"
#include "core/base/hash.hpp"
#include "core/base/time.hpp"
#include "core/rollout/tracker.hpp"

namespace instar::broker {

struct PackNeeds {
  // Rollouts in force that offer the pack: the current one of some product in some group, active or paused.
  std::map<PackId, std::vector<ManifestId>> rollouts;
  // Devices that run the artifact, or ran it before: going back to it is a new release, and needs its packs.
  std::map<ArtifactId, std::uint64_t> devices;
};
// Time: once through rollouts and devices.
[[nodiscard]] PackNeeds pack_needs(const rollout::Tracker& tracker);

// Packs that no rollout in force needs, nor a device (those that are not whole: whatever devices run), that nobody is
// uploading, and that were not used for `unused_ms`: the one used longest ago first.
[[nodiscard]] std::vector<PackId> unneeded_packs(const Upload& upload, const PackNeeds& needs, std::int64_t unused_ms,
                                                 WallMs now);

}  // namespace instar::broker

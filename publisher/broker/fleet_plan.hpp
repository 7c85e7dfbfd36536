// What a release would cost, before it is sent. The cheapest pack of each device is chosen by the same code as in the
// client.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/wire/manifest.hpp"
#include "publisher/broker/device_view.hpp"
#include "publisher/console/failure.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {

// Bytes that a device with artifact `held` fetches by the dedupe pack `pack`, if that is known: (pack, held) → bytes.
using DedupeCosts = std::map<std::pair<PackId, ArtifactId>, std::uint64_t>;

struct PlanOptions {
  std::uint64_t link_bytes_per_s = 8'000;  // 64 kbit/s
  WallMs now;
};

struct PackUse {
  std::uint64_t devices = 0;
  std::uint64_t bytes = 0;      // of all devices, with the framing
  std::uint64_t bytes_max = 0;  // of one device
  bool exact = true;            // false: the base of a dedupe pack is not on this machine; `bytes` is an upper bound
};

struct GroupPlan {
  std::string group;
  std::uint64_t devices = 0;  // of the release's product
  std::uint64_t online = 0;
  std::uint64_t newer = 0;                                   // devices that run this sequence or a higher one already
  std::uint64_t waiting = 0;                                 // devices that wait because their link is metered
  std::map<std::string, PackUse> packs;                      // by the kinds of the packs, "delta" or "delta+full"
  std::map<std::string, std::vector<std::string>> refusals;  // why → devices
  std::vector<std::uint64_t> waves;                          // devices that each wave adds
  [[nodiscard]] std::uint64_t bytes() const noexcept;
};

struct FleetPlan {
  std::uint64_t manifest_bytes = 0;  // of the message that each device gets
  std::vector<GroupPlan> groups;     // in the manifest's order; a device counts in the first group that covers it
};

[[nodiscard]] FleetPlan plan_release(const wire::Manifest& manifest, std::uint64_t manifest_bytes,
                                     const std::vector<KnownDevice>& fleet, const DedupeCosts& costs, WallMs now);
[[nodiscard]] std::string plan_text(const FleetPlan& plan, const PlanOptions& options);
[[nodiscard]] Json plan_json(const FleetPlan& plan, const PlanOptions& options);

}  // namespace instar::publisher

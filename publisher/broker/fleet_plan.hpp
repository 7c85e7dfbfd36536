// What a release would cost before it is sent: each device looks for its cheapest pack as its client will, with the
// same code.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/wire/manifest.hpp"
#include "publisher/console/failure.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {

// A row of listDevices with "view":"plan".
struct PlannedDevice {
  std::string device;
  std::string product;
  std::vector<GroupPath> groups;
  std::string architecture;
  std::string kernel;
  std::string client_version;
  std::uint64_t memory_bytes = 0;
  std::uint64_t free_bytes = 0;
  std::vector<wire::ImageFormat> image_formats;
  std::vector<std::string> handlers;
  bool metered = false;
  bool online = false;
  WallMs last_seen;
  std::uint64_t running_sequence = 0;
  std::vector<ArtifactId> held;  // artifacts of the running and the previous release
};
[[nodiscard]] PlannedDevice read_planned_device(const Json& row);

// Bytes that a device with artifact `held` fetches by the dedupe pack `pack`, if that can be told: (pack, held) →
// bytes.
using DedupeCosts = std::map<std::pair<PackId, ArtifactId>, std::uint64_t>;

struct PlanOptions {
  std::uint64_t link_bytes_per_s = 8'000;  // 64 kbit/s
  WallMs now;
};

struct PackUse {
  std::uint64_t devices = 0;
  std::uint64_t bytes = 0;      // of all of them, framing counted
  std::uint64_t bytes_max = 0;  // of one device
  bool exact = true;            // false: dedupe whose base is not at hand; `bytes` is what it costs at most
};

struct GroupPlan {
  std::string group;
  std::uint64_t devices = 0;  // of the release's product
  std::uint64_t online = 0;
  std::uint64_t newer = 0;               // run this sequence or a higher one already
  std::uint64_t waiting = 0;             // take it, but not now: a metered link, and the release is for others
  std::map<std::string, PackUse> packs;  // by the kinds of the packs, "delta" or "delta+full"
  std::map<std::string, std::vector<std::string>> refusals;  // why → devices
  std::vector<std::uint64_t> waves;                          // devices that each wave admits anew
  [[nodiscard]] std::uint64_t bytes() const noexcept;
};

struct FleetPlan {
  std::uint64_t manifest_bytes = 0;  // of the message that each device gets
  std::vector<GroupPlan> groups;     // as the manifest names them; a device counts in the first that covers it
};

[[nodiscard]] FleetPlan plan_release(const wire::Manifest& manifest, std::uint64_t manifest_bytes,
                                     const std::vector<PlannedDevice>& fleet, const DedupeCosts& costs, WallMs now);
[[nodiscard]] std::string plan_text(const FleetPlan& plan, const PlanOptions& options);
[[nodiscard]] Json plan_json(const FleetPlan& plan, const PlanOptions& options);

}  // namespace instar::publisher

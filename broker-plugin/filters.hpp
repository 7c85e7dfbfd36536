// Which rows of a list of devices, or of a rollout's members, a command asks for.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "broker-plugin/status_json.hpp"
#include "core/base/result.hpp"
#include "core/rollout/tracker.hpp"

namespace instar::broker {

// `match`: a part of the device id; `online`: only those that are connected, or only those that are not; `degraded`:
// with true only those where something does not work as it should.
struct DeviceFilter {
  std::string match;
  std::optional<bool> online;
  bool degraded = false;

  [[nodiscard]] bool takes(const DeviceId& id, const rollout::Device& device) const;
};

// `match`, as above; `steps`: only members whose last report is one of these.
struct MemberFilter {
  std::string match;
  std::set<wire::Step> steps;  // empty: all

  [[nodiscard]] bool takes(const DeviceId& id, const rollout::MemberRecord& member) const;
};

// Errors: invalid_argument (a field of another type, a step that is none).
[[nodiscard]] Result<DeviceFilter> read_device_filter(const Json& command);
[[nodiscard]] Result<MemberFilter> read_member_filter(const Json& command);

}  // namespace instar::broker

// Rollouts and devices as JSON, for operators. docs/formats/status.md, docs/formats/control.md
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "broker-plugin/clock_watch.hpp"
#include "broker-plugin/roots.hpp"
#include "core/base/error.hpp"
#include "core/rollout/tracker.hpp"

namespace instar::broker {

// Keys in the order in which they are set, for people's sake.
using Json = nlohmann::ordered_json;

// Never throws: bytes that are not UTF-8 are replaced.
[[nodiscard]] std::string dump(const Json& json);

// The retained `r/<rollout>/status`.
[[nodiscard]] Json status_json(const ManifestId& id, const rollout::RolloutView& rollout, const std::string& waits_for);
// The same of a rollout that the tracker has.
[[nodiscard]] Json rollout_json(const rollout::Tracker& tracker, const ManifestId& id, Now now);
// What the same topic says of a manifest that was not taken; not retained.
[[nodiscard]] Json refused_json(const ManifestId& id, const Error& error, WallMs now);

// The broker's time and what is held of its clock: `time_ms` and `clock` of an answer.
void add_clock(Json& out, const ClockWatch& clock, Now now);

// The root document in force and what is to be said of it: `root_version`, `root_expires_ms`, `root_chain` (the
// versions that are kept, as ranges from … to) and `root_behind` (devices that hold a later one; null: none) of an
// answer. Time: once through the devices.
void add_roots(Json& out, const Roots& roots, const rollout::Tracker& tracker);

[[nodiscard]] Json counts_json(const rollout::Counts& counts);
[[nodiscard]] Json member_json(const rollout::MemberRecord& member);
[[nodiscard]] Json report_json(const rollout::ReportSummary& report);
// `verbose`: everything; otherwise what a list needs.
[[nodiscard]] Json device_json(const DeviceId& id, const rollout::Tracker& tracker, WallMs now, bool verbose);

}  // namespace instar::broker

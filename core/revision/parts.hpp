// The parts of the device's machine, each of which owns its state, and what is said of several of them at once. No part
// knows another one that stands below it here.
#pragma once

#include <string>
#include <vector>

#include "core/revision/attempt.hpp"
#include "core/revision/course.hpp"
#include "core/revision/device_facts.hpp"
#include "core/revision/device_state.hpp"
#include "core/revision/gates.hpp"
#include "core/revision/hearing.hpp"
#include "core/revision/history.hpp"
#include "core/revision/inbox.hpp"
#include "core/revision/name_clash.hpp"
#include "core/revision/outbox.hpp"
#include "core/revision/permission.hpp"
#include "core/revision/revisions.hpp"
#include "core/revision/room.hpp"
#include "core/revision/session_numbers.hpp"
#include "core/revision/transfer.hpp"
#include "core/revision/trial.hpp"
#include "core/revision/trusted_time.hpp"
#include "core/revision/upkeep.hpp"
#include "core/trust/keys.hpp"
#include "core/trust/root.hpp"
#include "core/wire/topics.hpp"

namespace instar::revision {

struct Parts {
  Parts(DeviceFacts device_facts, trust::SecretKey secret_key, wire::Topics all_topics, trust::TrustStore trust,
        DeviceState state);
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  const DeviceFacts facts;
  const trust::SecretKey key;
  const wire::Topics topics;
  Course course;
  TrustedTime time;
  Hearing hearing;
  History history;
  Revisions revisions;
  Outbox out;
  Room room;
  Inbox inbox;
  Gates gates;
  Attempt attempt;
  Permission permission;
  SessionNumbers sessions;
  Transfer transfer;
  Trial trial;
  Upkeep upkeep;
  NameClash clash;
  std::vector<std::string> host_trouble;  // as the shell said last

  // What is to be persisted as `generation`.
  [[nodiscard]] DeviceState state(std::uint64_t generation) const;
  // The device's own clock in this call.
  [[nodiscard]] WallMs wall() const noexcept { return out.now().wall; }
  // The time by which a release is judged in this call. `manifest`: its checks have all passed.
  [[nodiscard]] JudgedTime judged(const wire::Manifest& manifest, const ManifestId& hash) const;
  // The gate of that release is to be remembered whatever else comes.
  [[nodiscard]] bool is_about(const ManifestId& hash) const noexcept;
  void enter(Trigger trigger);
  // The release keys were replaced: sequences start over, as root.md says, and the broker is told.
  void start_over();

  // --- reports
  // Where this device is in that rollout, for a report that changes nothing of it: what it waits for, the attempt, or
  // how that ended.
  [[nodiscard]] wire::Report report_as_it_stands(const ManifestId& hash) const;
  // About the candidate, with its counts.
  [[nodiscard]] wire::Report about_candidate(wire::Step step, Code code, std::string reason) const;
  void record_candidate_outcome(wire::Step step, Code code, std::string reason = {});
  // Remembered over restarts: what is repeated each day is reported once. The second form: the reason has a part that
  // changes, and is the same one while `what` is.
  void say_once(std::string_view kind, const ManifestId& hash, wire::Report report);
  void say_once(std::string_view kind, std::string_view what, const ManifestId& hash, wire::Report report);
  void say_hello();
  [[nodiscard]] wire::Description description() const;
  // Logs what is new of it, and says hello when something is.
  void say_degraded();

  // Each part's own, and what holds between them: the candidate's phases have one, and packs for it.
  void assert_invariants() const;
};

}  // namespace instar::revision

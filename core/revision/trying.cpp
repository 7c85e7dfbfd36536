#include "core/revision/trying.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/revision/attempt_end.hpp"

namespace instar::revision {

// --- forward --------------------------------------------------------------------------------------------------

void Trying::try_if_allowed() {
  if (!parts_.attempt.is_staged() || !parts_.course.is_acquiring()) return;
  const bool may_go_on = parts_.permission.may_go_on(Permission::Stage::change, parts_.course.phase(), parts_.revisions,
                                                     parts_.gates, parts_.attempt, parts_.out);
  if (!may_go_on) return;
  parts_.enter(Trigger::staged);
  parts_.attempt.note_staged(false);
  parts_.trial.begin(parts_.out.is_connected(), parts_.facts.machine_boot, parts_.out.time());
  parts_.out.report(parts_.about_candidate(wire::Step::trying, Code::ok, ""));
  start();
}

void Trying::try_again() {
  if (!parts_.trial.begin_again(parts_.facts.machine_boot, parts_.out.time()))
    return roll_back(Trigger::starts_spent, Code::unhealthy, parts_.trial.starts_reason());
  parts_.out.persist();
  start();
}

void Trying::start() {
  parts_.out.emit(StartTry{parts_.revisions.current_number(), parts_.revisions.candidate()->number,
                           *parts_.revisions.candidate_manifest()});
}

void Trying::on(const TryStarted& event) {
  if (!parts_.course.is(Phase::trying) || !parts_.revisions.is_candidate(event.revision)) return;
  parts_.trial.started(*parts_.revisions.candidate_manifest(), event.downtime_ms, parts_.revisions.candidate_differs(),
                       parts_.facts.broker_grace_ms, parts_.out.time());
  parts_.trial.note_remark(event.remark);
  judge();
}

void Trying::on(const TryFailed& event) {
  if (!parts_.course.is(Phase::trying) || !parts_.revisions.is_candidate(event.revision)) return;
  roll_back(Trigger::verdict_failed, event.error.code == Code::ok ? Code::unhealthy : event.error.code,
            "could not start: " + event.error.message);
}

void Trying::on(const ProbeEnded& event) {
  if (!parts_.trial.is_judging() || !parts_.revisions.is_candidate(event.revision)) return;
  if (!event.passed)
    parts_.out.log(LogLevel::notice,
                   "probe of container '" + event.container + "' failed: " + clean_text(event.detail));
  parts_.trial.probe_ended(event.container, event.passed, event.detail, parts_.out.time());
  judge();
}

void Trying::judge() {
  if (!parts_.trial.is_judging() || !parts_.course.is(Phase::trying)) return;
  const auto& containers = parts_.revisions.candidate_manifest()->containers;
  for (const auto& name : parts_.trial.probes_due(parts_.out.time())) {
    const auto container = std::ranges::find(containers, name, &wire::Container::name);
    INSTAR_ASSERT(container != containers.end());
    const auto probe = probe_of(*container);
    INSTAR_ASSERT(probe.has_value());
    parts_.out.emit(RunProbe{parts_.revisions.candidate()->number, name, *probe});
  }
  const auto verdict = parts_.trial.verdict(parts_.out.is_connected(), parts_.out.time());
  if (!verdict) return;
  if (!verdict->passed) return roll_back(Trigger::verdict_failed, Code::unhealthy, verdict->reason);
  if (!verdict->reason.empty()) parts_.out.log(LogLevel::notice, verdict->reason);
  commit();
}

// The switch: once this state is durable, the new revision is the one that a boot starts.
void Trying::commit() {
  auto& revisions = parts_.revisions;
  parts_.enter(Trigger::verdict_passed);
  parts_.record_candidate_outcome(wire::Step::committed, Code::ok);
  const auto& remark = parts_.trial.remark();
  auto reason = parts_.attempt.fallback_reason();
  if (!remark.empty()) reason += (reason.empty() ? "" : "; ") + remark;
  auto ending = parts_.about_candidate(wire::Step::committed, Code::ok, clean_text(reason));
  parts_.trial.fill_times(ending, parts_.out.time());
  parts_.trial.commit();
  revisions.commit();
  parts_.attempt.forget_packs();
  parts_.transfer.forget();
  parts_.upkeep.forget(true);
  parts_.say_degraded();
  parts_.out.emit(revisions.point_current());
  // The handlers of its payloads learn of the commit.
  const auto& containers = revisions.current_manifest()->containers;
  if (std::ranges::any_of(containers, [](const auto& one) { return !one.handler.empty(); })) ensure_running();
  parts_.out.log(LogLevel::notice, "release " + revisions.current()->info.release + " is committed as revision " +
                                       std::to_string(revisions.current_number()));
  parts_.out.report(std::move(ending));
  Room::keep_one_leftover(std::nullopt, revisions, parts_.out);
}

// --- back -----------------------------------------------------------------------------------------------------

void Trying::roll_back(Trigger trigger, Code code, const std::string& reason) {
  parts_.enter(trigger);
  parts_.trial.roll_back(code, reason);
  parts_.out.log(LogLevel::warning, "release " + parts_.revisions.candidate()->info.release +
                                        " is taken back: " + parts_.trial.verdict_reason());
  switch_back();
}

void Trying::switch_back() {
  parts_.trial.note_switch_back();
  parts_.out.emit(SwitchBack{parts_.revisions.candidate()->number, parts_.revisions.current_number(),
                             parts_.revisions.current_manifest()});
}

bool Trying::finish(const SwitchedBack& event) {
  if (!parts_.course.is(Phase::rolling_back) || event.revision != parts_.revisions.current_number()) return false;
  parts_.trial.switched_back(event.downtime_ms);
  parts_.say_degraded();
  end_attempt(parts_, parts_.trial.take_verdict(), wire::Step::rolled_back, true);
  return true;
}

void Trying::on(const SwitchBackFailed& event) {
  if (!parts_.course.is(Phase::rolling_back)) return;
  if (parts_.trial.switch_back_failed() && fall_to_factory(event.error)) return;
  const auto pause_ms = parts_.trial.pause_switch_back(parts_.out.time());
  parts_.out.log(LogLevel::error, "the revision before could not be started (" + event.error.message +
                                      "); trying again in " + std::to_string(pause_ms / 1000) + " s");
  if (parts_.trial.note_stuck(parts_.revisions.candidate()->info.release, event.error)) parts_.say_degraded();
}

// What came after the factory revision has no way back but that one; what is left of it goes with the attempt.
bool Trying::fall_to_factory(const Error& error) {
  auto factory = parts_.revisions.factory_release(parts_.history);
  if (!factory || !parts_.revisions.current()) return false;
  const auto release = parts_.revisions.current()->info.release;
  parts_.out.log(LogLevel::error, "release " + release + " could not be started again " +
                                      std::to_string(parts_.trial.switch_back_failures()) +
                                      " times: going to the factory release " + factory->record.info.release);
  parts_.trial.fall_to_factory(parts_.trial.verdict_reason() + "; release " + release +
                               " could not be started again (" + error.message + "): gone back to the factory release");
  parts_.revisions.fall_to_factory(std::move(*factory));
  parts_.out.persist();
  parts_.out.emit(parts_.revisions.point_current());
  switch_back();
  return true;
}

void Trying::go_back_if_reverted() {
  const auto& revisions = parts_.revisions;
  if (!parts_.course.is(Phase::idle) || !revisions.current() || !revisions.current_manifest()) return;
  const auto hash = revisions.current()->info.manifest;
  const auto* gate = parts_.gates.find(hash);
  const bool is_reverted = gate != nullptr && gate->state == wire::GateState::reverted;
  if (!is_reverted || !revisions.current_manifest()->policy.revert_allowed) return;
  auto before = revisions.release_before(parts_.history);
  if (!before) {
    auto refusal = parts_.report_as_it_stands(hash);
    refusal.code = Code::refused;
    refusal.reason = "release " + revisions.current()->info.release + " is to be taken back, but " +
                     before.error().message + ": publish the older content as a new release";
    return parts_.say_once("revert", hash, std::move(refusal));
  }
  go_back(std::move(*before), gate->retry_epoch, Trigger::taken_back, Code::refused, "taken back by its rollout");
}

void Trying::go_back(Release before, std::uint32_t retry_epoch, Trigger trigger, Code code, const std::string& reason) {
  parts_.attempt.go_back(parts_.history.find(parts_.revisions.current()->info.manifest), retry_epoch);
  parts_.revisions.go_back(std::move(before));
  parts_.trial.take_back(parts_.out.time());
  parts_.out.emit(parts_.revisions.point_current());
  parts_.upkeep.forget(false);
  roll_back(trigger, code, reason);
}

// --- what runs --------------------------------------------------------------------------------------------------

void Trying::on(const ContainerStopped& event) {
  const auto now = parts_.out.time();
  if (parts_.course.is(Phase::trying) && parts_.revisions.is_candidate(event.revision)) {
    parts_.trial.container_stopped(*parts_.revisions.candidate_manifest(), event.container, event.detail, now);
    return judge();
  }
  if (parts_.course.is(Phase::trying) || parts_.course.is(Phase::rolling_back)) return;
  if (!parts_.revisions.current() || parts_.revisions.current_number() != event.revision) return;
  parts_.out.log(LogLevel::warning, "container '" + event.container + "' of the current revision stopped: " +
                                        clean_text(event.detail) + "; starting it again");
  parts_.upkeep.note_stop(event.container, now);
  parts_.say_degraded();
  if (fall_back()) return;
  parts_.upkeep.plan(now);
  if (parts_.upkeep.is_due(now)) ensure_running();
}

// While a newer release is under way that one is the way out.
bool Trying::fall_back() {
  const auto& current = parts_.revisions.current_manifest();
  if (!parts_.course.is(Phase::idle) || !current || current->policy.fall_back_stops == 0) return false;
  const auto [container, count] = parts_.upkeep.worst(parts_.out.time());
  if (count < current->policy.fall_back_stops) return false;
  const auto reason =
      "container '" + container + "' stopped " + std::to_string(count) + " times within an hour after the commit";
  auto before = parts_.revisions.release_before(parts_.history);
  if (!before) {
    auto factory = parts_.revisions.factory_release(parts_.history);
    if (!factory) {
      parts_.out.log(LogLevel::warning, reason + "; no other release to go back to: " + before.error().message);
      return false;
    }
    before = std::move(*factory);
  }
  const auto retry_epoch = parts_.history.retry_epoch(parts_.revisions.current()->info.manifest);
  go_back(std::move(*before), retry_epoch, Trigger::worn_out, Code::unhealthy, reason);
  return true;
}

void Trying::ensure_running() {
  parts_.upkeep.cancel();
  if (!parts_.revisions.current() || !parts_.revisions.current_manifest()) return;
  if (parts_.course.is(Phase::trying) || parts_.course.is(Phase::rolling_back)) return;
  parts_.upkeep.note_ensured(parts_.out.time());
  parts_.out.emit(EnsureRunning{parts_.revisions.current_number(), *parts_.revisions.current_manifest()});
}

void Trying::tick() {
  if (parts_.upkeep.is_due(parts_.out.time())) ensure_running();
  if (parts_.trial.is_switch_back_due(parts_.out.time())) switch_back();
  parts_.say_degraded();
}

}  // namespace instar::revision

// The new revision runs on trial: judged, then committed or taken back.
#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/revision/engine.hpp"

namespace instar::revision {
namespace {

constexpr std::int64_t kSwitchBackPauseMsMin = 5'000;
constexpr std::int64_t kSwitchBackPauseMsMax = 300'000;
// Then the factory revision is gone to: some two and a half minutes after the first.
constexpr std::uint32_t kSwitchBackFailuresMax = 6;

bool is_same(const wire::Container& a, const wire::Container& b) {
  const auto same_setting = [](const wire::Setting& x, const wire::Setting& y) {
    return x.key == y.key && x.value == y.value;
  };
  const auto same_volume = [](const wire::Volume& x, const wire::Volume& y) {
    return x.name == y.name && x.path == y.path && x.mode == y.mode && x.uid == y.uid && x.gid == y.gid;
  };
  return a.name == b.name && a.artifact == b.artifact && a.init == b.init && a.start_order == b.start_order &&
         a.handler == b.handler && std::ranges::equal(a.settings, b.settings, same_setting) &&
         std::ranges::equal(a.volumes, b.volumes, same_volume);
}

}  // namespace

// Something that runs on this device is not what ran before.
bool Engine::release_differs() const {
  return !current_ || !std::ranges::equal(candidate_->containers, current_->containers, is_same);
}

// False when too many starts have gone by without a verdict.
bool Engine::count_start() noexcept {
  const bool same_boot = facts_.machine_boot != 0 && facts_.machine_boot == state_.trial.machine_boot;
  if (same_boot) return ++state_.trial.client_starts <= limits::kTryClientStartsMax;
  if (state_.trial.starts >= limits::kTryStartsMax) return false;
  ++state_.trial.starts;
  state_.trial.client_starts = 0;
  return true;
}

void Engine::try_if_allowed() {
  if (!staged_ || (state_.phase != Phase::fetching && state_.phase != Phase::staging)) return;
  if (may_go_on(Stage::change)) start_try(false);
}

void Engine::start_try(bool again) {
  if (!again) {
    enter(Trigger::staged);
    staged_ = false;
    state_.trial.starts = 1;
    state_.trial.client_starts = 0;
    state_.trial.reachable_before = connected_;
  } else if (!count_start()) {
    return roll_back(Trigger::starts_spent, Code::unhealthy,
                     "there was no verdict before the device was booted " + std::to_string(state_.trial.starts) +
                         " times and its client restarted " + std::to_string(state_.trial.client_starts) +
                         " times since");
  }
  state_.trial.machine_boot = facts_.machine_boot;
  dirty_ = true;
  judge_.reset();
  if (!again) report(about_candidate(wire::Step::trying, Code::ok, ""));
  switch_started_ = now_.monotonic;
  downtime_ms_ = 0;
  emit(StartTry{state_.revisions.current ? state_.revisions.current->number : 0, state_.revisions.candidate->number,
                *candidate_});
}

void Engine::on(const TryStarted& event) {
  if (state_.phase != Phase::trying || !is_candidate(event.revision)) return;
  downtime_ms_ = event.downtime_ms;
  judge_.emplace(*candidate_, LinkBefore{state_.trial.reachable_before, release_differs(), facts_.broker_grace_ms},
                 now_.monotonic);
  judge();
}

void Engine::on(const TryFailed& event) {
  if (state_.phase != Phase::trying || !is_candidate(event.revision)) return;
  roll_back(Trigger::verdict_failed, event.error.code == Code::ok ? Code::unhealthy : event.error.code,
            "could not start: " + event.error.message);
}

void Engine::on(const ContainerStopped& event) {
  if (state_.phase == Phase::trying && is_candidate(event.revision)) {
    if (!judge_) judge_.emplace(*candidate_, LinkBefore{}, now_.monotonic);
    judge_->container_stopped(event.container, event.detail);
    return judge();
  }
  if (state_.phase == Phase::trying || state_.phase == Phase::rolling_back) return;
  if (!state_.revisions.current || state_.revisions.current->number != event.revision) return;
  log(4, "container '" + event.container + "' of the current revision stopped: " + clean_text(event.detail) +
             "; starting it again");
  note_stop(event.container);
  if (fall_back()) return;
  if (!ensure_at_) ensure_at_ = now_.monotonic + ensure_pause_ms_;
  if (now_.monotonic >= *ensure_at_) emit_ensure_running();
}

void Engine::note_stop(const std::string& container) {
  stops_.stopped(container, now_.monotonic);
  tell_degraded();
}

// Told at once when it changes; a hello carries all of it.
void Engine::tell_degraded() {
  stops_.forget(now_.monotonic);
  auto degraded = stops_.degraded(now_.monotonic);
  if (!stuck_.empty()) degraded.push_back(stuck_);
  if (degraded == degraded_) return;
  for (const auto& line : degraded) {
    if (std::ranges::find(degraded_, line) == degraded_.end()) log(4, line);
  }
  if (degraded.empty()) log(5, "not degraded any more");
  degraded_ = std::move(degraded);
  if (connected_) say_hello();
}

// While a newer release is under way that one is the way out.
bool Engine::fall_back() {
  if (state_.phase != Phase::idle || !current_ || current_->policy.fall_back_stops == 0) return false;
  const auto [container, count] = stops_.worst(now_.monotonic);
  if (count < current_->policy.fall_back_stops) return false;
  const auto reason =
      "container '" + container + "' stopped " + std::to_string(count) + " times within an hour after the commit";
  auto before = release_before();
  if (!before) {
    auto factory = factory_release();
    if (!factory) {
      log(4, reason + "; no other release to go back to: " + before.error().message);
      return false;
    }
    before = std::move(*factory);
  }
  const auto* own = outcome_of(state_.revisions.current->info.manifest);
  go_back(std::move(*before), own == nullptr ? 0 : own->retry_epoch, Trigger::worn_out, Code::unhealthy, reason);
  return true;
}

void Engine::on(const ProbeEnded& event) {
  if (!judge_ || !is_candidate(event.revision)) return;
  if (!event.passed) log(5, "probe of container '" + event.container + "' failed: " + clean_text(event.detail));
  judge_->probe_ended(event.container, event.passed, event.detail, now_.monotonic);
  judge();
}

void Engine::judge() {
  if (!judge_ || state_.phase != Phase::trying) return;
  for (const auto& name : judge_->probes_due(now_.monotonic)) {
    const auto container = std::ranges::find(candidate_->containers, name, &wire::Container::name);
    INSTAR_ASSERT(container != candidate_->containers.end());
    const auto probe = probe_of(*container);
    INSTAR_ASSERT(probe.has_value());
    emit(RunProbe{state_.revisions.candidate->number, name, *probe});
  }
  const auto verdict = judge_->verdict(connected_, now_.monotonic);
  if (!verdict) return;
  if (!verdict->passed) return roll_back(Trigger::verdict_failed, Code::unhealthy, verdict->reason);
  if (!verdict->reason.empty()) log(5, verdict->reason);
  commit();
}

// The switch: once this state is durable, the new revision is the one that a boot starts.
void Engine::commit() {
  enter(Trigger::verdict_passed);
  record_candidate_outcome(wire::Step::committed, Code::ok);
  auto ending = about_candidate(wire::Step::committed, Code::ok, state_.attempt.fallback_reason);
  ending.downtime_ms = downtime_ms_;
  ending.switch_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(now_.monotonic - switch_started_, 0));
  judge_.reset();
  state_.revisions.previous =
      std::exchange(state_.revisions.current, std::exchange(state_.revisions.candidate, std::nullopt));
  state_.revisions.previous_manifest =
      std::exchange(state_.revisions.current_manifest, std::exchange(state_.revisions.candidate_manifest, {}));
  current_ = std::exchange(candidate_, std::nullopt);
  state_.attempt.packs.clear();
  packs_.clear();
  ensure_pause_ms_ = 0;
  stops_.clear();
  tell_degraded();
  emit(PointCurrent{state_.revisions.current->number,
                    state_.revisions.previous ? state_.revisions.previous->number : 0});
  // Their handlers are told of the commit.
  if (std::ranges::any_of(current_->containers, [](const auto& one) { return !one.handler.empty(); }))
    emit_ensure_running();
  log(5, "release " + state_.revisions.current->info.release + " is committed as revision " +
             std::to_string(state_.revisions.current->number));
  report(std::move(ending));
  for (const auto number : disposable_revisions()) remove_revision(number);
}

void Engine::finish_commit() {
  enter(Trigger::cleaned);
  go_back_if_told();
  consider();
}

void Engine::roll_back(Trigger trigger, Code code, std::string reason) {
  enter(trigger);
  judge_.reset();
  state_.trial.verdict_code = code;
  state_.trial.verdict_reason = clean_text(reason);
  log(4, "release " + state_.revisions.candidate->info.release + " is taken back: " + state_.trial.verdict_reason);
  switch_back_pause_ms_ = 0;
  switch_back_failures_ = 0;
  emit_switch_back();
}

void Engine::emit_switch_back() {
  switch_back_at_.reset();
  emit(SwitchBack{state_.revisions.candidate->number, state_.revisions.current ? state_.revisions.current->number : 0,
                  current_});
}

void Engine::on(const SwitchedBack& event) {
  if (state_.phase != Phase::rolling_back) return;
  if (event.revision != (state_.revisions.current ? state_.revisions.current->number : 0)) return;
  downtime_ms_ = event.downtime_ms;
  switch_back_at_.reset();
  stuck_.clear();
  tell_degraded();
  end_attempt(Error{state_.trial.verdict_code, state_.trial.verdict_reason}, wire::Step::rolled_back, true);
  state_.trial.verdict_code = Code::ok;
  state_.trial.verdict_reason.clear();
  consider();
}

// What came after the factory revision has no way back but that one; what is left of it goes with the attempt.
bool Engine::go_to_factory(const Error& error) {
  auto factory = factory_release();
  if (!factory || !state_.revisions.current) return false;
  log(3, "release " + state_.revisions.current->info.release + " could not be started again " +
             std::to_string(switch_back_failures_) + " times: going to the factory release " +
             factory->record.info.release);
  state_.trial.verdict_reason =
      clean_text(state_.trial.verdict_reason + "; release " + state_.revisions.current->info.release +
                 " could not be started again (" + error.message + "): gone back to the factory release");
  state_.revisions.current = std::move(factory->record);
  state_.revisions.current_manifest = std::move(factory->envelope);
  current_ = std::move(factory->manifest);
  state_.revisions.previous.reset();
  state_.revisions.previous_manifest.clear();
  switch_back_failures_ = 0;
  switch_back_pause_ms_ = 0;
  dirty_ = true;
  emit(PointCurrent{state_.revisions.current->number, 0});
  emit_switch_back();
  return true;
}

void Engine::on(const SwitchBackFailed& event) {
  if (state_.phase != Phase::rolling_back) return;
  if (++switch_back_failures_ >= kSwitchBackFailuresMax && go_to_factory(event.error)) return;
  switch_back_pause_ms_ = std::min(std::max(switch_back_pause_ms_ * 2, kSwitchBackPauseMsMin), kSwitchBackPauseMsMax);
  switch_back_at_ = now_.monotonic + switch_back_pause_ms_;
  log(3, "the revision before could not be started (" + event.error.message + "); trying again in " +
             std::to_string(switch_back_pause_ms_ / 1000) + " s");
  if (switch_back_failures_ < kSwitchBackFailuresMax || !stuck_.empty()) return;
  stuck_ = clean_text("cannot go back from release " + state_.revisions.candidate->info.release +
                      ", tries go on: " + event.error.message);
  tell_degraded();
}

}  // namespace instar::revision

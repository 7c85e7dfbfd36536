#include "core/revision/trial.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/revision/reporter.hpp"

namespace instar::revision {

void Trial::begin(bool reachable, std::uint64_t machine_boot, MonotonicMs now) noexcept {
  state_.starts = 1;
  state_.client_starts = 0;
  state_.reachable_before = reachable;
  state_.machine_boot = machine_boot;
  judge_.reset();
  switch_started_ = now;
  downtime_ms_ = 0;
  remark_.clear();
}

bool Trial::begin_again(std::uint64_t machine_boot, MonotonicMs now) noexcept {
  const bool same_boot = machine_boot != 0 && machine_boot == state_.machine_boot;
  if (same_boot) {
    if (++state_.client_starts > limits::kTryClientStartsMax) return false;
  } else {
    if (state_.starts >= limits::kTryStartsMax) return false;
    ++state_.starts;
    state_.client_starts = 0;
  }
  state_.machine_boot = machine_boot;
  judge_.reset();
  switch_started_ = now;
  downtime_ms_ = 0;
  remark_.clear();
  return true;
}

std::string Trial::starts_reason() const {
  return "there was no verdict before the device was booted " + std::to_string(state_.starts) +
         " times and its client restarted " + std::to_string(state_.client_starts) + " times since";
}

void Trial::started(const wire::Manifest& manifest, std::uint32_t downtime_ms, bool differs, std::uint32_t grace_ms,
                    MonotonicMs now) {
  downtime_ms_ = downtime_ms;
  judge_.emplace(manifest, LinkBefore{state_.reachable_before, differs, grace_ms}, now);
}

void Trial::note_remark(std::string_view remark) {
  remark_ = clean_text(remark);
}

void Trial::container_stopped(const wire::Manifest& manifest, std::string_view container, std::string_view detail,
                              MonotonicMs now) {
  if (!judge_) judge_.emplace(manifest, LinkBefore{}, now);
  judge_->container_stopped(container, detail);
}

void Trial::probe_ended(std::string_view container, bool passed, std::string_view detail, MonotonicMs now) {
  INSTAR_ASSERT(judge_.has_value());
  judge_->probe_ended(container, passed, detail, now);
}

std::vector<std::string> Trial::probes_due(MonotonicMs now) {
  INSTAR_ASSERT(judge_.has_value());
  return judge_->probes_due(now);
}

std::optional<Verdict> Trial::verdict(bool connected, MonotonicMs now) {
  INSTAR_ASSERT(judge_.has_value());
  return judge_->verdict(connected, now);
}

void Trial::roll_back(Code code, std::string_view reason) {
  judge_.reset();
  state_.verdict_code = code;
  state_.verdict_reason = clean_text(reason);
  switch_back_pause_ms_ = 0;
  switch_back_failures_ = 0;
}

void Trial::switched_back(std::uint32_t downtime_ms) noexcept {
  downtime_ms_ = downtime_ms;
  switch_back_at_.reset();
  stuck_.clear();
}

Error Trial::take_verdict() {
  Error verdict{state_.verdict_code, std::exchange(state_.verdict_reason, {})};
  state_.verdict_code = Code::ok;
  return verdict;
}

bool Trial::switch_back_failed() noexcept {
  return ++switch_back_failures_ >= limits::kSwitchBackFailuresMax;
}

std::int64_t Trial::pause_switch_back(MonotonicMs now) noexcept {
  switch_back_pause_ms_ =
      std::min(std::max(switch_back_pause_ms_ * 2, limits::kSwitchBackPauseMsMin), limits::kSwitchBackPauseMsMax);
  switch_back_at_ = now + switch_back_pause_ms_;
  return switch_back_pause_ms_;
}

void Trial::fall_to_factory(std::string_view reason) {
  state_.verdict_reason = clean_text(reason);
  switch_back_failures_ = 0;
  switch_back_pause_ms_ = 0;
}

bool Trial::note_stuck(std::string_view release, const Error& error) {
  if (switch_back_failures_ < limits::kSwitchBackFailuresMax || !stuck_.empty()) return false;
  stuck_ = clean_text("cannot go back from release " + std::string(release) + ", tries go on: " + error.message);
  return true;
}

void Trial::fill_times(wire::Report& report, MonotonicMs now) const noexcept {
  report.downtime_ms = downtime_ms_;
  report.switch_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(now - switch_started_, 0));
}

std::optional<MonotonicMs> Trial::next_deadline() const {
  auto earliest = switch_back_at_;
  const auto judged = judge_ ? judge_->next_deadline() : std::nullopt;
  if (judged && (!earliest || *judged < *earliest)) earliest = judged;
  return earliest;
}

void Trial::assert_invariants(Phase phase) const {
  INSTAR_ASSERT(!judge_ || phase == Phase::trying);
  if (judge_) judge_->assert_invariants();
  INSTAR_ASSERT(phase != Phase::trying || state_.starts > 0);
  INSTAR_ASSERT(!switch_back_at_ || phase == Phase::rolling_back);
  INSTAR_ASSERT(stuck_.empty() || phase == Phase::rolling_back);
}

}  // namespace instar::revision

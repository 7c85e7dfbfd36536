#include "core/revision/health.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/revision/requirements.hpp"

namespace instar::revision {
namespace {

// The shell ends a probe at its timeout; an answer that is this late will not come (the shell was started again, say).
constexpr std::int64_t kProbeAnswerSlackMs = 10'000;
// Handlers look at hardware.
constexpr std::uint32_t kVerifyTimeoutMs = 60'000;

void take_earlier(std::optional<MonotonicMs>& earliest, const std::optional<MonotonicMs>& time) {
  if (time && (!earliest || *time < *earliest)) earliest = time;
}

}  // namespace

std::optional<wire::Probe> probe_of(const wire::Container& container) {
  if (container.handler.empty()) return container.health.probe;
  if (container.handler == kClientHandler) return std::nullopt;
  wire::Probe probe;
  probe.command = {"verify"};
  probe.timeout_ms = kVerifyTimeoutMs;
  return probe;
}

HealthJudge::HealthJudge(const wire::Manifest& manifest, LinkBefore before, MonotonicMs started)
    : before_(before), settled_(started) {
  for (const auto& container : manifest.containers) {
    Watch watch;
    watch.container = container.name;
    watch.settled = started + container.health.settle_ms;
    watch.probe = probe_of(container);
    if (watch.probe) watch.probe_next = started + std::max(watch.probe->interval_ms, limits::kProbeIntervalMsMin);
    settled_ = std::max(settled_, watch.settled);
    watches_.push_back(std::move(watch));
  }
}

void HealthJudge::container_stopped(std::string_view container, std::string_view detail) {
  if (failed_) return;
  std::string reason = "container '" + std::string(container) + "' stopped while its health was judged";
  if (!detail.empty()) reason += ": " + std::string(detail);
  failed_ = Verdict{false, std::move(reason)};
}

void HealthJudge::probe_failed(Watch& watch, std::string_view detail, MonotonicMs now) {
  watch.probe_deadline.reset();
  watch.probe_next = now + std::max(watch.probe->interval_ms, limits::kProbeIntervalMsMin);
  watch.last_passed = false;
  watch.last_detail = detail;
  ++watch.failures;
  if (watch.failures < std::max<std::uint32_t>(watch.probe->failures_max, 1) || failed_) return;
  failed_ = Verdict{false, "probe of container '" + watch.container + "' failed " + std::to_string(watch.failures) +
                               " times in a row: " + watch.last_detail};
}

void HealthJudge::probe_ended(std::string_view container, bool passed, std::string_view detail, MonotonicMs now) {
  const auto watch = std::ranges::find(watches_, container, &Watch::container);
  if (watch == watches_.end() || !watch->probe || !watch->probe_deadline) return;
  if (!passed) return probe_failed(*watch, detail, now);
  watch->probe_deadline.reset();
  watch->probe_next = now + std::max(watch->probe->interval_ms, limits::kProbeIntervalMsMin);
  watch->failures = 0;
  watch->last_passed = true;
}

std::vector<std::string> HealthJudge::probes_due(MonotonicMs now) {
  std::vector<std::string> due;
  for (auto& watch : watches_) {
    if (watch.probe_deadline && now >= *watch.probe_deadline) probe_failed(watch, "no answer", now);
    if (!watch.probe_next || now < *watch.probe_next || failed_) continue;
    watch.probe_next.reset();
    watch.probe_deadline = now + watch.probe->timeout_ms + kProbeAnswerSlackMs;
    due.push_back(watch.container);
  }
  return due;
}

std::optional<Verdict> HealthJudge::verdict(bool connected, MonotonicMs now) {
  if (failed_) return failed_;
  settle_seen_ = settle_seen_ || now >= settled_;
  const bool well = std::ranges::all_of(
      watches_, [&](const Watch& watch) { return now >= watch.settled && (!watch.probe || watch.last_passed); });
  if (!well) {
    grace_end_.reset();
    return std::nullopt;
  }
  return link_verdict(connected, now);
}

std::optional<Verdict> HealthJudge::link_verdict(bool connected, MonotonicMs now) {
  if (connected) return Verdict{true, ""};
  if (!before_.reachable)
    return Verdict{true, "the broker was away before the switch and still is: not held against the release"};
  if (!before_.release_differs)
    return Verdict{true, "the broker is away, but nothing of the release is new here: not held against it"};
  if (!grace_end_) grace_end_ = now + before_.grace_ms;
  if (now < *grace_end_) return std::nullopt;
  return Verdict{false, "the broker was reachable just before the switch and is not since: away for " +
                            std::to_string(before_.grace_ms / 1000) + " s after all containers had settled"};
}

void HealthJudge::assert_invariants() const {
  for (const auto& watch : watches_) {
    const bool is_running = watch.probe_deadline.has_value();
    INSTAR_ASSERT(watch.probe ? watch.probe_next.has_value() != is_running : !watch.probe_next && !is_running);
  }
}

std::optional<MonotonicMs> HealthJudge::next_deadline() const {
  std::optional<MonotonicMs> earliest = grace_end_;
  if (failed_) return MonotonicMs{0};
  for (const auto& watch : watches_) {
    take_earlier(earliest, watch.probe_next);
    take_earlier(earliest, watch.probe_deadline);
  }
  if (!settle_seen_) take_earlier(earliest, settled_);
  return earliest;
}

}  // namespace instar::revision

#include "core/revision/outbox.hpp"

#include <algorithm>
#include <iterator>

#include "core/base/assert.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {

Outbox::Outbox(ReportsState reports, const DeviceId& device, const trust::SecretKey& key, const wire::Topics& topics,
               const Revisions& revisions)
    : device_(device), key_(key), topics_(topics), revisions_(revisions), reporter_(std::move(reports), key, device) {}

void Outbox::flush(Effects& effects) {
  persist_ = false;
  std::ranges::move(effects_, std::back_inserter(effects));
  effects_.clear();
}

void Outbox::connected() noexcept {
  connected_ = true;
}

void Outbox::disconnected() noexcept {
  connected_ = false;
  hello_due_.reset();
  reporter_.disconnected();
}

void Outbox::publish(wire::TopicKind kind, Bytes payload, wire::Qos qos) {
  emit(Publish{topics_.device(device_, kind), std::move(payload), qos, wire::Retain::no, !connected_});
}

void Outbox::report(wire::Report report) {
  report.device_time = now_.wall;
  // Only these change it, and not each way back does: one out of a trial leads to what ran before.
  const bool may_differ = report.step == wire::Step::committed || report.step == wire::Step::rolled_back;
  if (const auto& current = revisions_.current(); may_differ && current && said_running_ != current->info) {
    report.running = current->info;
    said_running_ = current->info;
  }
  const auto& envelope = reporter_.add(std::move(report), now_.monotonic);
  persist();
  if (connected_) publish(wire::TopicKind::device_report, envelope, wire::Qos::at_least_once);
}

void Outbox::send_due_reports() {
  for (auto& envelope : reporter_.take_due(now_.monotonic))
    publish(wire::TopicKind::device_report, std::move(envelope), wire::Qos::at_least_once);
}

void Outbox::ask_for_hello() {
  if (!connected_ || hello_due_.has_value()) return;
  hello_due_ = now_.monotonic + reporter_.with_jitter(hello_pause_ms_);
  hello_pause_ms_ = std::min(hello_pause_ms_ * 2, limits::kReportResendMsMax);
}

std::optional<MonotonicMs> Outbox::next_deadline() const {
  const auto reports = reporter_.next_deadline();
  if (!hello_due_.has_value() || !reports.has_value()) return hello_due_.has_value() ? hello_due_ : reports;
  return std::min(*hello_due_, *reports);
}

void Outbox::send_hello(const wire::Hello& hello) {
  hello_at_ = now_.monotonic;
  hello_due_.reset();
  said_running_ = hello.description.running;
  publish(wire::TopicKind::device_hello, trust::seal(trust::Kind::hello, wire::encode(hello), key_),
          wire::Qos::at_least_once);
}

void Outbox::assert_invariants() const {
  INSTAR_ASSERT(effects_.empty());
  INSTAR_ASSERT(!persist_);
  INSTAR_ASSERT(connected_ || !hello_due_.has_value());
  reporter_.assert_invariants();
}

}  // namespace instar::revision

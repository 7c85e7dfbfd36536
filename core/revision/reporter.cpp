#include "core/revision/reporter.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {
namespace {

// After an ack that brought nothing new, what is missing at the broker goes out this soon.
constexpr std::int64_t kGapMs = 1'000;

// It takes a person to change this: asking often would not help.
bool is_lasting(Code code) noexcept {
  return code == Code::untrusted_key || code == Code::bad_signature || code == Code::refused;
}

}  // namespace

Reporter::Reporter(ReportsState state, const trust::SecretKey& key, const DeviceId& device)
    : state_(std::move(state)),
      key_(key),
      device_(device),
      jitter_permille_(static_cast<std::int64_t>(trust::digest(as_bytes(device.str())).prefix64() %
                                                 limits::kReportJitterPermilleMax)) {}

std::int64_t Reporter::with_jitter(std::int64_t ms) const noexcept {
  return ms + ms * jitter_permille_ / 1'000;
}

Bytes Reporter::sealed(const wire::Report& report) const {
  return trust::seal(trust::Kind::report, wire::encode(report), key_);
}

const Bytes& Reporter::add(wire::Report report, MonotonicMs now) {
  if (state_.pending.size() >= limits::kPendingReportsMax) {
    state_.acked_report = state_.pending.front().sequence;
    state_.pending.erase(state_.pending.begin());
  }
  report.device = device_;
  report.sequence = ++state_.last_report;
  report.reason = clean_text(report.reason);
  if (online_ && (state_.pending.empty() || !due_)) due_ = now + with_jitter(pause_ms_);
  state_.pending.push_back({report.sequence, sealed(report)});
  if (online_ && sent_through_ + 1 == report.sequence) sent_through_ = report.sequence;
  return state_.pending.back().envelope;
}

// The broker has reports under numbers that this device does not remember giving (its state was lost): go on after
// them.
void Reporter::renumber(std::uint64_t first) {
  auto next = first;
  for (auto& pending : state_.pending) {
    pending.sequence = next++;
    const auto envelope = trust::parse_envelope(pending.envelope);
    INSTAR_ASSERT(envelope.has_value());
    auto report = wire::decode_report(envelope->payload);
    INSTAR_ASSERT(report.has_value());
    report->sequence = pending.sequence;
    pending.envelope = sealed(*report);
  }
  state_.last_report = next - 1;
}

Reporter::Acked Reporter::acked(const wire::Ack& ack, MonotonicMs now) {
  if (ack.code == Code::unavailable) return Acked::busy;
  if (ack.code == Code::not_found) return Acked::lost;  // it has not received our hello, or has lost it
  if (ack.code != Code::ok) {
    if (is_lasting(ack.code) && due_) {
      pause_ms_ = limits::kReportResendMsMax;
      due_ = now + with_jitter(pause_ms_);
    }
    return Acked::nothing;
  }
  if (ack.sequence > limits::kReportSequenceMax) return Acked::nothing;
  if (ack.sequence > state_.last_report) {
    renumber(ack.sequence + 1);
    state_.acked_report = ack.sequence;
    sent_through_ = ack.sequence;
    if (due_) due_ = now;
    return Acked::moved;
  }
  if (ack.sequence < state_.acked_report) return Acked::lost;
  if (ack.sequence == state_.acked_report) {
    if (!state_.pending.empty() && due_) due_ = std::min(*due_, now + kGapMs);
    return Acked::nothing;
  }
  state_.acked_report = ack.sequence;
  std::erase_if(state_.pending, [&](const PendingReport& pending) { return pending.sequence <= ack.sequence; });
  pause_ms_ = limits::kReportResendMsMin;
  due_.reset();
  if (!state_.pending.empty())
    due_ = state_.pending.back().sequence > sent_through_ ? now : now + with_jitter(pause_ms_);
  return Acked::progress;
}

void Reporter::connected(MonotonicMs now) {
  online_ = true;
  pause_ms_ = limits::kReportResendMsMin;
  sent_through_ = state_.acked_report;
  due_ = now;
}

std::vector<Bytes> Reporter::take_due(MonotonicMs now) {
  std::vector<Bytes> out;
  if (!due_ || now < *due_ || state_.pending.empty()) return out;
  for (const auto& pending : state_.pending) {
    if (out.size() == limits::kReportsAtOnceMax) break;
    out.push_back(pending.envelope);
    sent_through_ = std::max(sent_through_, pending.sequence);
  }
  due_ = now + with_jitter(pause_ms_);
  pause_ms_ = std::min(pause_ms_ * 2, limits::kReportResendMsMax);
  return out;
}

void Reporter::assert_invariants() const {
  INSTAR_ASSERT(online_ || !due_);
  INSTAR_ASSERT(state_.acked_report <= state_.last_report);
  INSTAR_ASSERT(state_.pending.size() <= limits::kPendingReportsMax);
  for (std::size_t i = 0; i < state_.pending.size(); ++i)
    INSTAR_ASSERT(state_.pending[i].sequence + (state_.pending.size() - 1 - i) == state_.last_report);
  INSTAR_ASSERT(state_.pending.empty() || state_.acked_report < state_.pending.front().sequence);
}

std::string clean_text(std::string_view text) {
  std::string spaced(text);
  std::ranges::replace_if(
      spaced, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return instar::clean_text(spaced, limits::kTextBytesMax);
}

}  // namespace instar::revision

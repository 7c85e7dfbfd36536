// What one call of the machine brings about: effects in their order, reports among them, and whether the state must be
// durable before any of it happens. The machine opens it at the start of a call, parts append to it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "core/base/ids.hpp"
#include "core/base/log_level.hpp"
#include "core/base/time.hpp"
#include "core/revision/effects.hpp"
#include "core/revision/reporter.hpp"
#include "core/revision/revisions.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/delivery.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/topics.hpp"

namespace instar::revision {

class Outbox {
 public:
  // All references outlive it. `revisions`: reports say what runs.
  Outbox(ReportsState reports, const DeviceId& device, const trust::SecretKey& key, const wire::Topics& topics,
         const Revisions& revisions);

  // --- one call
  void begin(Now now) noexcept { now_ = now; }
  [[nodiscard]] Now now() const noexcept { return now_; }
  [[nodiscard]] MonotonicMs time() const noexcept { return now_.monotonic; }
  void emit(Effect effect) { effects_.push_back(std::move(effect)); }
  void log(LogLevel level, std::string message) { emit(Log{level, std::move(message)}); }
  // The state has changed.
  void persist() noexcept { persist_ = true; }
  [[nodiscard]] bool must_persist() const noexcept { return persist_; }
  // Ends the call: moves everything behind what stands in `effects`, where the machine has put the Persist.
  void flush(Effects& effects);

  // --- the link
  // Hello comes first: the caller says it before it sends what is due.
  void connected() noexcept;
  void start_reports() { reporter_.connected(now_.monotonic); }
  void disconnected() noexcept;
  [[nodiscard]] bool is_connected() const noexcept { return connected_; }
  // Of the next hello: hellos of one start are counted, over all connections.
  [[nodiscard]] std::uint32_t next_hello() noexcept { return ++hellos_; }

  // --- messages
  // Without a connection, for the next one to open with.
  void publish(wire::TopicKind kind, Bytes payload, wire::Qos qos);
  // Numbers the report, signs it and keeps it until it is acked; it goes out at once while connected. It says what runs
  // where this start of the client has not said that yet, in a hello or a report.
  void report(wire::Report report);
  // Reports that are due (again).
  void send_due_reports();
  // What to do about an ack is the caller's to decide.
  [[nodiscard]] Reporter::Acked acked(const wire::Ack& ack) { return reporter_.acked(ack, now_.monotonic); }
  void send_hello(const wire::Hello& hello);
  [[nodiscard]] MonotonicMs hello_at() const noexcept { return hello_at_; }
  // The broker may not have taken the last hello. The next one is due after a pause, which grows while this goes on.
  void ask_for_hello();
  // The broker takes what comes.
  void is_heard() noexcept { hello_pause_ms_ = limits::kReportResendMsMin; }
  [[nodiscard]] bool is_hello_due() const noexcept { return hello_due_.has_value() && time() >= *hello_due_; }
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;

  [[nodiscard]] const ReportsState& reports() const noexcept { return reporter_.state(); }
  // Between two calls nothing is left.
  void assert_invariants() const;

 private:
  const DeviceId& device_;
  const trust::SecretKey& key_;
  const wire::Topics& topics_;
  const Revisions& revisions_;
  Reporter reporter_;
  std::optional<wire::RevisionInfo> said_running_;
  Now now_;
  Effects effects_;
  bool persist_ = false;
  bool connected_ = false;
  std::uint32_t hellos_ = 0;
  MonotonicMs hello_at_;
  std::optional<MonotonicMs> hello_due_;  // while connected
  std::int64_t hello_pause_ms_ = limits::kReportResendMsMin;
};

}  // namespace instar::revision

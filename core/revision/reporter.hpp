// The device's reports: numbered without a hole, signed, kept until an ack says that they are durable, sent again with
// growing pauses. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/limits.hpp"
#include "core/base/time.hpp"
#include "core/revision/device_state.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

class Reporter {
 public:
  // `key` outlives the reporter.
  Reporter(ReportsState state, const trust::SecretKey& key, const DeviceId& device);

  // Gives `report` its number and signature and keeps it. Returns the envelope to send now.
  // With kPendingReportsMax kept already, the oldest is given up: the next hello says so.
  const Bytes& add(wire::Report report, MonotonicMs now);

  enum class Acked {
    nothing,   // nothing new
    progress,  // reports were dropped from the list: persist
    lost,      // the broker knows less than was acked before, or nothing of this device: say hello again
    busy,      // the broker has no room for what was sent: say hello again later
    moved,     // it knows more than was ever sent: the numbers go on after that; say hello again, and persist
  };
  [[nodiscard]] Acked acked(const wire::Ack& ack, MonotonicMs now);

  // The connection is there: everything pending is due, right after the hello.
  void connected(MonotonicMs now);
  void disconnected() noexcept {
    online_ = false;
    due_.reset();
  }

  // Envelopes to send (again) now, in order; empty when nothing is due.
  [[nodiscard]] std::vector<Bytes> take_due(MonotonicMs now);
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const {
    return state_.pending.empty() ? std::nullopt : due_;
  }
  // `ms` and up to a quarter more, the same for one device each time.
  [[nodiscard]] std::int64_t with_jitter(std::int64_t ms) const noexcept;
  // Changes with add() and acked(): to be persisted then.
  [[nodiscard]] const ReportsState& state() const noexcept { return state_; }
  // Reports are kept in order, without a hole, from the first that is not acked to the last that was numbered; none is
  // due while there is no connection.
  void assert_invariants() const;

 private:
  [[nodiscard]] Bytes sealed(const wire::Report& report) const;
  void renumber(std::uint64_t first);

  ReportsState state_;
  const trust::SecretKey& key_;
  DeviceId device_;
  std::int64_t jitter_permille_;
  std::int64_t pause_ms_ = limits::kReportResendMsMin;
  std::optional<MonotonicMs> due_;  // nullopt while disconnected
  bool online_ = false;
  std::uint64_t sent_through_ = 0;  // highest number sent on this connection
};

// `text` as it may stand in a report: clean (core/base/text.hpp), on one line, at most kTextBytesMax bytes.
[[nodiscard]] std::string clean_text(std::string_view text);

}  // namespace instar::revision

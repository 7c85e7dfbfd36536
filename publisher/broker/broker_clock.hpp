// The broker's clock beside this machine's. A release is dated by the one and held against the other: where they
// differ it waits, or devices wait.
#pragma once

#include <string>

#include "core/base/time.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

struct BrokerClock {
  WallMs there;          // 0: the broker does not say
  WallMs here;           // this machine's, at the same time
  std::string reason;    // what speaks against the broker's clock, as it says itself; empty: nothing
  bool trusted = false;  // it is believed all the same
};

// `answer`: of getVersion, listRollouts or getRollout (docs/formats/control.md), which came at `here`.
[[nodiscard]] BrokerClock read_broker_clock(const Json& answer, WallMs here);
[[nodiscard]] Outcome<BrokerClock> ask_broker_clock(Session& session);

// For people, a line without its end: the broker's clock is in doubt, or the two differ by more than kGateClockMsMax.
// Empty: all is well.
[[nodiscard]] std::string broker_clock_text(const BrokerClock& clock);
// Whether what is dated now would be taken up at once. Errors: refused (this machine's clock is ahead), with both
// times.
[[nodiscard]] Outcome<void> check_not_ahead(const BrokerClock& clock);
// The same of a root document that is to be published, unless the broker's clock is in doubt itself: devices that have
// no better time would go by its date.
[[nodiscard]] Outcome<void> check_root_date(const BrokerClock& clock, WallMs issued);

}  // namespace instar::publisher

#include "publisher/broker/broker_clock.hpp"

#include <cstdlib>

#include "core/base/limits.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

std::string both_times(const BrokerClock& clock) {
  return utc_text(clock.here) + " here, " + utc_text(clock.there) + " there";
}

}  // namespace

BrokerClock read_broker_clock(const Json& answer, WallMs here) {
  const Json& state = get(answer, "clock");
  return {get_time(answer, "time_ms"), here, get_text(state, "reason"), get_flag(state, "trusted")};
}

Outcome<BrokerClock> ask_broker_clock(Session& session) {
  INSTAR_TRY(const auto answer, session.request("getVersion"));
  return read_broker_clock(answer, wall_now());
}

std::string broker_clock_text(const BrokerClock& clock) {
  if (!clock.reason.empty()) {
    return "the broker's clock is in doubt: " + clock.reason +
           (clock.trusted ? ". It is believed all the same, as its configuration says"
                          : ". No wave opens and no gate is signed until it is put right; if it is right, publish a "
                            "release from a machine with the same time");
  }
  const auto ahead = clock.here - clock.there;
  if (clock.there.value == 0 || std::abs(ahead) <= limits::kGateClockMsMax) return "";
  return "this machine's clock is " + span_text(std::abs(ahead)) + (ahead > 0 ? " ahead of" : " behind") +
         " the broker's (" + both_times(clock) + "): put right the one that is wrong";
}

Outcome<void> check_not_ahead(const BrokerClock& clock) {
  const auto ahead = clock.here - clock.there;
  if (clock.there.value == 0 || ahead <= limits::kGateClockMsMax) return {};
  return fail(Exit::refused, Code::refused,
              "this machine's clock is " + span_text(ahead) + " ahead of the broker's (" + both_times(clock) +
                  "): what it signs now would wait until the broker's clock is there. Put right the one that is wrong, "
                  "then try again");
}

Outcome<void> check_root_date(const BrokerClock& clock, WallMs issued) {
  const auto ahead = issued - clock.there;
  if (clock.there.value == 0 || !clock.reason.empty() || ahead <= limits::kGateClockMsMax) return {};
  return fail(
      Exit::refused, Code::refused,
      "the root document is dated " + utc_text(issued) + ", " + span_text(ahead) + " ahead of the broker's clock (" +
          utc_text(clock.there) +
          "): devices without a better clock would take that for the time. Put right the clock that is wrong; if "
          "it was the one of the machine that signed, make the document again");
}

}  // namespace instar::publisher

#include "publisher/broker/broker_clock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::publisher {
namespace {

using testing::HasSubstr;

constexpr WallMs kThere{1'760'000'000'000};
constexpr std::int64_t kMinuteMs = 60'000;

BrokerClock ahead_by(std::int64_t ms) {
  return read_broker_clock({{"time_ms", kThere.value}, {"clock", {{"ok", true}, {"trusted", false}, {"reason", ""}}}},
                           kThere + ms);
}

TEST(TheBrokersClock, MayDifferByMinutes) {
  for (const auto ms : {-10 * kMinuteMs, std::int64_t{0}, 10 * kMinuteMs}) {
    EXPECT_EQ(broker_clock_text(ahead_by(ms)), "");
    EXPECT_TRUE(check_not_ahead(ahead_by(ms)));
  }
}

TEST(TheBrokersClock, AheadOfItNothingIsSigned) {
  const auto status = check_not_ahead(ahead_by(61 * kMinuteMs));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().exit, Exit::refused);
  EXPECT_THAT(status.error().error.message, HasSubstr("61 min ahead of the broker's"));
  EXPECT_THAT(status.error().error.message, HasSubstr("2025-10-09 09:54 UTC here, 2025-10-09 08:53 UTC there"));
}

TEST(TheBrokersClock, BehindItAWordIsEnough) {
  EXPECT_TRUE(check_not_ahead(ahead_by(-180 * kMinuteMs)));
  EXPECT_THAT(broker_clock_text(ahead_by(-180 * kMinuteMs)), HasSubstr("is 3 h behind the broker's"));
}

TEST(TheBrokersClock, SaysItselfWhatSpeaksAgainstIt) {
  auto clock = read_broker_clock(
      {{"time_ms", kThere.value}, {"clock", {{"ok", false}, {"trusted", false}, {"reason", "it says 2045"}}}}, kThere);
  EXPECT_THAT(broker_clock_text(clock), HasSubstr("in doubt: it says 2045. No wave opens"));
  clock.trusted = true;
  EXPECT_THAT(broker_clock_text(clock), HasSubstr("believed all the same"));
}

TEST(TheBrokersClock, KeepsARootDocumentFromAClockThatIsAheadOut) {
  auto clock = ahead_by(0);
  EXPECT_TRUE(check_root_date(clock, kThere + -400 * 24 * 60 * kMinuteMs));
  EXPECT_TRUE(check_root_date(clock, kThere + 10 * kMinuteMs));
  const auto status = check_root_date(clock, kThere + 48 * 60 * kMinuteMs);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().error.message, HasSubstr("2 days ahead of the broker's clock"));
  clock.reason = "it says 1970";
  EXPECT_TRUE(check_root_date(clock, kThere + 48 * 60 * kMinuteMs)) << "that clock says nothing";
}

TEST(TheBrokersClock, OfOneThatDoesNotSayIsPassedOver) {
  const auto clock = read_broker_clock(Json::object(), kThere);
  EXPECT_EQ(broker_clock_text(clock), "");
  EXPECT_TRUE(check_not_ahead(clock));
}

}  // namespace
}  // namespace instar::publisher

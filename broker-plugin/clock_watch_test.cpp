#include "broker-plugin/clock_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::broker {
namespace {

using testing::HasSubstr;

constexpr WallMs kRight{1'760'000'000'000};
constexpr std::int64_t kOneMinuteMs = 60'000;
constexpr std::int64_t kDayMs = 24 * 60 * kOneMinuteMs;

class ClockWatchTest : public testing::Test {
 protected:
  void start(std::optional<WallMs> saved, std::optional<WallMs> root = kRight) { watch.start(saved, root, now); }
  // The wall clock is set by so much.
  bool jump(std::int64_t ms) {
    now.wall = now.wall + ms;
    return watch.see(now);
  }
  bool pass(std::int64_t ms) {
    now.wall = now.wall + ms;
    now.monotonic = now.monotonic + ms;
    return watch.see(now);
  }
  Now now{kRight + kDayMs, {5'000}};
  ClockWatch watch{{}};
};

TEST_F(ClockWatchTest, AClockThatGoesOnFromWhatWasSavedIsBelieved) {
  start(kRight + kDayMs + -1'000);
  EXPECT_FALSE(watch.is_suspect());
  EXPECT_EQ(watch.doubt(), "");
  EXPECT_FALSE(pass(300 * kDayMs)) << "however long it runs";
}

TEST_F(ClockWatchTest, OneThatIsADayBehindWhatWasSavedIsNot) {
  now.wall = kRight;
  start(kRight + kDayMs);
  EXPECT_FALSE(watch.is_suspect()) << "a day is borne";
  start(kRight + kDayMs + 1);
  EXPECT_TRUE(watch.is_suspect());
  EXPECT_THAT(watch.doubt(), HasSubstr("24 h before this broker last saw the time, 2025-10-10"));
}

TEST_F(ClockWatchTest, WithAnEmptyStoreTheRootDocumentIsAllThereIs) {
  now.wall = {1'000};
  start(std::nullopt);
  EXPECT_THAT(watch.doubt(), HasSubstr("it says 1970-01-01 00:00 UTC"));
  EXPECT_THAT(watch.doubt(), HasSubstr("before its root document was signed, 2025-10-09"));
  now.wall = kRight + 400 * kDayMs;
  start(std::nullopt);
  EXPECT_FALSE(watch.is_suspect());
  now.wall = kRight + 400 * kDayMs + 1;
  start(std::nullopt);
  EXPECT_THAT(watch.doubt(), HasSubstr("400 days after its root document was signed"));
  start(std::nullopt, std::nullopt);
  EXPECT_FALSE(watch.is_suspect()) << "nothing to hold it against";
}

TEST_F(ClockWatchTest, ARootDocumentFromAClockThatWasAheadStopsNobodyWhoKnowsTheTime) {
  start(now.wall, kRight + 4'000 * kDayMs);
  EXPECT_FALSE(watch.is_suspect());
}

TEST_F(ClockWatchTest, OneThatIsYearsAheadIsNotUntilItIsPutRight) {
  const auto right = now.wall;
  now.wall = right + 7'300 * kDayMs;
  start(right);
  EXPECT_THAT(watch.doubt(), HasSubstr("7300 days after this broker last saw the time"));
  EXPECT_FALSE(watch.save_is_due(now)) << "a clock in doubt is not saved";
  EXPECT_FALSE(pass(30 * kDayMs)) << "no time makes it right";
  EXPECT_TRUE(watch.is_suspect());
  EXPECT_TRUE(jump(-7'300 * kDayMs)) << "it was set";
  EXPECT_FALSE(watch.is_suspect());
}

TEST_F(ClockWatchTest, AJumpCountsAgainstItForAWhileOrUntilItIsBack) {
  start(now.wall);
  EXPECT_FALSE(jump(10 * kOneMinuteMs));
  EXPECT_TRUE(jump(30 * kOneMinuteMs));
  EXPECT_THAT(watch.doubt(), HasSubstr("after it went forward by 30 min at once"));
  EXPECT_FALSE(pass(kOneMinuteMs));
  EXPECT_TRUE(jump(-25 * kOneMinuteMs)) << "near enough to where it was";
  EXPECT_FALSE(watch.is_suspect());
  EXPECT_TRUE(jump(-60 * kOneMinuteMs));
  EXPECT_THAT(watch.doubt(), HasSubstr("back by 60 min"));
  EXPECT_FALSE(pass(59 * kOneMinuteMs));
  EXPECT_TRUE(pass(kOneMinuteMs));
  EXPECT_FALSE(watch.is_suspect()) << "nobody has set it back";
}

TEST_F(ClockWatchTest, AJumpFarBackStaysInDoubt) {
  start(now.wall);
  EXPECT_TRUE(watch.save_is_due(now));
  EXPECT_TRUE(jump(-3 * kDayMs));
  EXPECT_FALSE(pass(2 * 60 * kOneMinuteMs));
  EXPECT_TRUE(watch.is_suspect());
}

TEST_F(ClockWatchTest, ItIsSavedOnceAnHour) {
  start(std::nullopt);
  EXPECT_TRUE(watch.save_is_due(now));
  static_cast<void>(pass(59 * kOneMinuteMs));
  EXPECT_FALSE(watch.save_is_due(now));
  static_cast<void>(pass(kOneMinuteMs));
  EXPECT_TRUE(watch.save_is_due(now));
}

TEST_F(ClockWatchTest, OneThatIsWeeksAheadIsSavedOnlyWhenItHasLasted) {
  const auto right = now.wall;
  now.wall = right + 30 * kDayMs;
  start(right);
  EXPECT_FALSE(watch.is_suspect()) << "the broker may have been off";
  static_cast<void>(pass(59 * kOneMinuteMs));
  EXPECT_FALSE(watch.save_is_due(now));
  EXPECT_FALSE(watch.may_save(now.monotonic));
  static_cast<void>(pass(kOneMinuteMs));
  EXPECT_TRUE(watch.save_is_due(now));
}

TEST_F(ClockWatchTest, WhoSignsWithAClockThatAgreesVouchesForIt) {
  const auto saved = now.wall + 300 * kDayMs;  // by a clock that was ahead
  start(saved);
  ASSERT_TRUE(watch.is_suspect());
  EXPECT_FALSE(watch.vouch(saved, now)) << "that one does not agree";
  EXPECT_FALSE(watch.vouch(now.wall + 11 * kOneMinuteMs, now));
  EXPECT_TRUE(watch.vouch(now.wall + -5 * kOneMinuteMs, now));
  EXPECT_FALSE(watch.is_suspect());
  EXPECT_TRUE(watch.save_is_due(now)) << "at once: what was saved counts no more";
}

TEST_F(ClockWatchTest, ANewRootDocumentVouchesToo) {
  now.wall = kRight + 3'000 * kDayMs;
  start(std::nullopt);
  ASSERT_TRUE(watch.is_suspect());
  EXPECT_TRUE(watch.vouch_by_root(now.wall, now));
  EXPECT_FALSE(watch.is_suspect());
}

TEST_F(ClockWatchTest, OneThatIsTrustedIsBelievedAndStillTold) {
  watch = ClockWatch({.trust = true, .ahead_days_max = 400});
  now.wall = {1'000};
  start(kRight);
  EXPECT_TRUE(watch.is_suspect());
  EXPECT_EQ(watch.doubt(), "");
  EXPECT_TRUE(watch.save_is_due(now));
}

TEST_F(ClockWatchTest, TheOptionSaysHowFarAheadItMayBe) {
  watch = ClockWatch({.trust = false, .ahead_days_max = 10});
  start(kRight + -10 * kDayMs, std::nullopt);
  EXPECT_TRUE(watch.is_suspect());
}

TEST_F(ClockWatchTest, ALineIsDueOnceAnHourWhileItIsSuspect) {
  now.wall = {1'000};
  start(kRight);
  EXPECT_TRUE(watch.line_is_due(now.monotonic));
  EXPECT_FALSE(watch.line_is_due(now.monotonic));
  EXPECT_TRUE(watch.line_is_due(now.monotonic + 60 * kOneMinuteMs));
  static_cast<void>(jump(kRight.value));
  EXPECT_FALSE(watch.line_is_due(now.monotonic + 120 * kOneMinuteMs));
}

}  // namespace
}  // namespace instar::broker

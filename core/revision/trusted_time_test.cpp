#include "core/revision/trusted_time.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

using By = JudgedTime::By;
using testing::HasSubstr;
using wire::ClockState;

constexpr WallMs kRootMade{1'600'000'000'000};
constexpr WallMs kReleaseMade{1'650'000'000'000};
constexpr WallMs kToday{1'700'000'000'000};
constexpr std::int64_t kYearOfMs = std::int64_t{365} * 86'400'000;

TrustedTime time_of(ClockState clock) {
  TrustedTime time;
  time.set_root(kRootMade);
  time.set_clock(clock);
  return time;
}

TEST(TrustedTimeTest, AClockThatIsKeptCountsAlone) {
  const auto time = time_of(ClockState::synchronized);
  for (const auto wall : {WallMs{0}, kToday, kToday + kYearOfMs}) {
    EXPECT_EQ(time.at(wall), wall);
    const auto judged = time.judge(wall, kReleaseMade, kToday + 20 * kYearOfMs);
    EXPECT_EQ(judged.time, wall);
    EXPECT_EQ(judged.by, By::own_clock);
    EXPECT_TRUE(time.is_credible(wall, kReleaseMade));
  }
}

TEST(TrustedTimeTest, AnyOtherIsNotBehindWhatIsSignedAboutThatRelease) {
  for (const auto clock : {ClockState::free, ClockState::none}) {
    const auto time = time_of(clock);
    EXPECT_EQ(time.at(WallMs{0}), kRootMade);
    EXPECT_EQ(time.judge(WallMs{0}).by, By::root);
    EXPECT_EQ(time.judge(WallMs{0}, kReleaseMade, std::nullopt).time, kReleaseMade);
    EXPECT_EQ(time.judge(WallMs{0}, kReleaseMade, std::nullopt).by, By::manifest);
    EXPECT_EQ(time.judge(WallMs{0}, kReleaseMade, kToday).by, By::gate);
    EXPECT_EQ(time.judge(kToday, kReleaseMade, kToday).by, By::own_clock);
  }
}

// What one source says is no part of what the next one is held against: nothing lasts.
TEST(TrustedTimeTest, ComesBackDownWithTheNextWordOfTheSameSource) {
  auto time = time_of(ClockState::free);
  EXPECT_EQ(time.judge(kToday, kReleaseMade, kToday + kYearOfMs).time, kToday + kYearOfMs);
  EXPECT_EQ(time.judge(kToday, kReleaseMade, kToday).time, kToday);
  time.set_root(kToday + kYearOfMs);
  EXPECT_EQ(time.at(kToday), kToday + kYearOfMs);
  time.set_root(kRootMade);
  EXPECT_EQ(time.at(kToday), kToday);
}

TEST(TrustedTimeTest, IsBelievedWhereItStandsBehindNothingThatIsSigned) {
  const auto time = time_of(ClockState::free);
  EXPECT_TRUE(time.is_credible(kToday, kReleaseMade));
  EXPECT_TRUE(time.is_credible(kReleaseMade + -limits::kGateClockMsMax, kReleaseMade));
  EXPECT_FALSE(time.is_credible(kReleaseMade + (-limits::kGateClockMsMax - 1), kReleaseMade));
  EXPECT_FALSE(time.is_credible(WallMs{0}));
  EXPECT_TRUE(time.is_credible(kToday + 50 * kYearOfMs)) << "nothing says that it is ahead";
  EXPECT_FALSE(time_of(ClockState::none).is_credible(kToday, kReleaseMade));
}

TEST(TrustedTimeTest, NoticesThatTheClockWasSet) {
  TrustedTime time;
  EXPECT_FALSE(time.note({kToday, MonotonicMs{0}})) << "the first look";
  EXPECT_FALSE(time.note({kToday + 3'600'000, MonotonicMs{3'600'000}}));
  EXPECT_TRUE(time.note({kToday, MonotonicMs{3'601'000}}));
  EXPECT_FALSE(time.note({kToday + 1'000, MonotonicMs{3'602'000}}));
  EXPECT_TRUE(time.note({kToday + kYearOfMs, MonotonicMs{3'603'000}}));
}

TEST(TrustedTimeTest, SaysWhoseClockItIs) {
  const auto time = time_of(ClockState::free);
  EXPECT_EQ(time.text(time.judge(kToday)), "it is 2023-11-14 22:13 UTC by this device's own clock (not synchronized)");
  EXPECT_EQ(time.text(time.judge(WallMs{0})), "it is 2020-09-13 12:26 UTC by the root document");
  EXPECT_THAT(time.text(time.judge(WallMs{0}, kReleaseMade, kToday)), HasSubstr("by the broker's gate"));
  EXPECT_THAT(time.text(time.judge(WallMs{0}, kReleaseMade, std::nullopt)), HasSubstr("by the release itself"));
  const auto kept = time_of(ClockState::synchronized);
  EXPECT_EQ(kept.text(kept.judge(kToday)), "it is 2023-11-14 22:13 UTC by this device's own clock");
}

}  // namespace
}  // namespace instar::revision

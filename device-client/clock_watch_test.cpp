#include "device-client/clock_watch.hpp"

#include <gtest/gtest.h>

namespace instar::device {
namespace {

using revision::LocalTime;
using wire::ClockState;

constexpr Now kStart{WallMs{1'700'000'000'000}, MonotonicMs{1'000}};

Now later(std::int64_t ms, std::int64_t step_ms = 0) {
  return {kStart.wall + (ms + step_ms), kStart.monotonic + ms};
}

TEST(ClockWatchTest, SaysWhatIsSoAtTheStartAndWhenItChanges) {
  ClockWatch watch;
  ASSERT_TRUE(watch.take_change({3'600, ClockState::free}, kStart).has_value());
  EXPECT_FALSE(watch.take_change({3'600, ClockState::free}, later(600'000)).has_value());
  const auto summer = watch.take_change({7'200, ClockState::free}, later(700'000));
  ASSERT_TRUE(summer.has_value());
  EXPECT_EQ(summer->utc_offset_s, 7'200);
  const auto kept = watch.take_change({7'200, ClockState::synchronized}, later(800'000));
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->clock, ClockState::synchronized);
}

TEST(ClockWatchTest, SaysThatTheClockWasSet) {
  ClockWatch watch;
  ASSERT_TRUE(watch.take_change({}, kStart).has_value());
  EXPECT_FALSE(watch.take_change({}, later(1'000, 59'000)).has_value()) << "as a clock drifts";
  EXPECT_TRUE(watch.take_change({}, later(2'000, 61'000)).has_value());
  EXPECT_FALSE(watch.take_change({}, later(3'000, 61'000)).has_value()) << "told already";
  EXPECT_TRUE(watch.take_change({}, later(4'000)).has_value()) << "and put back";
}

}  // namespace
}  // namespace instar::device

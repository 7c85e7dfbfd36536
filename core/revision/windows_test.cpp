#include "core/revision/windows.hpp"

#include <gtest/gtest.h>

namespace instar::revision {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
// Monday 2024-01-01 00:00 UTC.
constexpr WallMs kMonday{1'704'067'200'000};

using Windows = std::vector<wire::MaintenanceWindow>;

TEST(Windows, OpenForTheirDurationOnTheirDays) {
  const Windows windows{{1, 120, 60}};  // Monday 02:00 to 03:00
  EXPECT_FALSE(is_window_open(windows, kMonday + (2 * kHourMs - 1), 0));
  EXPECT_TRUE(is_window_open(windows, kMonday + 2 * kHourMs, 0));
  EXPECT_TRUE(is_window_open(windows, kMonday + (3 * kHourMs - 1), 0));
  EXPECT_FALSE(is_window_open(windows, kMonday + 3 * kHourMs, 0));
  EXPECT_FALSE(is_window_open(windows, kMonday + 26 * kHourMs, 0)) << "Tuesday";
  EXPECT_TRUE(is_window_open(windows, kMonday + (7 * 24 + 2) * kHourMs, 0));
}

TEST(Windows, PassMidnightAndTheEndOfTheWeek) {
  const Windows windows{{64, 23 * 60, 120}};  // Sunday 23:00 to Monday 01:00
  EXPECT_TRUE(is_window_open(windows, kMonday, 0));
  EXPECT_FALSE(is_window_open(windows, kMonday + kHourMs, 0));
  EXPECT_TRUE(is_window_open(windows, kMonday + (6 * 24 + 23) * kHourMs, 0));
}

TEST(Windows, AreInLocalTime) {
  const Windows windows{{1, 0, 60}};
  EXPECT_TRUE(is_window_open(windows, kMonday + -2 * kHourMs, 2 * 3'600)) << "it is Monday there already";
  EXPECT_FALSE(is_window_open(windows, kMonday, 2 * 3'600));
  EXPECT_TRUE(is_window_open(windows, kMonday + 5 * kHourMs, -5 * 3'600));
}

TEST(Windows, TellWhenTheNextOneOpens) {
  const Windows windows{{1, 120, 60}, {4, 0, 60}};
  EXPECT_EQ(ms_until_window(windows, kMonday, 0), 2 * kHourMs);
  EXPECT_EQ(ms_until_window(windows, kMonday + 2 * kHourMs, 0), 0);
  EXPECT_EQ(ms_until_window(windows, kMonday + 3 * kHourMs, 0), 45 * kHourMs);
  EXPECT_EQ(ms_until_window({}, kMonday, 0), std::nullopt);
  EXPECT_EQ(ms_until_window(windows, WallMs{-5 * kHourMs}, 0).has_value(), true) << "a clock before 1970 is a clock";
}

}  // namespace
}  // namespace instar::revision

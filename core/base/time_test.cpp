#include "core/base/time.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace instar {
namespace {

TEST(TimeText, IsADateInUtc) {
  EXPECT_EQ(utc_text(WallMs{0}), "1970-01-01 00:00 UTC");
  EXPECT_EQ(utc_text(WallMs{1'700'000'000'000}), "2023-11-14 22:13 UTC");
  EXPECT_EQ(utc_text(WallMs{1'709'164'800'000}), "2024-02-29 00:00 UTC");
}

TEST(TimeText, StaysWithinItsYears) {
  EXPECT_EQ(utc_text(WallMs{-1}), "1970-01-01 00:00 UTC");
  EXPECT_EQ(utc_text(WallMs{INT64_MAX}), "9999-12-31 23:59 UTC");
}

TEST(TimeText, SaysTheDayOfTheWeekInLocalTime) {
  EXPECT_EQ(weekday_text(WallMs{1'700'000'000'000}, 0), "Tue 22:13");
  EXPECT_EQ(weekday_text(WallMs{1'700'000'000'000}, 2 * 3'600), "Wed 00:13");
  EXPECT_EQ(weekday_text(WallMs{1'700'000'000'000}, -23 * 3'600), "Mon 23:13");
}

TEST(TimeText, SaysHowLong) {
  EXPECT_EQ(span_text(-5), "0 s");
  EXPECT_EQ(span_text(119'999), "119 s");
  EXPECT_EQ(span_text(120'000), "2 min");
  EXPECT_EQ(span_text(7'199'999), "119 min");
  EXPECT_EQ(span_text(7'200'000), "2 h");
  EXPECT_EQ(span_text(std::int64_t{7'300} * 24 * 3'600 * 1'000), "7300 days");
}

}  // namespace
}  // namespace instar

#include "core/base/time.hpp"

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"

namespace instar {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kDayMs = 24 * 60 * kMinuteMs;
// 1970-01-01 was a Thursday.
constexpr std::array<const char*, 7> kDaysFromEpoch{"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

struct Split {
  std::int64_t day;     // since 1970-01-01
  std::int64_t minute;  // of that day
};

Split split(WallMs time) noexcept {
  const auto ms = std::clamp<std::int64_t>(time.value, 0, limits::kWallMsMax);
  return {ms / kDayMs, ms % kDayMs / kMinuteMs};
}

std::string two_digits(std::int64_t number) {
  return {static_cast<char>('0' + number / 10), static_cast<char>('0' + number % 10)};
}

std::string clock_text(std::int64_t minute) {
  return two_digits(minute / 60) + ":" + two_digits(minute % 60);
}

bool is_leap(std::int64_t year) noexcept {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

}  // namespace

std::string utc_text(WallMs time) {
  constexpr std::array<int, 12> kMonthDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  auto [day, minute] = split(time);
  std::int64_t year = 1970;
  for (; day >= (is_leap(year) ? 366 : 365); ++year) day -= is_leap(year) ? 366 : 365;
  std::size_t month = 0;
  const auto days_of = [&](std::size_t of) { return kMonthDays.at(of) + (of == 1 && is_leap(year) ? 1 : 0); };
  for (; day >= days_of(month); ++month) day -= days_of(month);
  return std::to_string(year) + "-" + two_digits(static_cast<std::int64_t>(month) + 1) + "-" + two_digits(day + 1) +
         " " + clock_text(minute) + " UTC";
}

std::string weekday_text(WallMs utc, std::int32_t utc_offset_s) {
  const auto [day, minute] = split({std::min(utc.value, limits::kWallMsMax) + std::int64_t{utc_offset_s} * 1'000});
  return std::string(kDaysFromEpoch.at(static_cast<std::size_t>(day % 7))) + " " + clock_text(minute);
}

std::string span_text(std::int64_t ms) {
  const auto seconds = std::max<std::int64_t>(ms, 0) / 1'000;
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 2 * 3'600) return std::to_string(seconds / 60) + " min";
  if (seconds < 2 * 24 * 3'600) return std::to_string(seconds / 3'600) + " h";
  return std::to_string(seconds / (24 * 3'600)) + " days";
}

}  // namespace instar

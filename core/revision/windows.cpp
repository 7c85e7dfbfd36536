#include "core/revision/windows.hpp"

#include <algorithm>

namespace instar::revision {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kDayMinutes = 24 * 60;
constexpr std::int64_t kWeekMs = 7 * kDayMinutes * kMinuteMs;
// 1970-01-01 was a Thursday, day 3 of a week that begins on Monday.
constexpr std::int64_t kEpochMs = 3 * kDayMinutes * kMinuteMs;

// Milliseconds since Monday 00:00, local time.
std::int64_t of_week(WallMs utc, std::int32_t utc_offset_s) noexcept {
  const auto local = utc.value + std::int64_t{utc_offset_s} * 1'000 + kEpochMs;
  return ((local % kWeekMs) + kWeekMs) % kWeekMs;
}

}  // namespace

std::optional<std::int64_t> ms_until_window(const std::vector<wire::MaintenanceWindow>& windows, WallMs utc,
                                            std::int32_t utc_offset_s) noexcept {
  const auto now = of_week(utc, utc_offset_s);
  std::optional<std::int64_t> soonest;
  for (const auto& window : windows) {
    for (int day = 0; day < 7; ++day) {
      if ((window.days >> day & 1) == 0) continue;
      const auto opens = (day * kDayMinutes + window.start_minute) * kMinuteMs;
      const auto since = (now - opens + kWeekMs) % kWeekMs;
      const auto wait = since < window.duration_minutes * kMinuteMs ? 0 : kWeekMs - since;
      soonest = std::min(soonest.value_or(wait), wait);
    }
  }
  return soonest;
}

bool is_window_open(const std::vector<wire::MaintenanceWindow>& windows, WallMs utc,
                    std::int32_t utc_offset_s) noexcept {
  return ms_until_window(windows, utc, utc_offset_s) == 0;
}

}  // namespace instar::revision

// Two clocks that must not be mixed. Core reads neither of them: an event brings both times.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace instar {

// Milliseconds since 1970 UTC. May jump, may be wrong by years on a device without a battery.
struct WallMs {
  std::int64_t value = 0;
  friend auto operator<=>(const WallMs&, const WallMs&) = default;
  friend WallMs operator+(WallMs t, std::int64_t ms) noexcept { return {t.value + ms}; }
  friend std::int64_t operator-(WallMs a, WallMs b) noexcept { return a.value - b.value; }
};

// Milliseconds since some start of the process or machine. Never goes back.
struct MonotonicMs {
  std::int64_t value = 0;
  friend auto operator<=>(const MonotonicMs&, const MonotonicMs&) = default;
  friend MonotonicMs operator+(MonotonicMs t, std::int64_t ms) noexcept { return {t.value + ms}; }
  friend std::int64_t operator-(MonotonicMs a, MonotonicMs b) noexcept { return a.value - b.value; }
};

// The moment at which an event is handled, on both clocks.
struct Now {
  WallMs wall;
  MonotonicMs monotonic;
};

// "2026-11-01 12:00 UTC". Times before 1970 and after 9999 come out as those.
[[nodiscard]] std::string utc_text(WallMs time);
// "Fri 03:12", of the local time that is `utc_offset_s` seconds east of UTC.
[[nodiscard]] std::string weekday_text(WallMs utc, std::int32_t utc_offset_s);
// "90 s", "95 min", "30 h", "7300 days": the largest unit that goes into it twice, rounded down.
[[nodiscard]] std::string span_text(std::int64_t ms);

}  // namespace instar

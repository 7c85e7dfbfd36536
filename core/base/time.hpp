// Two clocks that must not be mixed. Core reads neither of them: an event brings both times.
#pragma once

#include <compare>
#include <cstdint>

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

}  // namespace instar

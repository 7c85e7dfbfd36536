// The time that decisions go by, and how far the device's own clock is to be believed
// (docs/decisions/0013-whose-clock-counts.md). A clock that a time service keeps counts alone. Any other may stand
// years behind, but not behind a time that somebody has signed: the root document in force, the release that is judged,
// the gate of that very release. Nothing is remembered: what each of them says last replaces what it said before. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/time.hpp"
#include "core/wire/description.hpp"

namespace instar::revision {

struct JudgedTime {
  enum class By : std::uint8_t { own_clock, root, manifest, gate };
  WallMs time;
  By by = By::own_clock;
};

class TrustedTime {
 public:
  // What the host says of the clock.
  void set_clock(wire::ClockState clock) noexcept { clock_ = clock; }
  [[nodiscard]] wire::ClockState clock() const noexcept { return clock_; }
  // When the root document in force was made.
  void set_root(WallMs issued) noexcept { root_issued_ = issued; }
  // With each event. True: the wall clock was set since the event before.
  [[nodiscard]] bool note(Now now) noexcept;

  [[nodiscard]] bool is_synchronized() const noexcept { return clock_ == wire::ClockState::synchronized; }
  // The clock can tell whether something lies ahead of it: it is synchronized, or keeps time and stands behind neither
  // the root document nor `issued` by more than limits::kGateClockMsMax.
  [[nodiscard]] bool is_credible(WallMs wall, WallMs issued = {}) const noexcept;

  // The time by which what is not about one release is judged.
  [[nodiscard]] JudgedTime judge(WallMs wall) const noexcept;
  [[nodiscard]] WallMs at(WallMs wall) const noexcept { return judge(wall).time; }
  // The time by which a release is judged: `issued` of its manifest, whose checks have all passed, and `fresh` of its
  // gate, if one is obeyed.
  [[nodiscard]] JudgedTime judge(WallMs wall, WallMs issued, std::optional<WallMs> fresh) const noexcept;
  // "it is 2090-01-02 00:00 UTC by this device's own clock (not synchronized)"
  [[nodiscard]] std::string text(const JudgedTime& judged) const;

 private:
  wire::ClockState clock_ = wire::ClockState::free;
  WallMs root_issued_;
  std::optional<Now> noted_;
};

}  // namespace instar::revision

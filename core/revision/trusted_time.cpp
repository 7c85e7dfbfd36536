#include "core/revision/trusted_time.hpp"

#include <cstdlib>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

void lift(JudgedTime& judged, WallMs time, JudgedTime::By by) noexcept {
  if (time > judged.time) judged = {time, by};
}

}  // namespace

bool TrustedTime::note(Now now) noexcept {
  const auto before = noted_;
  noted_ = now;
  if (!before) return false;
  const auto step = (now.wall - before->wall) - (now.monotonic - before->monotonic);
  return std::abs(step) > limits::kClockStepMsMin;
}

bool TrustedTime::is_credible(WallMs wall, WallMs issued) const noexcept {
  if (is_synchronized()) return true;
  if (clock_ == wire::ClockState::none) return false;
  const auto latest = wall + limits::kGateClockMsMax;
  return latest >= root_issued_ && latest >= issued;
}

JudgedTime TrustedTime::judge(WallMs wall) const noexcept {
  JudgedTime judged{wall, JudgedTime::By::own_clock};
  if (!is_synchronized()) lift(judged, root_issued_, JudgedTime::By::root);
  return judged;
}

JudgedTime TrustedTime::judge(WallMs wall, WallMs issued, std::optional<WallMs> fresh) const noexcept {
  auto judged = judge(wall);
  if (is_synchronized()) return judged;
  lift(judged, issued, JudgedTime::By::manifest);
  if (fresh) lift(judged, *fresh, JudgedTime::By::gate);
  return judged;
}

std::string TrustedTime::text(const JudgedTime& judged) const {
  const auto when = "it is " + utc_text(judged.time) + " by ";
  switch (judged.by) {
    case JudgedTime::By::own_clock:
      return when + "this device's own clock" + (is_synchronized() ? "" : " (not synchronized)");
    case JudgedTime::By::root: return when + "the root document";
    case JudgedTime::By::manifest: return when + "the release itself";
    case JudgedTime::By::gate: return when + "the broker's gate";
  }
  return when + "nobody's clock";
}

}  // namespace instar::revision

#include "broker-plugin/clock_watch.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace instar::broker {
namespace {

constexpr std::int64_t kDayMs = 24LL * 3'600 * 1'000;

bool agree(WallMs signed_at, WallMs clock) noexcept {
  return std::abs(signed_at - clock) <= limits::kGateClockMsMax;
}

}  // namespace

void ClockWatch::start(std::optional<WallMs> saved, std::optional<WallMs> root, Now now) {
  saved_ = saved;
  root_ = root;
  offset_ = now.wall.value - now.monotonic.value;
  jump_.reset();
  const auto newest = std::max(saved_, root_);
  const bool is_far = newest.has_value() && now.wall - *newest > limits::kClockBehindMsMax;
  settles_ = now.monotonic + (is_far ? limits::kClockSettleMs : 0);
  saved_at_.reset();
  written_at_.reset();
  static_cast<void>(judge_anew(now));
}

bool ClockWatch::see(Now now) {
  follow_jumps(now);
  return judge_anew(now);
}

void ClockWatch::follow_jumps(Now now) noexcept {
  const auto offset = now.wall.value - now.monotonic.value;
  const auto before = std::exchange(offset_, offset);
  if (std::abs(offset - before) > limits::kClockJumpMsMax) {
    // One that was wrong already may have been put right by it.
    const bool was_right = suspicion_ == Suspicion::none || suspicion_ == Suspicion::jumped;
    if (jump_.has_value() || was_right)
      jump_ = Jump{jump_.has_value() ? jump_->offset_before : before, offset - before, now.monotonic};
  }
  if (!jump_.has_value()) return;
  const bool is_back = std::abs(offset - jump_->offset_before) <= limits::kClockJumpMsMax;
  if (is_back || now.monotonic - jump_->at >= limits::kClockSettleMs) jump_.reset();
}

ClockWatch::Suspicion ClockWatch::judge(Now now) const noexcept {
  const auto least = saved_.has_value() ? saved_ : root_;
  if (least.has_value() && *least - now.wall > limits::kClockBehindMsMax) return Suspicion::behind;
  const auto newest = std::max(saved_, root_);  // nullopt is the least
  if (newest.has_value() && now.wall - *newest > rule_.ahead_days_max * kDayMs) return Suspicion::ahead;
  return jump_.has_value() ? Suspicion::jumped : Suspicion::none;
}

bool ClockWatch::judge_anew(Now now) {
  const auto suspicion = judge(now);
  if (suspicion == suspicion_) return false;
  suspicion_ = suspicion;
  reason_ = explain(suspicion, now);
  return true;
}

std::string ClockWatch::explain(Suspicion suspicion, Now now) const {
  const auto says = "it says " + utc_text(now.wall);
  const auto since = [](bool is_saved, WallMs time) {
    return (is_saved ? "this broker last saw the time, " : "its root document was signed, ") + utc_text(time);
  };
  switch (suspicion) {
    case Suspicion::none: return "";
    case Suspicion::behind: {
      const auto least = saved_.has_value() ? *saved_ : *root_;
      return says + ", " + span_text(least - now.wall) + " before " + since(saved_.has_value(), least);
    }
    case Suspicion::ahead: {
      const auto newest = *std::max(saved_, root_);
      return says + ", " + span_text(now.wall - newest) + " after " + since(saved_ == newest, newest) + " (more than " +
             std::to_string(rule_.ahead_days_max) + " days, clock_ahead_days_max)";
    }
    case Suspicion::jumped: break;
  }
  return says + ", after it went " + (jump_->step_ms > 0 ? "forward" : "back") + " by " +
         span_text(std::abs(jump_->step_ms)) + " at once";
}

WallMs ClockWatch::best(WallMs clock, WallMs signed_at) const noexcept {
  return agree(signed_at, clock) ? clock : best(clock);
}

bool ClockWatch::vouch(WallMs signed_at, Now now) {
  if (!is_suspect() || !agree(signed_at, now.wall)) return false;
  saved_ = now.wall;
  saved_at_.reset();
  settles_ = now.monotonic;
  jump_.reset();
  return judge_anew(now);
}

bool ClockWatch::vouch_by_root(WallMs signed_at, Now now) {
  root_ = signed_at;
  return vouch(signed_at, now) || judge_anew(now);
}

bool ClockWatch::save_is_due(Now now) noexcept {
  if (!may_save(now.monotonic) || (saved_at_.has_value() && now.monotonic - *saved_at_ < limits::kClockSaveMs))
    return false;
  saved_at_ = now.monotonic;
  saved_ = now.wall;
  return true;
}

bool ClockWatch::line_is_due(MonotonicMs now) noexcept {
  if (!is_suspect()) {
    written_at_.reset();
    return false;
  }
  if (written_at_.has_value() && now - *written_at_ < limits::kClockLineMs) return false;
  written_at_ = now;
  return true;
}

}  // namespace instar::broker

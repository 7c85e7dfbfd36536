#include "core/revision/hearing.hpp"

#include <algorithm>
#include <utility>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

constexpr std::int64_t kSilenceDayMs = 24 * 3'600 * 1'000;

}  // namespace

std::int64_t silent_days(const HearingState& state, WallMs wall) noexcept {
  if (state.heard.value == 0) return 0;
  return std::max<std::int64_t>(wall - state.heard, 0) / kSilenceDayMs;
}

bool Hearing::heard(Now now) noexcept {
  is_heard_ = true;
  is_told_ = false;
  since_ = now.monotonic;
  const auto before = std::exchange(state_.heard, now.wall);
  return now.wall < before || now.wall - before >= kSilenceDayMs;
}

// One that was dated ahead of the clock must not hide those that come after it.
bool Hearing::heard_gate(WallMs fresh, Now now) noexcept {
  if (fresh > state_.last_signed || state_.last_signed > now.wall + limits::kGateClockMsMax) state_.last_signed = fresh;
  return heard(now);
}

bool Hearing::heard_ack(Now now) noexcept {
  return heard(now);
}

std::int64_t Hearing::silent_ms(Now now) const noexcept {
  const auto here = now.monotonic - since_;
  if (is_heard_ || state_.heard.value == 0) return here;
  return std::max(here, now.wall - state_.heard);
}

bool Hearing::has_nothing_to_say(bool connected) const noexcept {
  return days_ == 0 || is_told_ || (connected && state_.last_signed.value == 0);
}

std::optional<std::string> Hearing::complain(bool connected, Now now) {
  if (has_nothing_to_say(connected)) return std::nullopt;
  const auto silent = silent_ms(now);
  if (silent < std::int64_t{days_} * kSilenceDayMs) return std::nullopt;
  is_told_ = true;
  auto text = "nothing has come from the broker for " + std::to_string(silent / kSilenceDayMs) + " days";
  if (state_.last_signed.value != 0) text += ": the last gate was signed at " + utc_text(state_.last_signed);
  return text;
}

std::optional<MonotonicMs> Hearing::next_deadline(bool connected) const noexcept {
  if (has_nothing_to_say(connected)) return std::nullopt;
  return since_ + std::int64_t{days_} * kSilenceDayMs;
}

}  // namespace instar::revision

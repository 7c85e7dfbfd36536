// Which step of a device may follow which in a rollout, as data. The device owns its step; the broker records what
// reports say.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/wire/messages.hpp"

namespace instar::rollout {

enum class StepRule : std::uint8_t {
  never,        // the report is acked, the member stays as it is
  always,       // backwards too: a chunk that was corrupt takes staging back to fetching
  new_attempt,  // an attempt that has ended stays ended; another number begins a new one
};

// kStepRules[from][to]
inline constexpr auto kStepRules = [] {
  constexpr auto n = StepRule::never;
  constexpr auto a = StepRule::always;
  constexpr auto t = StepRule::new_attempt;
  return std::array<std::array<StepRule, wire::kStepCount>, wire::kStepCount>{{
      // idle waiting fetching staging trying committed rolled_back refused failed
      {n, a, a, a, a, a, a, a, a},  // idle
      {n, a, a, a, a, a, a, a, a},  // waiting
      {n, a, a, a, a, a, a, a, a},  // fetching
      {n, a, a, a, a, a, a, a, a},  // staging
      {n, a, a, a, a, a, a, a, a},  // trying
      {n, t, t, t, t, a, a, t, t},  // committed; it may still roll back when it does not stay up
      {n, t, t, t, t, t, a, t, t},  // rolled_back
      {n, a, a, a, a, a, a, a, a},  // refused: the blocker (space, a key) may go away within the attempt
      {n, a, a, a, a, a, a, a, a},  // failed: likewise
  }};
}();

[[nodiscard]] constexpr bool may_follow(wire::Step from, std::uint32_t from_attempt, wire::Step to,
                                        std::uint32_t to_attempt) noexcept {
  switch (kStepRules[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)]) {
    case StepRule::never: return false;
    case StepRule::always: return true;
    case StepRule::new_attempt: return from_attempt != to_attempt;
  }
  return false;
}

}  // namespace instar::rollout

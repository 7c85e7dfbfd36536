// The states of the broker's machine and what may follow what, as data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/rollout/record.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

// --- a device's step in a rollout: owned by the device; the broker records what its reports say
// ------------------------
using wire::kStepCount;

enum class StepRule : std::uint8_t {
  never,        // the report counts as heard, the member stays as it is
  always,       // also back: a chunk that was corrupt takes staging back to fetching
  new_attempt,  // an attempt that has ended stays ended; another number begins anew
};

// kStepRules[from][to]
inline constexpr auto kStepRules = [] {
  constexpr auto n = StepRule::never;
  constexpr auto a = StepRule::always;
  constexpr auto t = StepRule::new_attempt;
  return std::array<std::array<StepRule, kStepCount>, kStepCount>{{
      // idle waiting fetching staging trying committed rolled_back refused failed
      {n, a, a, a, a, a, a, a, a},  // idle
      {n, a, a, a, a, a, a, a, a},  // waiting
      {n, a, a, a, a, a, a, a, a},  // fetching
      {n, a, a, a, a, a, a, a, a},  // staging
      {n, a, a, a, a, a, a, a, a},  // trying
      {n, t, t, t, t, a, a, t, t},  // committed; it may still go back when it does not stay up
      {n, t, t, t, t, t, a, t, t},  // rolled_back
      {n, a, a, a, a, a, a, a, a},  // refused: what stood in the way (space, a key) may go away within the attempt
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

// --- a rollout's state: owned by the broker, moved by operators, and by its own error budget
// ------------------------------------------------------
enum class Action : std::uint8_t { pause = 0, resume = 1, abort = 2, revert = 3 };

struct ActionRow {
  RolloutState from;
  Action action;
  std::optional<RolloutState> to;  // none: refused
};

inline constexpr std::array<ActionRow, 16> kActionRows{{
    {RolloutState::active, Action::pause, RolloutState::paused},
    {RolloutState::active, Action::resume, RolloutState::active},
    {RolloutState::active, Action::abort, RolloutState::aborted},
    {RolloutState::paused, Action::pause, RolloutState::paused},
    {RolloutState::paused, Action::resume, RolloutState::active},
    {RolloutState::paused, Action::abort, RolloutState::aborted},
    {RolloutState::aborted, Action::pause, std::nullopt},
    {RolloutState::aborted, Action::resume, std::nullopt},
    {RolloutState::aborted, Action::abort, RolloutState::aborted},
    {RolloutState::active, Action::revert, RolloutState::reverted},
    {RolloutState::paused, Action::revert, RolloutState::reverted},
    {RolloutState::aborted, Action::revert, RolloutState::reverted},
    {RolloutState::reverted, Action::pause, std::nullopt},
    {RolloutState::reverted, Action::resume, std::nullopt},
    {RolloutState::reverted, Action::abort, RolloutState::reverted},  // as good as aborted
    {RolloutState::reverted, Action::revert, RolloutState::reverted},
}};

[[nodiscard]] constexpr std::optional<RolloutState> state_after(RolloutState from, Action action) noexcept {
  for (const auto& row : kActionRows) {
    if (row.from == from && row.action == action) return row.to;
  }
  return std::nullopt;
}

[[nodiscard]] constexpr std::string_view action_name(Action action) noexcept {
  constexpr std::array<std::string_view, 4> kNames{"pause", "resume", "abort", "revert"};
  return kNames[static_cast<std::size_t>(action)];
}

}  // namespace instar::rollout

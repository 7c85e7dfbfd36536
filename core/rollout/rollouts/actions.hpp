// What an operator can do to a rollout, and which state it leads to, as data. The broker owns the state: operators
// change it, and so do the rollout's own budgets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/rollout/exchange/record.hpp"

namespace instar::rollout {

enum class Action : std::uint8_t { pause = 0, resume = 1, abort = 2, revert = 3 };

// What an operator approves.
struct Yes {
  std::optional<std::uint32_t> wave = std::nullopt;  // from 0; nullopt: the current one
  Bytes approval = {};                               // envelope of a signed one of `wave`, verified; empty: none
};

struct ActionRow {
  RolloutState from;
  Action action;
  std::optional<RolloutState> to;  // nullopt: refused
};

inline constexpr std::array<ActionRow, 16> kActionRows{{
    {RolloutState::active, Action::pause, RolloutState::paused},
    {RolloutState::active, Action::resume, RolloutState::active},
    {RolloutState::active, Action::abort, RolloutState::aborted},
    {RolloutState::active, Action::revert, RolloutState::reverted},
    {RolloutState::paused, Action::pause, RolloutState::paused},
    {RolloutState::paused, Action::resume, RolloutState::active},
    {RolloutState::paused, Action::abort, RolloutState::aborted},
    {RolloutState::paused, Action::revert, RolloutState::reverted},
    {RolloutState::aborted, Action::pause, std::nullopt},
    {RolloutState::aborted, Action::resume, std::nullopt},
    {RolloutState::aborted, Action::abort, RolloutState::aborted},
    {RolloutState::aborted, Action::revert, RolloutState::reverted},
    {RolloutState::reverted, Action::pause, std::nullopt},
    {RolloutState::reverted, Action::resume, std::nullopt},
    {RolloutState::reverted, Action::abort, RolloutState::reverted},  // more than an abort has happened already
    {RolloutState::reverted, Action::revert, RolloutState::reverted},
}};

[[nodiscard]] constexpr std::optional<RolloutState> state_after(RolloutState from, Action action) noexcept {
  for (const auto& row : kActionRows) {
    if (row.from == from && row.action == action) return row.to;
  }
  return std::nullopt;
}

}  // namespace instar::rollout

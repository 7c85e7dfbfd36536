// What stops a rollout by itself: its byte budget and its error budget. docs/rollouts.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/rollout/exchange/fleet.hpp"
#include "core/rollout/rollouts/byte_budget.hpp"

namespace instar::rollout {

// "1 device", "2 devices".
[[nodiscard]] std::string counted(std::uint64_t count, const char* what);

// The error budget is spent by `failures` of `seen` devices that were admitted and seen.
[[nodiscard]] bool is_budget_spent(const wire::Policy& policy, std::uint64_t failures, std::uint64_t seen) noexcept;

struct Stop {
  RolloutState state = RolloutState::paused;
  std::string verb;  // "paused", "aborted", "taken back"
  std::string cause;
  friend bool operator==(const Stop&, const Stop&) = default;
};
// nullopt: neither budget is spent. Failures that an operator has forgiven do not count.
[[nodiscard]] std::optional<Stop> judge_budgets(const wire::Policy& policy, const RolloutRecord& record,
                                                const Tally& tally, const ByteBudget& bytes);

}  // namespace instar::rollout

#include "core/rollout/rollouts/budgets.hpp"

namespace instar::rollout {
namespace {}  // namespace

std::string counted(std::uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

bool is_budget_spent(const wire::Policy& policy, std::uint64_t failures, std::uint64_t seen) noexcept {
  if (failures == 0) return false;
  if (policy.failures_max > 0 && failures >= policy.failures_max) return true;
  return policy.failures_bp > 0 && failures * wire::kWholeBp >= std::uint64_t{policy.failures_bp} * seen;
}

std::optional<Stop> judge_budgets(const wire::Policy& policy, const RolloutRecord& record, const Tally& tally,
                                  const ByteBudget& bytes) {
  if (bytes.is_spent()) {
    return Stop{RolloutState::paused, "paused",
                "its byte budget of " + std::to_string(policy.rollout_bytes_max) + " is spent"};
  }
  WaveCounts sums;
  for (const auto& wave : tally.waves) sums += wave;
  const auto failures = tally.failed > record.forgiven ? tally.failed - record.forgiven : 0;
  if (!is_budget_spent(policy, failures, sums.seen())) return std::nullopt;
  auto cause = "its error budget is spent: " + counted(tally.failed, "device") + " of " + std::to_string(sums.seen()) +
               " heard of failed";
  switch (policy.budget_action) {
    case wire::BudgetAction::pause: break;
    case wire::BudgetAction::abort: return Stop{RolloutState::aborted, "aborted", std::move(cause)};
    case wire::BudgetAction::revert:
      return Stop{policy.revert_allowed ? RolloutState::reverted : RolloutState::paused, "taken back",
                  std::move(cause)};
  }
  return Stop{RolloutState::paused, "paused", std::move(cause)};
}

}  // namespace instar::rollout

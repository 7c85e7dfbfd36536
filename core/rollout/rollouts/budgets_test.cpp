#include "core/rollout/rollouts/budgets.hpp"

#include <gtest/gtest.h>

namespace instar::rollout {
namespace {

// So many of ten devices have failed.
Tally failures(std::uint64_t failed) {
  Tally out;
  out.devices = 10;
  out.failed = failed;
  out.waves.resize(1);
  out.waves[0].admitted = 10;
  out.waves[0].failed = failed;
  out.waves[0].waiting = 10 - failed;
  return out;
}

TEST(Budgets, ShareAndNumberAreBounds) {
  wire::Policy policy;
  EXPECT_FALSE(is_budget_spent(policy, 10, 10)) << "there is none";
  policy.failures_bp = 2'000;
  EXPECT_FALSE(is_budget_spent(policy, 1, 10));
  EXPECT_TRUE(is_budget_spent(policy, 2, 10));
  policy.failures_max = 1;
  EXPECT_TRUE(is_budget_spent(policy, 1, 10));
  EXPECT_FALSE(is_budget_spent(policy, 0, 0));
}

TEST(Budgets, ForgivenFailuresDoNotCount) {
  wire::Policy policy;
  policy.failures_max = 2;
  RolloutRecord record;
  record.forgiven = 2;
  const ByteBudget bytes(0, 0);
  EXPECT_EQ(judge_budgets(policy, record, failures(3), bytes), std::nullopt);
  const auto stop = judge_budgets(policy, record, failures(4), bytes);
  EXPECT_EQ(stop, (Stop{RolloutState::paused, "paused", "its error budget is spent: 4 devices of 10 heard of failed"}));
}

TEST(Budgets, ThePolicySaysWhatHappens) {
  wire::Policy policy;
  policy.failures_max = 1;
  const ByteBudget bytes(0, 0);
  policy.budget_action = wire::BudgetAction::abort;
  EXPECT_EQ(judge_budgets(policy, {}, failures(1), bytes)->state, RolloutState::aborted);
  policy.budget_action = wire::BudgetAction::revert;
  EXPECT_EQ(judge_budgets(policy, {}, failures(1), bytes)->state, RolloutState::paused) << "it may not be taken back";
  policy.revert_allowed = true;
  EXPECT_EQ(judge_budgets(policy, {}, failures(1), bytes)->state, RolloutState::reverted);
}

TEST(Budgets, ASpentByteBudgetPauses) {
  wire::Policy policy;
  policy.rollout_bytes_max = 100;
  ByteBudget bytes(100, 0);
  EXPECT_EQ(bytes.charge(101), Charge::rollout_spent);
  EXPECT_EQ(judge_budgets(policy, {}, failures(0), bytes)->cause, "its byte budget of 100 is spent");
}

}  // namespace
}  // namespace instar::rollout

#include "core/rollout/devices/step_rules.hpp"

#include <gtest/gtest.h>

namespace instar::rollout {
namespace {

using wire::Step;

TEST(StepRules, NothingGoesBackToIdle) {
  for (std::size_t from = 0; from < wire::kStepCount; ++from) EXPECT_EQ(kStepRules[from][0], StepRule::never);
}

TEST(StepRules, AnAttemptThatHasEndedNeedsANewOneToMove) {
  EXPECT_FALSE(may_follow(Step::committed, 1, Step::trying, 1));
  EXPECT_TRUE(may_follow(Step::committed, 1, Step::trying, 2));
  EXPECT_TRUE(may_follow(Step::committed, 1, Step::rolled_back, 1));
  EXPECT_FALSE(may_follow(Step::rolled_back, 1, Step::committed, 1));
  EXPECT_TRUE(may_follow(Step::refused, 1, Step::fetching, 1));
  for (std::size_t to = 1; to < wire::kStepCount; ++to)
    EXPECT_TRUE(may_follow(Step::trying, 1, static_cast<Step>(to), 1));
}

}  // namespace
}  // namespace instar::rollout

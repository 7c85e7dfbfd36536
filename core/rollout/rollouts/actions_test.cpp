#include "core/rollout/rollouts/actions.hpp"

#include <gtest/gtest.h>

namespace instar::rollout {
namespace {

TEST(Actions, EveryStateHasOneRowForEveryAction) {
  for (const auto from : {RolloutState::active, RolloutState::paused, RolloutState::aborted, RolloutState::reverted}) {
    for (const auto action : {Action::pause, Action::resume, Action::abort, Action::revert}) {
      int rows = 0;
      for (const auto& row : kActionRows) rows += row.from == from && row.action == action ? 1 : 0;
      EXPECT_EQ(rows, 1);
    }
  }
  EXPECT_EQ(state_after(RolloutState::aborted, Action::resume), std::nullopt);
  EXPECT_EQ(state_after(RolloutState::paused, Action::resume), RolloutState::active);
}

}  // namespace
}  // namespace instar::rollout

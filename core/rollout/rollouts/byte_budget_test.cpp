#include "core/rollout/rollouts/byte_budget.hpp"

#include <gtest/gtest.h>

namespace instar::rollout {
namespace {

constexpr std::uint64_t kStep = 256 * 1024;

TEST(ByteBudget, NothingGoesBeyondWhatIsLeased) {
  ByteBudget budget(10 * kStep, 0);
  EXPECT_TRUE(budget.is_short(1, 0));
  EXPECT_EQ(budget.charge(1), Charge::wait);
  EXPECT_EQ(budget.next_lease(), kStep);
  budget.lease_saved(kStep);
  EXPECT_EQ(budget.charge(kStep), Charge::ok);
  EXPECT_EQ(budget.charge(1), Charge::wait);
  budget.assert_invariants();
}

TEST(ByteBudget, TheLeaseGrowsBeforeItIsUsedUp) {
  ByteBudget budget(10 * kStep, 0);
  budget.lease_saved(kStep);
  EXPECT_FALSE(budget.is_short(kStep / 2, kStep));
  EXPECT_TRUE(budget.is_short(kStep / 2 + 1, kStep));
}

TEST(ByteBudget, WhatAnEarlierProcessHadLeasedIsLost) {
  ByteBudget budget(10 * kStep, 3 * kStep);
  EXPECT_EQ(budget.charge(1), Charge::wait);
  EXPECT_EQ(budget.next_lease(), 4 * kStep);
}

TEST(ByteBudget, IsSpentWhenBytesAreRefusedForIt) {
  ByteBudget budget(kStep, 0);
  budget.lease_saved(kStep);
  EXPECT_EQ(budget.charge(kStep), Charge::ok);
  EXPECT_FALSE(budget.is_spent());
  EXPECT_FALSE(budget.is_short(1, kStep)) << "a lease would not help";
  EXPECT_EQ(budget.charge(1), Charge::rollout_spent);
  EXPECT_TRUE(budget.is_spent());
  budget.assert_invariants();
}

TEST(ByteBudget, WithoutOneEverythingGoes) {
  ByteBudget budget(0, 0);
  EXPECT_FALSE(budget.is_short(1'000, 0));
  EXPECT_EQ(budget.charge(1'000), Charge::ok);
  budget.assert_invariants();
}

}  // namespace
}  // namespace instar::rollout

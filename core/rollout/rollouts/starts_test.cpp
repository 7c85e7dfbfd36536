#include "core/rollout/rollouts/starts.hpp"

#include <gtest/gtest.h>

#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

TEST(Starts, SoManyFitIntoAMinute) {
  Starts starts(2);
  EXPECT_TRUE(starts.take(id("a"), 1, {0}));
  EXPECT_TRUE(starts.take(id("b"), 1, {100}));
  EXPECT_FALSE(starts.take(id("c"), 1, {59'999}));
  EXPECT_TRUE(starts.take(id("c"), 1, {60'000}));
  EXPECT_FALSE(starts.take(id("d"), 1, {60'000}));
  starts.assert_invariants();
}

TEST(Starts, ATurnThatIsGivenAgainKeepsOnePlaceAndCountsFromThen) {
  Starts starts(1);
  EXPECT_TRUE(starts.take(id("a"), 1, {0}));
  EXPECT_TRUE(starts.take(id("a"), 1, {50'000}));
  EXPECT_FALSE(starts.take(id("b"), 1, {60'000}));
  EXPECT_FALSE(starts.take(id("a"), 2, {60'000})) << "another attempt is another start";
  EXPECT_TRUE(starts.take(id("b"), 1, {110'000}));
  starts.assert_invariants();
}

TEST(Starts, AreHeldForAMinuteWhenTheLastOnesAreNotKnown) {
  Starts bounded(1);
  bounded.hold_for_a_minute({1'000});
  EXPECT_TRUE(bounded.are_held({60'999}));
  EXPECT_FALSE(bounded.are_held({61'000}));
  Starts free(0);
  free.hold_for_a_minute({1'000});
  EXPECT_FALSE(free.are_held({1'000}));
  EXPECT_TRUE(free.take(id("a"), 1, {1'000}));
}

}  // namespace
}  // namespace instar::rollout

#include "broker-plugin/chores.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

TEST(Chores, TickOnceASecondUnlessItIsUrgent) {
  Chores chores;
  EXPECT_TRUE(chores.tick_is_due({5'000}, false));
  EXPECT_FALSE(chores.tick_is_due({5'999}, false));
  EXPECT_TRUE(chores.tick_is_due({5'999}, true));
  EXPECT_FALSE(chores.tick_is_due({6'500}, false)) << "an urgent one begins the next second";
  EXPECT_TRUE(chores.tick_is_due({6'999}, false));
  chores.assert_invariants({6'999});
}

TEST(Chores, SaveAllDevicesThatWaitWithinARound) {
  Chores chores;
  EXPECT_EQ(chores.saves_due({5'000}, 79), 2U);
  EXPECT_EQ(chores.saves_due({5'499}, 79), 0U) << "not yet";
  EXPECT_EQ(chores.saves_due({5'500}, 40), 2U) << "as many as before, though fewer wait now";
  EXPECT_EQ(chores.saves_due({6'000}, 400), 11U);
  chores.all_saved();
  EXPECT_EQ(chores.saves_due({6'500}, 0), 1U);
}

TEST(Chores, LookForSilentDevicesOnceASecond) {
  Chores chores;
  EXPECT_TRUE(chores.silence_check_is_due({5'000}));
  EXPECT_FALSE(chores.silence_check_is_due({5'999}));
  EXPECT_TRUE(chores.silence_check_is_due({6'000}));
}

TEST(Chores, GatesAreFreshFromTheStartOn) {
  Chores chores;
  chores.started({1'000});
  EXPECT_FALSE(chores.gate_refresh_is_due({1'000 + limits::kGateRefreshMs - 1}));
  EXPECT_TRUE(chores.gate_refresh_is_due({1'000 + limits::kGateRefreshMs}));
  EXPECT_FALSE(chores.gate_refresh_is_due({1'000 + limits::kGateRefreshMs + 1}));
}

}  // namespace
}  // namespace instar::broker

// Turns and byte budgets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rollout/tracker_rig_for_test.hpp"

namespace instar::rollout {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TurnsTest : public testing::Test {
 protected:
  // It connects again and still asks for its turn.
  Status ask_again(const std::string& name) {
    auto again = hello(name);
    again.rollout = hash(1);
    again.step = Step::waiting;
    again.attempt = 1;
    again.asks_start = true;
    again.last_sequence = again.acked_sequence = 1;
    return rig.hello(again);
  }
  void fleet(int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(rig.hello(hello("d" + std::to_string(i))).has_value());
  }
  Rig rig;
};

TEST_F(TurnsTest, NoMoreAreInFlightThanThePolicyLetsBe) {
  fleet(4);
  auto release = manifest(1);
  release.policy.in_flight_max = 2;
  ASSERT_TRUE(rig.take(release).has_value());
  ASSERT_TRUE(rig.ask("d0", 1).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d0"));
  ASSERT_TRUE(rig.ask("d1", 1).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d1"));
  ASSERT_TRUE(rig.ask("d2", 1).has_value());
  EXPECT_THAT(rig.started(), IsEmpty());
  ASSERT_TRUE(rig.ask("d3", 1).has_value());
  EXPECT_EQ(rig.rollout(1).counts.asking, 2U);
  ASSERT_TRUE(rig.tell("d0", 1, Step::fetching).has_value());
  EXPECT_THAT(rig.started(), IsEmpty());
  ASSERT_TRUE(rig.tell("d1", 1, Step::rolled_back).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d2")) << "in the order of asking";
  ASSERT_TRUE(rig.tell("d0", 1, Step::committed).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d3"));
}

TEST_F(TurnsTest, AFailedAttemptGivesItsPlaceAwayAndAsksAnew) {
  fleet(2);
  auto release = manifest(1);
  release.policy.in_flight_max = 1;
  release.policy.attempts_max = 2;
  ASSERT_TRUE(rig.take(release).has_value());
  ASSERT_TRUE(rig.ask("d0", 1).has_value());
  ASSERT_TRUE(rig.ask("d1", 1).has_value());
  ASSERT_TRUE(rig.tell("d0", 1, Step::failed, 1, true).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d1"));
  ASSERT_TRUE(rig.ask("d0", 1, 2).has_value());
  EXPECT_THAT(rig.started(), IsEmpty());
  ASSERT_TRUE(rig.tell("d1", 1, Step::committed).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d0"));
}

TEST_F(TurnsTest, ATurnIsSaidAgainToADeviceThatHasNotHeardIt) {
  fleet(1);
  auto release = manifest(1);
  release.policy.in_flight_max = 1;
  ASSERT_TRUE(rig.take(release).has_value());
  ASSERT_TRUE(rig.ask("d0", 1).has_value());
  rig.restart();
  ASSERT_TRUE(ask_again("d0").has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d0"));
}

TEST_F(TurnsTest, ATurnThatIsSaidAgainCountsInTheMinuteInWhichItIsSaid) {
  fleet(6);
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 2;
  ASSERT_TRUE(rig.take(release).has_value());
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(rig.ask("d" + std::to_string(i), 1).has_value());
  static_cast<void>(rig.started());
  rig.pass(61);
  EXPECT_THAT(rig.started(), ElementsAre("d2", "d3"));
  ASSERT_TRUE(rig.ask("d1", 1).has_value());
  EXPECT_THAT(rig.started(), IsEmpty()) << "by a report as by a hello";
  ASSERT_TRUE(rig.tell("d1", 1, Step::fetching).has_value());
  ASSERT_TRUE(ask_again("d0").has_value());
  EXPECT_THAT(rig.started(), IsEmpty()) << "two have started in this minute";
  rig.pass(61);
  EXPECT_THAT(rig.started(), ElementsAre("d0", "d4")) << "before those that have not had theirs";
  ASSERT_TRUE(ask_again("d0").has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d0")) << "its own place in the minute";
}

TEST_F(TurnsTest, EachAttemptOfADeviceIsAStart) {
  fleet(2);
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 2;
  release.policy.attempts_max = 2;
  ASSERT_TRUE(rig.take(release).has_value());
  ASSERT_TRUE(rig.ask("d0", 1).has_value());
  ASSERT_TRUE(rig.tell("d0", 1, Step::failed, 1, true).has_value());
  ASSERT_TRUE(rig.ask("d0", 1, 2).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d0"));
  ASSERT_TRUE(rig.ask("d1", 1).has_value());
  EXPECT_THAT(rig.started(), IsEmpty());
}

TEST_F(TurnsTest, AfterARestartATurnIsSaidAgainWhenTheMinuteIsKnown) {
  fleet(1);
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 1;
  ASSERT_TRUE(rig.take(release).has_value());
  ASSERT_TRUE(rig.ask("d0", 1).has_value());
  static_cast<void>(rig.started());
  rig.restart();
  ASSERT_TRUE(ask_again("d0").has_value());
  EXPECT_THAT(rig.started(), IsEmpty());
  rig.pass(61);
  EXPECT_THAT(rig.started(), ElementsAre("d0"));
}

TEST_F(TurnsTest, StartsInAMinuteAreBoundedAlsoOverARestart) {
  fleet(6);
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 2;
  ASSERT_TRUE(rig.take(release).has_value());
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(rig.ask("d" + std::to_string(i), 1).has_value());
  EXPECT_EQ(rig.rollout(1).counts.asking, 4U);
  rig.pass(59);
  EXPECT_THAT(rig.started(), IsEmpty());
  rig.pass(2);
  EXPECT_THAT(rig.started(), ElementsAre("d2", "d3"));
  rig.restart();
  rig.pass(59);
  EXPECT_THAT(rig.started(), IsEmpty()) << "what the process before gave is not known";
  rig.pass(2);
  EXPECT_THAT(rig.started(), ElementsAre("d4", "d5"));
}

TEST_F(TurnsTest, APausedRolloutGivesNone) {
  fleet(1);
  auto release = manifest(1);
  release.policy.in_flight_max = 1;
  ASSERT_TRUE(rig.take(release).has_value());
  ASSERT_TRUE(rig.act(1, Action::pause).has_value());
  ASSERT_TRUE(rig.ask("d0", 1).has_value());
  rig.pass(100);
  EXPECT_THAT(rig.started(), IsEmpty());
  ASSERT_TRUE(rig.act(1, Action::resume).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d0"));
}

TEST_F(TurnsTest, ADeviceThatDiedDoesNotHoldItsPlaceForEver) {
  fleet(2);
  auto release = manifest(1);
  release.policy.in_flight_max = 1;
  release.policy.silent_s = 100;
  ASSERT_TRUE(rig.take(release).has_value());
  ASSERT_TRUE(rig.ask("d0", 1).has_value());
  ASSERT_TRUE(rig.ask("d1", 1).has_value());
  rig.pass(200);
  EXPECT_THAT(rig.started(), IsEmpty()) << "d0 is still connected";
  rig.tracker.gone(id("d0"), rig.now);
  rig.pass(99);
  EXPECT_THAT(rig.started(), IsEmpty());
  rig.pass(1);
  EXPECT_THAT(rig.started(), ElementsAre("d1"));
}

TEST_F(TurnsTest, WithoutABoundWhoAsksMayGo) {
  fleet(1);
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.ask("d0", 1).has_value());
  EXPECT_THAT(rig.started(), ElementsAre("d0"));
}

// --- byte budgets ---------------------------------------------------------------------------------------
TEST_F(TurnsTest, ADevicesBudgetIsItsOwn) {
  fleet(2);
  auto release = manifest(1);
  release.policy.device_bytes_max = 1'000;
  ASSERT_TRUE(rig.take(release).has_value());
  EXPECT_EQ(rig.tracker.charge(id("d0"), hash(1).prefix64(), 900), Charge::ok);
  EXPECT_EQ(rig.tracker.charge(id("d0"), hash(1).prefix64(), 101), Charge::device_spent);
  EXPECT_EQ(rig.tracker.charge(id("d0"), hash(1).prefix64(), 100), Charge::ok);
  EXPECT_EQ(rig.tracker.charge(id("d1"), hash(1).prefix64(), 500), Charge::ok);
}

TEST_F(TurnsTest, ARolloutsBudgetHoldsOverCrashes) {
  constexpr std::uint64_t kBudget = 3'000'000;
  fleet(1);
  auto release = manifest(1);
  release.policy.rollout_bytes_max = kBudget;
  ASSERT_TRUE(rig.take(release).has_value());
  std::uint64_t sent = 0;
  rig.all_is_saved = false;
  for (int i = 0; i < 10'000 && rig.rollout(1).state_name() == "active"; ++i) {
    // Counted, and never saved: only the lease is.
    if (rig.tracker.charge(id("d0"), hash(1).prefix64(), 10'000) == Charge::ok) sent += 10'000;
    if (i % 50 == 0) rig.restart();
    if (i % 3 == 0) rig.pass(1);
  }
  EXPECT_LE(sent, kBudget);
  EXPECT_GT(sent, kBudget / 10) << "crashes cost the rest of a lease, not the budget";
  EXPECT_EQ(rig.rollout(1).state_name(), "paused");
  EXPECT_EQ(rig.rollout(1).record.cause, "its byte budget of 3000000 is spent");
}

}  // namespace
}  // namespace instar::rollout

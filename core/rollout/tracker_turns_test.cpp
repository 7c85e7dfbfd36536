// Turns and byte budgets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rollout/testing/tracker_fixture.hpp"

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
    return fixture.hello(again);
  }
  void fleet(int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(fixture.hello(hello("d" + std::to_string(i))).has_value());
  }
  TrackerFixture fixture;
};

TEST_F(TurnsTest, NoMoreAreInFlightThanThePolicyAllows) {
  fleet(4);
  auto release = manifest(1);
  release.policy.in_flight_max = 2;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d0"));
  ASSERT_TRUE(fixture.ask("d1", 1).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d1"));
  ASSERT_TRUE(fixture.ask("d2", 1).has_value());
  EXPECT_THAT(fixture.started(), IsEmpty());
  ASSERT_TRUE(fixture.ask("d3", 1).has_value());
  EXPECT_EQ(fixture.rollout(1).counts.asking, 2U);
  ASSERT_TRUE(fixture.report_step("d0", 1, Step::fetching).has_value());
  EXPECT_THAT(fixture.started(), IsEmpty());
  ASSERT_TRUE(fixture.report_step("d1", 1, Step::rolled_back).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d2")) << "in the order of asking";
  ASSERT_TRUE(fixture.report_step("d0", 1, Step::committed).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d3"));
}

TEST_F(TurnsTest, AFailedAttemptGivesItsPlaceAwayAndAsksAgain) {
  fleet(2);
  auto release = manifest(1);
  release.policy.in_flight_max = 1;
  release.policy.attempts_max = 2;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1).has_value());
  ASSERT_TRUE(fixture.ask("d1", 1).has_value());
  ASSERT_TRUE(fixture.report_step("d0", 1, Step::failed, 1, true).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d1"));
  ASSERT_TRUE(fixture.ask("d0", 1, 2).has_value());
  EXPECT_THAT(fixture.started(), IsEmpty());
  ASSERT_TRUE(fixture.report_step("d1", 1, Step::committed).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d0"));
}

TEST_F(TurnsTest, ATurnIsGivenAgainToADeviceThatDoesNotKnowIt) {
  fleet(1);
  auto release = manifest(1);
  release.policy.in_flight_max = 1;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1).has_value());
  fixture.restart();
  ASSERT_TRUE(ask_again("d0").has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d0"));
}

TEST_F(TurnsTest, ATurnThatIsGivenAgainCountsInTheMinuteOfTheSecondTime) {
  fleet(6);
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 2;
  ASSERT_TRUE(fixture.take(release).has_value());
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(fixture.ask("d" + std::to_string(i), 1).has_value());
  static_cast<void>(fixture.started());
  fixture.pass(61);
  EXPECT_THAT(fixture.started(), ElementsAre("d2", "d3"));
  ASSERT_TRUE(fixture.ask("d1", 1).has_value());
  EXPECT_THAT(fixture.started(), IsEmpty()) << "by a report as by a hello";
  ASSERT_TRUE(fixture.report_step("d1", 1, Step::fetching).has_value());
  ASSERT_TRUE(ask_again("d0").has_value());
  EXPECT_THAT(fixture.started(), IsEmpty()) << "two have started in this minute";
  fixture.pass(61);
  EXPECT_THAT(fixture.started(), ElementsAre("d0", "d4")) << "before those that have not had theirs";
  ASSERT_TRUE(ask_again("d0").has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d0")) << "its own place in the minute";
}

TEST_F(TurnsTest, EachAttemptOfADeviceIsAStart) {
  fleet(2);
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 2;
  release.policy.attempts_max = 2;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1).has_value());
  ASSERT_TRUE(fixture.report_step("d0", 1, Step::failed, 1, true).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1, 2).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d0"));
  ASSERT_TRUE(fixture.ask("d1", 1).has_value());
  EXPECT_THAT(fixture.started(), IsEmpty());
}

TEST_F(TurnsTest, AfterARestartATurnIsGivenAgainWhenAMinuteHasPassed) {
  fleet(1);
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 1;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1).has_value());
  static_cast<void>(fixture.started());
  fixture.restart();
  ASSERT_TRUE(ask_again("d0").has_value());
  EXPECT_THAT(fixture.started(), IsEmpty());
  fixture.pass(61);
  EXPECT_THAT(fixture.started(), ElementsAre("d0"));
}

TEST_F(TurnsTest, StartsInAMinuteAreBoundedAlsoOverARestart) {
  fleet(6);
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 2;
  ASSERT_TRUE(fixture.take(release).has_value());
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(fixture.ask("d" + std::to_string(i), 1).has_value());
  EXPECT_EQ(fixture.rollout(1).counts.asking, 4U);
  fixture.pass(59);
  EXPECT_THAT(fixture.started(), IsEmpty());
  fixture.pass(2);
  EXPECT_THAT(fixture.started(), ElementsAre("d2", "d3"));
  fixture.restart();
  fixture.pass(59);
  EXPECT_THAT(fixture.started(), IsEmpty()) << "what the process before gave is not known";
  fixture.pass(2);
  EXPECT_THAT(fixture.started(), ElementsAre("d4", "d5"));
}

TEST_F(TurnsTest, APausedRolloutGivesNone) {
  fleet(1);
  auto release = manifest(1);
  release.policy.in_flight_max = 1;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1).has_value());
  fixture.pass(100);
  EXPECT_THAT(fixture.started(), IsEmpty());
  ASSERT_TRUE(fixture.act(1, Action::resume).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d0"));
}

TEST_F(TurnsTest, ADeviceThatDiedDoesNotHoldItsPlaceForEver) {
  fleet(2);
  auto release = manifest(1);
  release.policy.in_flight_max = 1;
  release.policy.silent_s = 100;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1).has_value());
  ASSERT_TRUE(fixture.ask("d1", 1).has_value());
  fixture.pass(200);
  EXPECT_THAT(fixture.started(), IsEmpty()) << "d0 is still connected";
  fixture.tracker.gone(id("d0"), fixture.now);
  fixture.pass(99);
  EXPECT_THAT(fixture.started(), IsEmpty());
  fixture.pass(1);
  EXPECT_THAT(fixture.started(), ElementsAre("d1"));
}

TEST_F(TurnsTest, WithoutABoundWhoAsksMayGo) {
  fleet(1);
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.ask("d0", 1).has_value());
  EXPECT_THAT(fixture.started(), ElementsAre("d0"));
}

// --- byte budgets ---------------------------------------------------------------------------------------
TEST_F(TurnsTest, ADevicesBudgetIsItsOwn) {
  fleet(2);
  auto release = manifest(1);
  release.policy.device_bytes_max = 1'000;
  ASSERT_TRUE(fixture.take(release).has_value());
  EXPECT_EQ(fixture.tracker.charge(id("d0"), hash(1).prefix64(), pack(), 900), Charge::ok);
  EXPECT_EQ(fixture.tracker.charge(id("d0"), hash(1).prefix64(), pack(), 101), Charge::device_spent);
  EXPECT_EQ(fixture.tracker.charge(id("d0"), hash(1).prefix64(), pack(), 100), Charge::ok);
  EXPECT_EQ(fixture.tracker.charge(id("d1"), hash(1).prefix64(), pack(), 500), Charge::ok);
}

TEST_F(TurnsTest, ARolloutsBudgetHoldsOverCrashes) {
  constexpr std::uint64_t kBudget = 3'000'000;
  fleet(1);
  auto release = manifest(1);
  release.policy.rollout_bytes_max = kBudget;
  ASSERT_TRUE(fixture.take(release).has_value());
  std::uint64_t sent = 0;
  fixture.all_is_saved = false;
  for (int i = 0; i < 10'000 && fixture.rollout(1).state_name() == "active"; ++i) {
    // Counted, and never saved: only the lease is.
    if (fixture.tracker.charge(id("d0"), hash(1).prefix64(), pack(), 10'000) == Charge::ok) sent += 10'000;
    if (i % 50 == 0) fixture.restart();
    if (i % 3 == 0) fixture.pass(1);
  }
  EXPECT_LE(sent, kBudget);
  EXPECT_GT(sent, kBudget / 10) << "crashes cost the rest of a lease, not the budget";
  EXPECT_EQ(fixture.rollout(1).state_name(), "paused");
  EXPECT_EQ(fixture.rollout(1).record.cause, "its byte budget of 3000000 is spent");
}

}  // namespace
}  // namespace instar::rollout

// Back to the release before: taken back by its rollout, or given up by the device after the commit; and never to one
// that failed here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::Step;

class BackTest : public RunsR1Fixture {};

// A device that runs r2, with r1 before it: the release that it runs.
template <typename Set>
wire::Manifest run_two(MachineFixture& rig, Set set_policy) {
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  rig.run(15'000);
  auto two = rig.release(2);
  set_policy(two.policy);
  rig.publish(two);
  rig.run(20'000);
  return two;
}

// --- taken back -------------------------------------------------------------------------------------------------
TEST_F(BackTest, TakenBackItRunsTheReleaseBeforeAndNeverTriesItAgain) {
  auto two = rig.release(2);
  two.policy.revert_allowed = true;
  two.policy.attempts_max = 3;
  rig.publish(two);
  rig.run(20'000);
  ASSERT_EQ(rig.running_release(), "r2");
  rig.applied.clear();
  gate(two, 2, wire::GateState::reverted);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.phase(), "idle");
  EXPECT_EQ(rig.running, rig.view().current_revision);
  ASSERT_FALSE(rig.applied.empty());
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
  EXPECT_EQ(rig.applied.back().code, Code::refused);
  EXPECT_FALSE(rig.applied.back().again);
  gate(two, 3, wire::GateState::open);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  rig.publish(rig.release(3));
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r3");
}

TEST_F(BackTest, TakingBackSurvivesACutAfterEveryEffect) {
  for (std::int64_t cut = 1; cut < 12; ++cut) {
    SCOPED_TRACE(cut);
    MachineFixture one;
    const auto two = run_two(one, [](wire::Policy& policy) { policy.revert_allowed = true; });
    ASSERT_EQ(one.running_release(), "r2");
    one.power_cut_after = cut;
    auto message = one.gate_for(two, 2);
    message.state = wire::GateState::reverted;
    one.put_gate(message);
    one.run(30'000);
    EXPECT_EQ(one.running_release(), "r1");
    EXPECT_EQ(one.running, one.view().current_revision);
  }
}

TEST_F(BackTest, WithoutTheManifestsLeaveItStays) {
  const auto two = rig.release(2);
  rig.publish(two);
  rig.run(20'000);
  gate(two, 2, wire::GateState::reverted);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_THAT(last_reason(), HasSubstr("takes the release back, which its manifest does not allow"));
}

TEST_F(BackTest, WithNothingToGoBackToItSaysSo) {
  rig = MachineFixture();
  rig.boot();
  rig.connect();
  auto one = rig.release(1);
  one.policy.revert_allowed = true;
  rig.publish(one);
  rig.run(20'000);
  gate(one, 2, wire::GateState::reverted);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_THAT(last_reason(), HasSubstr("is not on the device any more"));
}

// --- falling back -----------------------------------------------------------------------------------------------
TEST_F(BackTest, AContainerThatStopsAgainAndAgainIsToldAndTheReleaseBeforeRunsAgain) {
  auto two = rig.release(2);
  two.policy.fall_back_stops = 4;
  rig.publish(two);
  rig.run(20'000);
  ASSERT_EQ(rig.running_release(), "r2");
  rig.applied.clear();
  for (int i = 0; i < 3; ++i) rig.stop_container("app");
  EXPECT_THAT(rig.hellos.back().degraded, testing::ElementsAre(HasSubstr("container 'app' stops again and again")));
  EXPECT_EQ(rig.running_release(), "r2");
  rig.stop_container("app");
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.running, rig.view().current_revision);
  EXPECT_EQ(rig.phase(), "idle");
  ASSERT_FALSE(rig.applied.empty());
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
  EXPECT_EQ(rig.applied.back().code, Code::unhealthy);
  EXPECT_THAT(rig.applied.back().reason, HasSubstr("stopped 4 times within an hour after the commit"));
  EXPECT_TRUE(rig.hellos.back().degraded.empty());
}

TEST_F(BackTest, WithoutTheManifestsWordADegradedReleaseRunsOn) {
  rig.publish(rig.release(2));
  rig.run(20'000);
  for (int i = 0; i < 20; ++i) {
    rig.stop_container("app");
    rig.run(300'000);
  }
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_EQ(rig.hellos.back().degraded.size(), 1U);
  rig.run(3'700'000);
  EXPECT_TRUE(rig.hellos.back().degraded.empty());
}

TEST_F(BackTest, WithNothingToFallBackToItRunsOn) {
  rig = MachineFixture();
  rig.boot();
  rig.connect();
  auto one = rig.release(1);
  one.policy.fall_back_stops = 1;
  rig.publish(one);
  rig.run(20'000);
  rig.stop_container("app");
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.running, rig.view().current_revision);
}

TEST_F(BackTest, FallingBackSurvivesACutAfterEveryEffect) {
  for (std::int64_t cut = 1; cut < 12; ++cut) {
    SCOPED_TRACE(cut);
    MachineFixture one;
    run_two(one, [](wire::Policy& policy) { policy.fall_back_stops = 1; });
    ASSERT_EQ(one.running_release(), "r2");
    one.power_cut_after = cut;
    one.stop_container("app");
    one.run(30'000);
    // Cut before the decision was on the disk, the stop is forgotten.
    if (one.running_release() == "r2") one.stop_container("app");
    one.run(30'000);
    EXPECT_EQ(one.running_release(), "r1");
    EXPECT_EQ(one.running, one.view().current_revision);
  }
}

// --- supersession ---------------------------------------------------------------------------------------------------
TEST_F(BackTest, ARollbackGoesNeverToAReleaseThatFailedHere) {
  rig.bad_releases = {"r2"};
  rig.publish(rig.release(2));
  rig.run(30'000);
  ASSERT_EQ(rig.running_release(), "r1");
  rig.bad_releases = {"r3"};
  rig.publish(rig.release(3));
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.view().previous_revision, 0U) << "r2 was never a revision to go back to";
}

// --- no way back ------------------------------------------------------------------------------------------------
TEST_F(BackTest, ADeviceThatCannotGoBackIsReportedAsDegradedUntilItCan) {
  rig.bad_releases = {"r2"};
  rig.switch_back_failures = 7;
  rig.publish(rig.release(2));
  rig.run(60'000);
  EXPECT_TRUE(rig.hellos.back().degraded.empty()) << "it may well be that the next try does it";
  rig.run(200'000);
  ASSERT_EQ(rig.phase(), "rolling_back");
  ASSERT_EQ(rig.hellos.back().degraded.size(), 1u);
  EXPECT_THAT(rig.hellos.back().degraded[0], HasSubstr("cannot go back from release r2"));
  rig.run(400'000);
  EXPECT_EQ(rig.phase(), "idle");
  EXPECT_EQ(rig.running, 1u);
  EXPECT_TRUE(rig.hellos.back().degraded.empty());
}

}  // namespace
}  // namespace instar::revision

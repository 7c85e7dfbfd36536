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
wire::Manifest run_two(MachineFixture& fixture, Set set_policy) {
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  fixture.run(15'000);
  auto two = fixture.release(2);
  set_policy(two.policy);
  fixture.publish(two);
  fixture.run(20'000);
  return two;
}

// --- taken back -------------------------------------------------------------------------------------------------
TEST_F(BackTest, TakenBackItRunsTheReleaseBeforeAndNeverTriesItAgain) {
  auto two = fixture.release(2);
  two.policy.revert_allowed = true;
  two.policy.attempts_max = 3;
  fixture.publish(two);
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r2");
  fixture.applied.clear();
  gate(two, 2, wire::GateState::reverted);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_EQ(fixture.running, fixture.view().current_revision);
  ASSERT_FALSE(fixture.applied.empty());
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
  EXPECT_EQ(fixture.applied.back().code, Code::refused);
  EXPECT_FALSE(fixture.applied.back().again);
  gate(two, 3, wire::GateState::open);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  fixture.publish(fixture.release(3));
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r3");
}

// While it was away another release took the place of the one that it runs: its broker says so with an ack.
TEST_F(BackTest, AnAckThatBringsTheGateOfAnEndIsObeyedAsTheGateItself) {
  auto two = fixture.release(2);
  two.policy.revert_allowed = true;
  fixture.publish(two);
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r2");
  fixture.applied.clear();
  auto ended = fixture.gate_for(two, 2);
  ended.wave_opened = {opened};
  ended.state = wire::GateState::reverted;
  const auto send = [&](const trust::SecretKey& key) {
    wire::Ack ack;
    ack.sequence = fixture.view().last_report;
    ack.endings = {trust::seal(trust::Kind::gate, wire::encode(ended), key)};
    fixture.receive(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_ack), wire::encode(ack));
    fixture.run(20'000);
  };
  send(fixture.release_key);
  EXPECT_EQ(fixture.running_release(), "r2") << "an ack is nobody's signature";
  send(fixture.gate_key);
  EXPECT_EQ(fixture.running_release(), "r1");
  ASSERT_FALSE(fixture.applied.empty());
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
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
  const auto two = fixture.release(2);
  fixture.publish(two);
  fixture.run(20'000);
  gate(two, 2, wire::GateState::reverted);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_THAT(last_reason(), HasSubstr("takes the release back, which its manifest does not allow"));
}

TEST_F(BackTest, WithNothingToGoBackToItSaysSo) {
  fixture = MachineFixture();
  fixture.boot();
  fixture.connect();
  auto one = fixture.release(1);
  one.policy.revert_allowed = true;
  fixture.publish(one);
  fixture.run(20'000);
  gate(one, 2, wire::GateState::reverted);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_THAT(last_reason(), HasSubstr("is not on the device any more"));
}

// --- falling back -----------------------------------------------------------------------------------------------
TEST_F(BackTest, AContainerThatStopsAgainAndAgainIsToldAndTheReleaseBeforeRunsAgain) {
  auto two = fixture.release(2);
  two.policy.fall_back_stops = 4;
  fixture.publish(two);
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r2");
  fixture.applied.clear();
  for (int i = 0; i < 3; ++i) fixture.stop_container("app");
  EXPECT_THAT(fixture.hellos.back().description.degraded,
              testing::ElementsAre(HasSubstr("container 'app' stops again and again")));
  EXPECT_EQ(fixture.running_release(), "r2");
  fixture.stop_container("app");
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.running, fixture.view().current_revision);
  EXPECT_EQ(fixture.phase(), "idle");
  ASSERT_FALSE(fixture.applied.empty());
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
  EXPECT_EQ(fixture.applied.back().code, Code::unhealthy);
  EXPECT_THAT(fixture.applied.back().reason, HasSubstr("stopped 4 times within an hour after the commit"));
  EXPECT_TRUE(fixture.hellos.back().description.degraded.empty());
}

TEST_F(BackTest, WithoutTheManifestsWordADegradedReleaseRunsOn) {
  fixture.publish(fixture.release(2));
  fixture.run(20'000);
  for (int i = 0; i < 20; ++i) {
    fixture.stop_container("app");
    fixture.run(300'000);
  }
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_EQ(fixture.hellos.back().description.degraded.size(), 1U);
  fixture.run(3'700'000);
  EXPECT_TRUE(fixture.hellos.back().description.degraded.empty());
}

TEST_F(BackTest, WithNothingToFallBackToItRunsOn) {
  fixture = MachineFixture();
  fixture.boot();
  fixture.connect();
  auto one = fixture.release(1);
  one.policy.fall_back_stops = 1;
  fixture.publish(one);
  fixture.run(20'000);
  fixture.stop_container("app");
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.running, fixture.view().current_revision);
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
  fixture.bad_releases = {"r2"};
  fixture.publish(fixture.release(2));
  fixture.run(30'000);
  ASSERT_EQ(fixture.running_release(), "r1");
  fixture.bad_releases = {"r3"};
  fixture.publish(fixture.release(3));
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.view().previous_revision, 0U) << "r2 was never a revision to go back to";
}

// --- no way back ------------------------------------------------------------------------------------------------
TEST_F(BackTest, ADeviceThatCannotGoBackIsReportedAsDegradedUntilItCan) {
  fixture.bad_releases = {"r2"};
  fixture.switch_back_failures = 7;
  fixture.publish(fixture.release(2));
  fixture.run(60'000);
  EXPECT_TRUE(fixture.hellos.back().description.degraded.empty()) << "it may well be that the next try does it";
  fixture.run(200'000);
  ASSERT_EQ(fixture.phase(), "rolling_back");
  ASSERT_EQ(fixture.hellos.back().description.degraded.size(), 1u);
  EXPECT_THAT(fixture.hellos.back().description.degraded[0], HasSubstr("cannot go back from release r2"));
  fixture.run(400'000);
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_EQ(fixture.running, 1u);
  EXPECT_TRUE(fixture.hellos.back().description.degraded.empty());
}

}  // namespace
}  // namespace instar::revision

// Waves, soaks, approvals, budgets: what opens the next wave, and what stops a rollout by itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rollout/testing/tracker_fixture.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Two devices by name, then everyone.
wire::Manifest canaries(std::uint64_t sequence = 1) {
  auto out = manifest(sequence);
  out.policy.waves = {wire::Wave{.devices = {"a", "b"}}, wire::Wave{.share_bp = 10'000}};
  out.policy.silent_s = 600;
  return out;
}

class WavesTest : public testing::Test {
 protected:
  void fleet(std::initializer_list<const char*> names) {
    for (const auto* name : names) ASSERT_TRUE(fixture.hello(hello(name)).has_value());
  }
  [[nodiscard]] std::uint32_t wave(std::uint64_t sequence = 1) const { return fixture.rollout(sequence).record.wave; }
  [[nodiscard]] std::string_view state(std::uint64_t sequence = 1) const {
    return fixture.rollout(sequence).state_name();
  }
  TrackerFixture fixture;
};

TEST_F(WavesTest, TheNextOpensWhenTheLastHasProvedItself) {
  fleet({"a", "b", "c", "d"});
  ASSERT_TRUE(fixture.take(canaries()).has_value());
  ASSERT_EQ(fixture.all<SendGate>().size(), 1U);
  EXPECT_EQ(fixture.all<SendGate>()[0].gate.admitted_point, 0U) << "by name alone";
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 2U);
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  EXPECT_EQ(wave(), 0U);
  EXPECT_EQ(fixture.waits(1), "more commits: 1 of 2 devices have committed, 2 are needed (success 100 %)");
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  EXPECT_EQ(wave(), 1U) << "at once: there is no soak";
  ASSERT_EQ(fixture.all<SendGate>().size(), 1U) << "one message, however many devices";
  EXPECT_EQ(fixture.all<SendGate>()[0].gate.admitted_point, wire::kPointsEnd);
  EXPECT_EQ(fixture.rollout(1).waves[1].admitted, 2U);
  EXPECT_EQ(state(), "active");
  ASSERT_TRUE(fixture.report_step("c", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("d", 1, Step::committed).has_value());
  EXPECT_EQ(state(), "complete");
}

TEST_F(WavesTest, EveryGatePassesTheDevicesCheck) {
  fleet({"a", "b", "c"});
  auto release = canaries();
  release.policy.waves[0].soak_s = 100;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  EXPECT_EQ(fixture.waits(1), "the soak: 100 s left");
  fixture.now.wall = {1'000};  // the wall clock is set back by decades
  fixture.pass(99);
  EXPECT_EQ(wave(), 0U);
  fixture.pass(1);
  ASSERT_EQ(wave(), 1U) << "the soak is measured on the other clock";
  Effects effects;
  fixture.tracker.refresh_gates(fixture.now, effects);
  for (const auto& effect : effects) {
    const auto* gate = std::get_if<SendGate>(&effect);
    if (gate == nullptr) continue;
    const auto checked = wire::check_gate(release, gate->gate);
    EXPECT_TRUE(checked.has_value()) << checked.error().message;
  }
}

TEST_F(WavesTest, AWallClockSetForwardCutsNoSoakShort) {
  fleet({"a", "b"});
  auto release = canaries();
  release.policy.waves[0].soak_s = 3'600;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  fixture.now.wall = fixture.now.wall + 7'200'000;
  fixture.pass(10);
  EXPECT_EQ(wave(), 0U);
}

TEST_F(WavesTest, TheSoakBeginsAnewWhenTheRatioIsLost) {
  fleet({"a", "b"});
  auto release = canaries();
  release.policy.waves[0].soak_s = 100;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  fixture.pass(60);
  ASSERT_TRUE(fixture.report_step("b", 1, Step::rolled_back).has_value()) << "it did not stay up";
  EXPECT_EQ(state(), "paused") << "all have ended, and too few are well";
  EXPECT_THAT(fixture.rollout(1).record.cause,
              HasSubstr("wave 1 cannot go on: 1 of 2 devices have committed, 2 are needed"));
}

TEST_F(WavesTest, ASoakGoesOnOverARestart) {
  fleet({"a", "b"});
  auto release = canaries();
  release.policy.waves[0].soak_s = 100;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  fixture.pass(60);
  fixture.restart();
  EXPECT_EQ(fixture.waits(1), "the soak: 40 s left");
  fixture.now.wall = fixture.now.wall + 3'600'000;
  fixture.restart();
  fixture.pass(39);
  EXPECT_EQ(wave(), 0U) << "a clock set forward meanwhile counts for nothing";
  fixture.pass(2);
  EXPECT_EQ(wave(), 1U);
  fixture.restart();
  EXPECT_EQ(wave(), 1U) << "opened once, for good";
  EXPECT_EQ(fixture.rollout(1).record.wave_opened.size(), 2U);
}

TEST_F(WavesTest, AnOperatorHasToApprove) {
  fleet({"a", "b", "c"});
  auto release = canaries();
  release.policy.waves[0].approval = true;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  fixture.pass(1'000, 100);
  EXPECT_EQ(wave(), 0U);
  EXPECT_EQ(fixture.waits(1), "an operator's approval");
  EXPECT_EQ(fixture.approve(1, 1).error().code, Code::refused) << "wave 2 is not open";
  ASSERT_TRUE(fixture.approve(1).has_value());
  EXPECT_EQ(wave(), 1U);
  ASSERT_TRUE(fixture.approve(1, 0).has_value()) << "once more changes nothing";
  EXPECT_THAT(fixture.effects, IsEmpty());
  EXPECT_EQ(fixture.approve(1).error().code, Code::refused) << "the last wave asks for none";
}

TEST_F(WavesTest, AnApprovalAheadOfTimeCounts) {
  fleet({"a", "b"});
  auto release = canaries();
  release.policy.waves[0].approval = true;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.approve(1).has_value());
  EXPECT_EQ(wave(), 0U);
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  EXPECT_EQ(wave(), 1U);
}

TEST_F(WavesTest, SilentDevicesAreLeftOutAfterTheirTimeButAQuorumIsNeeded) {
  fleet({"a", "b", "c", "d"});
  auto release = canaries();
  release.policy.waves[0].devices = {"a", "b", "c", "d"};
  for (const auto* name : {"b", "c", "d"}) fixture.tracker.gone(id(name), fixture.now);
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  EXPECT_THAT(fixture.waits(1),
              HasSubstr("1 of 4 devices have been heard of since the wave opened, 2 are needed (quorum 50 %)"));
  fixture.pass(10'000, 100);
  EXPECT_EQ(wave(), 0U) << "a fleet that is away proves nothing";
  ASSERT_TRUE(fixture.hello(hello("b")).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  EXPECT_EQ(wave(), 1U) << "half of them, the others silent for long";
}

TEST_F(WavesTest, SilentDevicesAreWaitedForAtFirst) {
  fleet({"a", "b"});
  fixture.tracker.gone(id("b"), fixture.now);
  ASSERT_TRUE(fixture.take(canaries()).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  EXPECT_THAT(fixture.waits(1), HasSubstr("1 have not been heard of"));
  fixture.pass(599);
  EXPECT_EQ(wave(), 0U);
  fixture.pass(1);
  EXPECT_EQ(wave(), 1U);
}

TEST_F(WavesTest, NamedDevicesThatNobodyKnowsAreWaitedForToo) {
  fleet({"a", "c"});
  auto release = canaries();
  release.policy.waves[0].quorum_bp = 10'000;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  fixture.pass(10'000, 100);
  EXPECT_EQ(wave(), 0U) << "b has never been seen";
}

TEST_F(WavesTest, AFleetThatNobodyKnowsYetOpensNothing) {
  ASSERT_TRUE(fixture.take(canaries()).has_value());
  fixture.pass(10'000, 100);
  EXPECT_EQ(wave(), 0U);
  EXPECT_EQ(fixture.waits(1), "a device: none of its groups was known when the rollout began");
}

TEST_F(WavesTest, RefusalsSayNothingAboutTheRelease) {
  fleet({"a", "b"});
  ASSERT_TRUE(fixture.take(canaries()).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::refused).has_value());
  EXPECT_EQ(wave(), 0U);
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  EXPECT_EQ(wave(), 1U);
}

TEST_F(WavesTest, AWaveOfRefusalsAloneIsStuck) {
  fleet({"a", "b"});
  ASSERT_TRUE(fixture.take(canaries()).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::refused).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::refused).has_value());
  EXPECT_EQ(state(), "paused");
}

TEST_F(WavesTest, ByCountAsManyAsSaidOfThoseKnown) {
  for (int i = 0; i < 200; ++i) fleet({("d" + std::to_string(i)).c_str()});
  auto release = manifest(1);
  release.policy.waves = {wire::Wave{.device_count = 7}, wire::Wave{.device_count = 50},
                          wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 7U);
  const auto limit = fixture.rollout(1).record.wave_limits[0];
  std::vector<std::string> first;
  for (const auto& [device, member] : fixture.rollout(1).members) {
    EXPECT_EQ(member.wave == 0, member.point < limit);
    if (member.wave == 0) first.push_back(device.str());
  }
  for (const auto& device : first) ASSERT_TRUE(fixture.report_step(device, 1, Step::committed).has_value());
  EXPECT_EQ(wave(), 1U);
  EXPECT_EQ(fixture.rollout(1).waves[1].admitted, 43U) << "50 with those before";
}

TEST_F(WavesTest, AttemptsThatFollowAreNoFailures) {
  fleet({"a", "b"});
  auto release = canaries();
  release.policy.attempts_max = 2;
  release.policy.failures_max = 1;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::failed, 1, true).has_value());
  EXPECT_EQ(state(), "active");
  EXPECT_EQ(fixture.rollout(1).counts.retrying, 1U);
  ASSERT_TRUE(fixture.report_step("a", 1, Step::failed, 2).has_value());
  EXPECT_EQ(state(), "paused");
  EXPECT_EQ(fixture.rollout(1).record.cause, "its error budget is spent: 1 device of 2 heard of failed");
}

TEST_F(WavesTest, TheErrorBudgetMayAbortOrTakeBack) {
  fleet({"a", "b", "c"});
  for (const auto action : {wire::BudgetAction::abort, wire::BudgetAction::revert}) {
    const std::uint64_t sequence = action == wire::BudgetAction::abort ? 1 : 2;
    auto release = manifest(sequence);
    release.policy.failures_bp = 5'000;
    release.policy.budget_action = action;
    release.policy.revert_allowed = true;
    ASSERT_TRUE(fixture.take(release).has_value());
    ASSERT_TRUE(fixture.report_step("a", sequence, Step::rolled_back).has_value());
    EXPECT_EQ(state(sequence), "active") << "a third is not half";
    ASSERT_TRUE(fixture.report_step("b", sequence, Step::rolled_back).has_value());
    EXPECT_EQ(state(sequence), action == wire::BudgetAction::abort ? "aborted" : "reverted");
    ASSERT_FALSE(fixture.all<SendGate>().empty());
    EXPECT_EQ(fixture.all<SendGate>()[0].gate.state,
              action == wire::BudgetAction::abort ? wire::GateState::aborted : wire::GateState::reverted);
  }
}

TEST_F(WavesTest, ResumedItStopsAgainForWhatComesOnTop) {
  fleet({"a", "b", "c", "d"});
  auto release = manifest(1);
  release.policy.failures_max = 2;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::rolled_back).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::rolled_back).has_value());
  ASSERT_EQ(state(), "paused");
  ASSERT_TRUE(fixture.act(1, Action::resume).has_value());
  EXPECT_EQ(state(), "active");
  EXPECT_EQ(fixture.rollout(1).record.cause, "");
  fixture.pass(10);
  EXPECT_EQ(state(), "active");
  ASSERT_TRUE(fixture.report_step("c", 1, Step::rolled_back).has_value());
  EXPECT_EQ(state(), "active");
  ASSERT_TRUE(fixture.report_step("d", 1, Step::rolled_back).has_value());
  EXPECT_EQ(state(), "paused");
}

TEST_F(WavesTest, RetriedDevicesMayFailAgain) {
  fleet({"a", "b", "c"});
  auto release = manifest(1);
  release.policy.failures_max = 1;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.retry(1).has_value());
  EXPECT_THAT(fixture.effects, IsEmpty()) << "nobody has failed";
  ASSERT_TRUE(fixture.report_step("a", 1, Step::rolled_back).has_value());
  ASSERT_EQ(state(), "paused");
  fixture.now.wall = fixture.now.wall + 1'000;
  ASSERT_TRUE(fixture.retry(1).has_value());
  ASSERT_EQ(fixture.all<SendGate>().size(), 1U);
  EXPECT_EQ(fixture.all<SendGate>()[0].gate.retry_epoch, 1U);
  ASSERT_TRUE(fixture.retry(1).has_value());
  EXPECT_THAT(fixture.effects, IsEmpty()) << "said twice";
  ASSERT_TRUE(fixture.act(1, Action::resume).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::fetching, 2).has_value());
  EXPECT_EQ(state(), "active");
  ASSERT_TRUE(fixture.report_step("a", 1, Step::rolled_back, 2).has_value());
  EXPECT_EQ(state(), "paused") << "forgiven once, not for ever";
}

TEST_F(WavesTest, ADeviceThatWasOvertakenOrTakenBackHasNotFailed) {
  fleet({"a", "b"});
  auto release = manifest(1);
  release.policy.failures_max = 1;
  ASSERT_TRUE(fixture.take(release).has_value());
  auto overtaken = report("a", 1, hash(1), Step::failed);
  overtaken.code = Code::stale;
  ASSERT_TRUE(fixture.report(overtaken).has_value());
  EXPECT_EQ(state(), "active");
  EXPECT_EQ(fixture.rollout(1).counts.failed, 0U);
}

TEST_F(WavesTest, RevertNeedsThePermissionOfTheManifest) {
  fleet({"a"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  EXPECT_EQ(fixture.act(1, Action::revert).error().code, Code::refused);
  auto release = manifest(2);
  release.policy.revert_allowed = true;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.act(2, Action::revert).has_value());
  EXPECT_EQ(fixture.rollout(2).state_name(), "reverted");
  EXPECT_EQ(fixture.act(2, Action::resume).error().code, Code::refused);
}

TEST_F(WavesTest, WhatHappenedIsInTheHistoryWithWhoDidIt) {
  fleet({"a", "b"});
  ASSERT_TRUE(fixture.take(canaries()).has_value());
  std::vector<std::string> lines;
  const auto note = [&] {
    for (const auto& save : fixture.all<SaveEvent>()) {
      const auto event = decode_event_record(save.record).value();
      lines.push_back(std::to_string(save.number) + " " + event.who + ": " + event.what);
    }
  };
  note();
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  note();
  EXPECT_THAT(lines, testing::ElementsAre("0 ann: published r1 (sequence 1)",
                                          "1 the broker: opened wave 1 of 2: 2 devices", "2 ann: paused"));
}

TEST_F(WavesTest, ASupersededRolloutOpensNoMoreWaves) {
  fleet({"a", "b"});
  ASSERT_TRUE(fixture.take(canaries(1)).has_value());
  ASSERT_TRUE(fixture.take(canaries(2)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  EXPECT_EQ(wave(1), 0U);
}

TEST_F(WavesTest, OldRolloutsKeepTheirSumsAlone) {
  fleet({"a", "b"});
  for (std::uint64_t i = 1; i <= 9; ++i) {
    ASSERT_TRUE(fixture.take(manifest(i)).has_value());
    ASSERT_TRUE(fixture.report_step("a", i, Step::committed).has_value());
  }
  EXPECT_TRUE(fixture.rollout(1).members.empty());
  EXPECT_EQ(fixture.rollout(1).sums().at(Step::committed), 1U);
  EXPECT_EQ(fixture.rollout(2).members.size(), 1U);
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value()) << "late, and in its history only";
  EXPECT_EQ(fixture.rollout(1).sums().at(Step::committed), 1U);
}

}  // namespace
}  // namespace instar::rollout

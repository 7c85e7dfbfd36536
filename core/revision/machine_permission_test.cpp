// What a gate must say before a device obeys it; pauses, turns, bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::Step;

class PermissionTest : public RunsR1Fixture {
 protected:
  [[nodiscard]] static std::vector<wire::Wave> soaking_waves() {
    return {wire::Wave{.share_bp = 100, .soak_s = 600}, wire::Wave{.share_bp = 10'000}};
  }
  // The second of those waves, so long after the first.
  void put_second_wave(const wire::Manifest& manifest, std::uint64_t issue, std::int64_t after_ms) {
    auto message = rig.gate_for(manifest, issue);
    message.wave = 1;
    message.wave_opened = {opened, opened + after_ms};
    message.fresh = opened + 700'000;
    rig.put_gate(message);
  }
};

// --- gates against the policy -------------------------------------------------------------------------------
TEST_F(PermissionTest, AGateThatBreaksThePolicyIsNotObeyedAndToldOnce) {
  auto two = rig.release(2);
  two.policy.waves = soaking_waves();
  offer(two);
  put_second_wave(two, 1, 599'000);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  ASSERT_EQ(rig.applied.size(), 1U);
  EXPECT_EQ(rig.applied[0].code, Code::refused);
  EXPECT_EQ(rig.applied[0].step, Step::waiting);
  EXPECT_THAT(rig.applied[0].reason, HasSubstr("its soak is 600 s: not obeyed"));
  put_second_wave(two, 2, 599'000);
  rig.power_cut();
  rig.run(5'000);
  EXPECT_EQ(rig.applied.size(), 1U) << "told once";
  put_second_wave(two, 3, 600'000);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, AWordOfAGateThatIsNotObeyedTakesNothingBackOfWhatTheDeviceHasSaid) {
  auto two = rig.release(2);
  two.policy.waves = soaking_waves();
  two.policy.in_flight_max = 1;
  offer(two);
  put_second_wave(two, 1, 600'000);
  rig.run(5'000);
  ASSERT_EQ(rig.applied.size(), 1U);
  ASSERT_TRUE(rig.applied[0].asks_start);
  put_second_wave(two, 2, 599'000);
  rig.run(5'000);
  ASSERT_EQ(rig.applied.size(), 2U);
  EXPECT_THAT(rig.applied[1].reason, HasSubstr("not obeyed"));
  EXPECT_EQ(rig.applied[1].attempt, 1U);
  EXPECT_TRUE(rig.applied[1].asks_start) << "it keeps its place in the queue";

  put_second_wave(two, 3, 600'000);
  rig.finish_fails = Error{Code::corrupt, "a file does not match"};
  turn(two, 1);
  rig.run(30'000);
  ASSERT_EQ(rig.applied.back().step, Step::failed);
  put_second_wave(two, 4, 598'000);
  rig.run(5'000);
  EXPECT_THAT(last_reason(), HasSubstr("not obeyed"));
  EXPECT_EQ(rig.applied.back().step, Step::failed);
  EXPECT_EQ(rig.applied.back().attempt, 1U);
}

TEST_F(PermissionTest, AGateFromBeforeTheReleaseIsNotObeyed) {
  auto two = rig.release(2);
  two.issued = opened + std::int64_t{2} * 24 * 3'600 * 1'000;
  rig.store_packs(two);
  gate(two, 1, wire::GateState::open);
  rig.put(rig.topics.manifest(two.groups.front()), rig.seal(two));
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_THAT(last_reason(), HasSubstr("before the release was made"));
}

TEST_F(PermissionTest, ADeviceGoesWithItsWave) {
  auto two = rig.release(2);
  two.policy.waves = {wire::Wave{.devices = {"other"}}, wire::Wave{.devices = {"pump-17"}},
                      wire::Wave{.share_bp = 10'000}};
  offer(two);
  auto message = rig.gate_for(two, 1);
  message.admitted_bp = 0;
  rig.put_gate(message);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  message.issue = 2;
  message.wave = 1;
  message.wave_opened = {opened, opened};
  rig.put_gate(message);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

// --- paused --------------------------------------------------------------------------------------------------
TEST_F(PermissionTest, APausedRolloutIsNotFetchedAndNotSwitchedTo) {
  rig.serves = false;
  const auto two = rig.release(2);
  rig.publish(two);
  rig.settle();
  ASSERT_EQ(rig.phase(), "fetching");
  gate(two, 2, wire::GateState::paused);
  rig.serves = true;
  const auto asked = rig.fetches.size();
  rig.run(60'000);
  EXPECT_EQ(rig.phase(), "fetching");
  EXPECT_EQ(rig.fetches.size(), asked) << "nothing is asked for";
  gate(two, 3, wire::GateState::open);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, PausedWhenAllIsThereItDoesNotSwitch) {
  const auto two = rig.release(2);
  bool pause = true;
  rig.drop = [&](const Effect& effect) {
    if (!pause || !std::holds_alternative<FinishStaging>(effect)) return false;
    pause = false;
    gate(two, 2, wire::GateState::paused);
    return false;
  };
  rig.publish(two);
  rig.run(20'000);
  EXPECT_EQ(rig.phase(), "staging");
  rig.power_cut();
  rig.run(20'000);
  EXPECT_EQ(rig.phase(), "staging") << "nor after a restart";
  gate(two, 3, wire::GateState::open);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

// --- turns ---------------------------------------------------------------------------------------------------
TEST_F(PermissionTest, ItAsksForItsTurnAndWaits) {
  auto two = rig.release(2);
  two.policy.in_flight_max = 1;
  rig.publish(two);
  rig.run(60'000);
  ASSERT_EQ(rig.applied.size(), 1U) << "asked once";
  EXPECT_TRUE(rig.applied[0].asks_start);
  EXPECT_EQ(rig.applied[0].attempt, 1U);
  EXPECT_EQ(rig.view().waits, "waits for its turn");
  rig.disconnect();
  rig.connect();
  EXPECT_TRUE(rig.hellos.back().asks_start);
  EXPECT_EQ(rig.hellos.back().step, Step::waiting);
  turn(two, 2);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1") << "another attempt's turn";
  turn(two, 1);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_FALSE(rig.hellos.back().asks_start && rig.connected && rig.phase() != "idle");
}

TEST_F(PermissionTest, APausedReleaseAndANewerOneThatWaitsAreEachToldOfOnce) {
  const auto two = rig.release(2);
  rig.serves = false;
  rig.publish(two);
  rig.run(2'000);
  ASSERT_EQ(rig.phase(), "fetching");
  gate(two, 2, wire::GateState::paused);
  rig.run(2'000);
  auto three = rig.release(3);
  three.policy.in_flight_max = 1;
  rig.publish(three);
  rig.run(60'000);
  const auto told = std::ranges::count_if(
      rig.applied, [](const wire::Report& report) { return report.reason == "waits for its turn"; });
  EXPECT_EQ(told, 1);
  EXPECT_EQ(rig.view().waits, "waits for its turn");
}

TEST_F(PermissionTest, ATurnFromBeforeItAskedIsNotTaken) {
  auto two = rig.release(2);
  two.policy.in_flight_max = 1;
  rig.publish(two);
  rig.run(2'000);
  wire::Ack late;
  late.sequence = rig.view().last_report - 1;
  late.start_rollout = MachineFixture::rollout_of(two).prefix64();
  late.start_attempt = 1;
  rig.receive(rig.topics.device(rig.facts.device, wire::TopicKind::device_ack), wire::encode(late));
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  turn(two, 1);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, ATurnOutlivesARestart) {
  auto two = rig.release(2);
  two.policy.starts_per_minute_max = 1;
  rig.publish(two);
  rig.run(1'000);
  rig.drop = [](const Effect& effect) { return std::holds_alternative<OpenStaging>(effect); };
  turn(two, 1);
  rig.drop = nullptr;
  rig.power_cut();
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, EachAttemptAsksAnewAndSaysThatAnotherFollows) {
  auto two = rig.release(2);
  two.policy.in_flight_max = 1;
  two.policy.attempts_max = 2;
  two.policy.backoff_s = 5;
  rig.bad_releases = {"r2"};
  rig.publish(two);
  rig.run(1'000);
  turn(two, 1);
  rig.run(30'000);
  ASSERT_EQ(rig.phase(), "waiting");
  std::vector<std::pair<Step, bool>> endings;
  for (const auto& report : rig.applied) {
    if (wire::is_final(report.step)) endings.emplace_back(report.step, report.again);
  }
  EXPECT_THAT(endings, testing::ElementsAre(std::pair(Step::rolled_back, true)));
  EXPECT_TRUE(rig.applied.back().asks_start);
  EXPECT_EQ(rig.applied.back().attempt, 2U);
  rig.bad_releases.clear();
  turn(two, 2);
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

// --- bytes ----------------------------------------------------------------------------------------------------
TEST_F(PermissionTest, WhatCostsMoreThanItMayIsRefusedBeforeTheFirstByte) {
  auto two = rig.release(2);
  two.policy.device_bytes_max = 93'999;
  rig.publish(two);
  rig.run(20'000);
  ASSERT_EQ(rig.applied.size(), 1U);
  EXPECT_EQ(rig.applied[0].step, Step::refused);
  EXPECT_THAT(last_reason(), HasSubstr("costs 94000 bytes, the release's budget for a device is 93999"));
  auto three = rig.release(3);
  three.policy.device_bytes_max = 94'000;
  rig.publish(three);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r3");
}

TEST_F(PermissionTest, EarlierAttemptsCountAgainstTheBudget) {
  auto two = rig.release(2);
  two.policy.device_bytes_max = 150'000;
  two.policy.attempts_max = 3;
  two.policy.backoff_s = 1;
  rig.finish_fails = Error{Code::corrupt, "a file does not match"};
  rig.publish(two);
  rig.run(60'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_THAT(last_reason(), HasSubstr("after 94000 of earlier attempts, the release's budget for a device is 150000"));
}

}  // namespace
}  // namespace instar::revision

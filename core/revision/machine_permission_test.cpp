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
    auto message = fixture.gate_for(manifest, issue);
    message.wave = 1;
    message.wave_opened = {opened, opened + after_ms};
    message.fresh = opened + 700'000;
    fixture.put_gate(message);
  }
};

// --- gates against the policy -------------------------------------------------------------------------------
TEST_F(PermissionTest, AGateThatBreaksThePolicyIsNotObeyedAndToldOnce) {
  auto two = fixture.release(2);
  two.policy.waves = soaking_waves();
  offer(two);
  put_second_wave(two, 1, 599'000);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  ASSERT_EQ(fixture.applied.size(), 1U);
  EXPECT_EQ(fixture.applied[0].code, Code::refused);
  EXPECT_EQ(fixture.applied[0].step, Step::waiting);
  EXPECT_THAT(fixture.applied[0].reason, HasSubstr("its soak is 600 s: not obeyed"));
  put_second_wave(two, 2, 599'000);
  fixture.power_cut();
  fixture.run(5'000);
  EXPECT_EQ(fixture.applied.size(), 1U) << "reported once";
  put_second_wave(two, 3, 600'000);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(PermissionTest, AWordOfAGateThatIsNotObeyedTakesNothingBackOfWhatTheDeviceHasSaid) {
  auto two = fixture.release(2);
  two.policy.waves = soaking_waves();
  two.policy.in_flight_max = 1;
  offer(two);
  put_second_wave(two, 1, 600'000);
  fixture.run(5'000);
  ASSERT_EQ(fixture.applied.size(), 1U);
  ASSERT_TRUE(fixture.applied[0].asks_start);
  put_second_wave(two, 2, 599'000);
  fixture.run(5'000);
  ASSERT_EQ(fixture.applied.size(), 2U);
  EXPECT_THAT(fixture.applied[1].reason, HasSubstr("not obeyed"));
  EXPECT_EQ(fixture.applied[1].attempt, 1U);
  EXPECT_TRUE(fixture.applied[1].asks_start) << "it keeps its place in the queue";

  put_second_wave(two, 3, 600'000);
  fixture.finish_fails = Error{Code::corrupt, "a file does not match"};
  turn(two, 1);
  fixture.run(30'000);
  ASSERT_EQ(fixture.applied.back().step, Step::failed);
  put_second_wave(two, 4, 598'000);
  fixture.run(5'000);
  EXPECT_THAT(last_reason(), HasSubstr("not obeyed"));
  EXPECT_EQ(fixture.applied.back().step, Step::failed);
  EXPECT_EQ(fixture.applied.back().attempt, 1U);
}

TEST_F(PermissionTest, AGateFromBeforeTheReleaseIsNotObeyed) {
  auto two = fixture.release(2);
  two.issued = opened + std::int64_t{2} * 24 * 3'600 * 1'000;
  fixture.store_packs(two);
  gate(two, 1, wire::GateState::open);
  fixture.put(fixture.topics.manifest(two.groups.front(), two.product), fixture.seal(two));
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_THAT(last_reason(), HasSubstr("before the release was made"));
}

TEST_F(PermissionTest, ADeviceGoesWithItsWave) {
  auto two = fixture.release(2);
  two.policy.waves = {wire::Wave{.devices = {"other"}}, wire::Wave{.devices = {"pump-17"}},
                      wire::Wave{.share_bp = 10'000}};
  offer(two);
  auto message = fixture.gate_for(two, 1);
  message.admitted_bp = 0;
  fixture.put_gate(message);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  message.issue = 2;
  message.wave = 1;
  message.wave_opened = {opened, opened};
  fixture.put_gate(message);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(PermissionTest, InAWaveByCountItAsksForItsTurnAndInTheNextOneItGoesWithout) {
  auto two = fixture.release(2);
  two.policy.waves = {wire::Wave{.device_count = 1}, wire::Wave{.share_bp = 10'000}};
  offer(two);
  auto message = fixture.gate_for(two, 1);
  fixture.put_gate(message);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  ASSERT_EQ(fixture.applied.size(), 1U);
  EXPECT_TRUE(fixture.applied[0].asks_start);
  fixture.power_cut();
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  message.issue = 2;
  message.wave = 1;
  message.wave_opened = {opened, opened};
  fixture.put_gate(message);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(PermissionTest, InAWaveByCountItBeginsWhenItIsGivenItsTurn) {
  auto two = fixture.release(2);
  two.policy.waves = {wire::Wave{.device_count = 1}, wire::Wave{.share_bp = 10'000}};
  offer(two);
  fixture.put_gate(fixture.gate_for(two, 1));
  fixture.run(5'000);
  ASSERT_EQ(fixture.running_release(), "r1");
  turn(two, 1);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- paused --------------------------------------------------------------------------------------------------
TEST_F(PermissionTest, APausedRolloutIsNotFetchedAndNotSwitchedTo) {
  fixture.serves = false;
  const auto two = fixture.release(2);
  fixture.publish(two);
  fixture.settle();
  ASSERT_EQ(fixture.phase(), "fetching");
  gate(two, 2, wire::GateState::paused);
  fixture.serves = true;
  const auto asked = fixture.fetches.size();
  fixture.run(60'000);
  EXPECT_EQ(fixture.phase(), "fetching");
  EXPECT_EQ(fixture.fetches.size(), asked) << "nothing is asked for";
  gate(two, 3, wire::GateState::open);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(PermissionTest, PausedWhenAllIsThereItDoesNotSwitch) {
  const auto two = fixture.release(2);
  bool pause = true;
  fixture.drop = [&](const Effect& effect) {
    if (!pause || !std::holds_alternative<FinishStaging>(effect)) return false;
    pause = false;
    gate(two, 2, wire::GateState::paused);
    return false;
  };
  fixture.publish(two);
  fixture.run(20'000);
  EXPECT_EQ(fixture.phase(), "staging");
  fixture.power_cut();
  fixture.run(20'000);
  EXPECT_EQ(fixture.phase(), "staging") << "nor after a restart";
  gate(two, 3, wire::GateState::open);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- turns ---------------------------------------------------------------------------------------------------
TEST_F(PermissionTest, ItAsksForItsTurnAndWaits) {
  auto two = fixture.release(2);
  two.policy.in_flight_max = 1;
  fixture.publish(two);
  fixture.run(60'000);
  ASSERT_EQ(fixture.applied.size(), 1U) << "asked once";
  EXPECT_TRUE(fixture.applied[0].asks_start);
  EXPECT_EQ(fixture.applied[0].attempt, 1U);
  EXPECT_EQ(fixture.view().waits, "waits for its turn");
  fixture.disconnect();
  fixture.connect();
  EXPECT_TRUE(fixture.hellos.back().asks_start);
  EXPECT_EQ(fixture.hellos.back().step, Step::waiting);
  turn(two, 2);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1") << "another attempt's turn";
  turn(two, 1);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_FALSE(fixture.hellos.back().asks_start && fixture.connected && fixture.phase() != "idle");
}

TEST_F(PermissionTest, APausedReleaseAndANewerOneThatWaitsAreEachToldOfOnce) {
  const auto two = fixture.release(2);
  fixture.serves = false;
  fixture.publish(two);
  fixture.run(2'000);
  ASSERT_EQ(fixture.phase(), "fetching");
  gate(two, 2, wire::GateState::paused);
  fixture.run(2'000);
  auto three = fixture.release(3);
  three.policy.in_flight_max = 1;
  fixture.publish(three);
  fixture.run(60'000);
  const auto reports = std::ranges::count_if(
      fixture.applied, [](const wire::Report& report) { return report.reason == "waits for its turn"; });
  EXPECT_EQ(reports, 1);
  EXPECT_EQ(fixture.view().waits, "waits for its turn");
}

TEST_F(PermissionTest, ATurnFromBeforeItAskedIsNotTaken) {
  auto two = fixture.release(2);
  two.policy.in_flight_max = 1;
  fixture.publish(two);
  fixture.run(2'000);
  wire::Ack late;
  late.sequence = fixture.view().last_report - 1;
  late.start_rollout = MachineFixture::rollout_of(two).prefix64();
  late.start_attempt = 1;
  fixture.receive(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_ack), wire::encode(late));
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  turn(two, 1);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(PermissionTest, ATurnOutlivesARestart) {
  auto two = fixture.release(2);
  two.policy.starts_per_minute_max = 1;
  fixture.publish(two);
  fixture.run(1'000);
  fixture.drop = [](const Effect& effect) { return std::holds_alternative<OpenStaging>(effect); };
  turn(two, 1);
  fixture.drop = nullptr;
  fixture.power_cut();
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(PermissionTest, EachAttemptAsksAnewAndSaysThatAnotherFollows) {
  auto two = fixture.release(2);
  two.policy.in_flight_max = 1;
  two.policy.attempts_max = 2;
  two.policy.backoff_s = 5;
  fixture.bad_releases = {"r2"};
  fixture.publish(two);
  fixture.run(1'000);
  turn(two, 1);
  fixture.run(30'000);
  ASSERT_EQ(fixture.phase(), "waiting");
  std::vector<std::pair<Step, bool>> endings;
  for (const auto& report : fixture.applied) {
    if (wire::is_final(report.step)) endings.emplace_back(report.step, report.again);
  }
  EXPECT_THAT(endings, testing::ElementsAre(std::pair(Step::rolled_back, true)));
  EXPECT_TRUE(fixture.applied.back().asks_start);
  EXPECT_EQ(fixture.applied.back().attempt, 2U);
  fixture.bad_releases.clear();
  turn(two, 2);
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- bytes ----------------------------------------------------------------------------------------------------
TEST_F(PermissionTest, WhatCostsMoreThanItMayIsRefusedBeforeTheFirstByte) {
  auto two = fixture.release(2);
  two.policy.device_bytes_max = 93'999;
  fixture.publish(two);
  fixture.run(20'000);
  ASSERT_EQ(fixture.applied.size(), 1U);
  EXPECT_EQ(fixture.applied[0].step, Step::refused);
  EXPECT_THAT(last_reason(), HasSubstr("costs 94000 bytes, the release's budget for a device is 93999"));
  auto three = fixture.release(3);
  three.policy.device_bytes_max = 94'000;
  fixture.publish(three);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r3");
}

TEST_F(PermissionTest, EarlierAttemptsCountAgainstTheBudget) {
  auto two = fixture.release(2);
  two.policy.device_bytes_max = 150'000;
  two.policy.attempts_max = 3;
  two.policy.backoff_s = 1;
  fixture.finish_fails = Error{Code::corrupt, "a file does not match"};
  fixture.publish(two);
  fixture.run(60'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_THAT(last_reason(), HasSubstr("after 94000 of earlier attempts, the release's budget for a device is 150000"));
}

}  // namespace
}  // namespace instar::revision

// What a device waits for, and what it does not let itself be told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/machine_rig.hpp"
#include "core/wire/placement.hpp"

namespace instar::revision {
namespace {

using rig::Rig;
using testing::HasSubstr;
using wire::Step;

class PermissionTest : public testing::Test {
 protected:
  void SetUp() override {
    rig.boot();
    rig.connect();
    rig.publish(rig.release(1));
    rig.run(15'000);
    ASSERT_EQ(rig.running_release(), "r1");
    rig.applied.clear();
  }
  void gate(const wire::Manifest& manifest, std::uint64_t issue, wire::GateState state) {
    auto message = rig.gate_for(manifest, issue);
    message.wave_opened = {opened};
    message.state = state;
    rig.put_gate(message);
  }
  [[nodiscard]] std::string last_reason() const { return rig.applied.empty() ? "" : rig.applied.back().reason; }
  void turn(const wire::Manifest& manifest, std::uint32_t attempt) {
    wire::Ack ack;
    ack.sequence = rig.view().last_report;
    ack.start_rollout = Rig::rollout_of(manifest).prefix64();
    ack.start_attempt = attempt;
    rig.hear(rig.topics.device(rig.facts.device, wire::TopicKind::device_ack), wire::encode(ack));
  }
  WallMs opened{1'700'000'000'000};
  Rig rig;
};

// --- gates against the policy -------------------------------------------------------------------------------
TEST_F(PermissionTest, AGateThatBreaksThePolicyIsNotObeyedAndToldOnce) {
  auto two = rig.release(2);
  two.policy.waves = {wire::Wave{.share_bp = 100, .soak_s = 600}, wire::Wave{.share_bp = 10'000}};
  rig.store_packs(two);
  rig.put(rig.topics.manifest(two.groups.front()), rig.seal(two));
  auto message = rig.gate_for(two, 1);
  message.wave = 1;
  message.wave_opened = {opened, opened + 599'000};
  message.fresh = opened + 600'000;
  rig.put_gate(message);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  ASSERT_EQ(rig.applied.size(), 1U);
  EXPECT_EQ(rig.applied[0].code, Code::refused);
  EXPECT_EQ(rig.applied[0].step, Step::waiting);
  EXPECT_THAT(rig.applied[0].reason, HasSubstr("its soak is 600 s: not obeyed"));
  message.issue = 2;
  rig.put_gate(message);
  rig.power_cut();
  rig.run(5'000);
  EXPECT_EQ(rig.applied.size(), 1U) << "told once";
  message.issue = 3;
  message.wave_opened[1] = opened + 600'000;
  rig.put_gate(message);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, AWordOfAGateThatIsNotObeyedTakesNothingBackOfWhatTheDeviceHasSaid) {
  auto two = rig.release(2);
  two.policy.waves = {wire::Wave{.share_bp = 100, .soak_s = 600}, wire::Wave{.share_bp = 10'000}};
  two.policy.in_flight_max = 1;
  rig.store_packs(two);
  rig.put(rig.topics.manifest(two.groups.front()), rig.seal(two));
  auto message = rig.gate_for(two, 1);
  message.wave = 1;
  message.wave_opened = {opened, opened + 600'000};
  message.fresh = opened + 700'000;
  rig.put_gate(message);
  rig.run(5'000);
  ASSERT_EQ(rig.applied.size(), 1U);
  ASSERT_TRUE(rig.applied[0].asks_start);
  message.issue = 2;
  message.wave_opened[1] = opened + 599'000;
  rig.put_gate(message);
  rig.run(5'000);
  ASSERT_EQ(rig.applied.size(), 2U);
  EXPECT_THAT(rig.applied[1].reason, HasSubstr("not obeyed"));
  EXPECT_EQ(rig.applied[1].attempt, 1U);
  EXPECT_TRUE(rig.applied[1].asks_start) << "it keeps its place in the queue";

  message.issue = 3;
  message.wave_opened[1] = opened + 600'000;
  rig.put_gate(message);
  rig.finish_fails = Error{Code::corrupt, "a file does not match"};
  turn(two, 1);
  rig.run(30'000);
  ASSERT_EQ(rig.applied.back().step, Step::failed);
  message.issue = 4;
  message.wave_opened[1] = opened + 598'000;
  rig.put_gate(message);
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
  two.policy.waves = {wire::Wave{.devices = {"other"}}, wire::Wave{.devices = {"pump-17"}}, wire::Wave{.share_bp = 10'000}};
  rig.store_packs(two);
  rig.put(rig.topics.manifest(two.groups.front()), rig.seal(two));
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
  const auto told = std::ranges::count_if(rig.applied, [](const wire::Report& report) { return report.reason == "waits for its turn"; });
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
  late.start_rollout = Rig::rollout_of(two).prefix64();
  late.start_attempt = 1;
  rig.hear(rig.topics.device(rig.facts.device, wire::TopicKind::device_ack), wire::encode(late));
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

// --- the owner, the window, the link ---------------------------------------------------------------------------
TEST_F(PermissionTest, WithoutConsentNothingStarts) {
  auto two = rig.release(2);
  two.policy.consent = true;
  rig.publish(two);
  rig.run(20'000);
  ASSERT_EQ(rig.applied.size(), 1U);
  EXPECT_EQ(rig.applied[0].step, Step::waiting);
  EXPECT_THAT(last_reason(), HasSubstr("waits for the consent of the device's owner (instar-device allow r2)"));
  rig.give(OwnerWord{false, false, "r3"});
  rig.run(5'000);
  EXPECT_EQ(rig.running_release(), "r1");
  rig.give(OwnerWord{false, false, "r2"});
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, AHoldStopsAFetchAndASwitch) {
  rig.serves = false;
  rig.publish(rig.release(2));
  rig.settle();
  rig.give(OwnerWord{true, false, ""});
  rig.serves = true;
  rig.run(30'000);
  EXPECT_EQ(rig.phase(), "fetching");
  EXPECT_EQ(last_reason(), "held by the device's owner");
  EXPECT_EQ(rig.applied.back().step, Step::waiting);
  rig.give(OwnerWord{});
  rig.run(1'000);
  EXPECT_EQ(rig.running_release() == "r2" || rig.applied.back().step != Step::waiting, true) << "and says that it goes on";
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, OnlyInsideItsWindow) {
  // The rig's clock starts on a Tuesday, 22:13:20 UTC.
  auto two = rig.release(2);
  two.policy.windows = {{2 /* Tuesday */, 23 * 60, 60}};
  rig.give(LocalTime{0});
  rig.publish(two);
  rig.run(10'000);
  EXPECT_EQ(last_reason(), "waits for its maintenance window");
  const auto deadline = rig.machine->next_deadline();
  ASSERT_TRUE(deadline.has_value());
  EXPECT_NEAR(static_cast<double>(*deadline - rig.monotonic), (46 * 60 + 20) * 1'000.0, 20'000.0) << "it wakes when the window opens";
  rig.pass(*deadline - rig.monotonic);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, LocalTimeDecides) {
  auto two = rig.release(2);
  two.policy.windows = {{2, 23 * 60, 60}};
  rig.publish(two);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
  rig.give(LocalTime{3'600});
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, DownloadMayGoAheadOfTheWindow) {
  auto two = rig.release(2);
  two.policy.windows = {{2, 23 * 60, 60}};
  two.policy.download_any_time = true;
  rig.give(LocalTime{0});
  rig.publish(two);
  rig.run(20'000);
  EXPECT_EQ(rig.phase(), "staging");
  EXPECT_EQ(last_reason(), "waits for its maintenance window");
  rig.pass(47 * 60'000);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(PermissionTest, AMeteredLinkWaits) {
  rig.facts.metered = true;
  rig.power_cut();
  auto two = rig.release(2);
  two.policy.unmetered_only = true;
  rig.publish(two);
  rig.run(20'000);
  EXPECT_EQ(last_reason(), "waits for a link that is not metered");
  rig.facts.metered = false;
  rig.power_cut();
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

// --- what the owner brings --------------------------------------------------------------------------------------
TEST_F(PermissionTest, WhatTheOwnerBringsNeedsNoGateTurnConsentOrBudget) {
  auto two = rig.release(2);
  two.policy.in_flight_max = 1;
  two.policy.consent = true;
  two.policy.device_bytes_max = 10;
  rig.store_packs(two);
  rig.put(rig.topics.manifest(two.groups.front()), rig.seal(two));
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1") << "there is no gate";
  rig.give(OwnerWord{false, false, "", Rig::rollout_of(two)});
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_EQ(rig.applied.back().step, Step::committed);
}

TEST_F(PermissionTest, WhatTheOwnerBringsAndFailsIsTriedOnceAWord) {
  auto two = rig.release(2);
  rig.bad_releases = {"r2"};
  rig.store_packs(two);
  rig.put(rig.topics.manifest(two.groups.front()), rig.seal(two));
  rig.give(OwnerWord{false, false, "", Rig::rollout_of(two)});
  rig.run(120'000);
  EXPECT_EQ(rig.running_release(), "r1");
  const auto rolled_back = [&] {
    return std::ranges::count_if(rig.applied, [](const auto& report) { return report.step == Step::rolled_back; });
  };
  EXPECT_EQ(rolled_back(), 1);
  rig.power_cut();
  rig.give(OwnerWord{false, false, "", Rig::rollout_of(two)});
  rig.run(120'000);
  EXPECT_EQ(rolled_back(), 2) << "said again, it is tried again";
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

// A device that runs r2, with r1 before it: the release that it runs.
template <typename Set>
wire::Manifest run_two(Rig& rig, Set set_policy) {
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
TEST_F(PermissionTest, TakenBackItRunsTheReleaseBeforeAndNeverTriesItAgain) {
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

TEST_F(PermissionTest, TakingBackSurvivesACutAfterEveryEffect) {
  for (std::int64_t cut = 1; cut < 12; ++cut) {
    SCOPED_TRACE(cut);
    Rig one;
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

// --- falling back -----------------------------------------------------------------------------------------------
TEST_F(PermissionTest, AContainerThatStopsAgainAndAgainIsToldAndTheReleaseBeforeRunsAgain) {
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

TEST_F(PermissionTest, WithoutTheManifestsWordADegradedReleaseRunsOn) {
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

TEST_F(PermissionTest, WithNothingToFallBackToItRunsOn) {
  rig = Rig();
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

TEST_F(PermissionTest, FallingBackSurvivesACutAfterEveryEffect) {
  for (std::int64_t cut = 1; cut < 12; ++cut) {
    SCOPED_TRACE(cut);
    Rig one;
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

TEST_F(PermissionTest, WithoutTheManifestsLeaveItStays) {
  const auto two = rig.release(2);
  rig.publish(two);
  rig.run(20'000);
  gate(two, 2, wire::GateState::reverted);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_THAT(last_reason(), HasSubstr("takes the release back, which its manifest does not allow"));
}

TEST_F(PermissionTest, WithNothingToGoBackToItSaysSo) {
  rig = Rig();
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

// --- groups said from afar ----------------------------------------------------------------------------------------
class AssignmentTest : public PermissionTest {
 protected:
  [[nodiscard]] Bytes assignment(std::vector<GroupPath> groups, std::int64_t issued, const trust::SecretKey& key) const {
    return trust::seal(trust::Kind::assignment, wire::encode(wire::Assignment{rig.facts.device, std::move(groups), WallMs{issued}}), key);
  }
  void assign(Bytes message) { rig.put(rig.topics.device(rig.facts.device, wire::TopicKind::device_assignment), std::move(message)); }
};

TEST_F(AssignmentTest, AreObeyedAndKept) {
  assign(assignment({rig::group_of("lab")}, 1'000, rig.release_key));
  rig.run(1'000);
  EXPECT_EQ(rig.hellos.back().groups, std::vector{rig::group_of("lab")});
  auto two = rig.release(2);
  rig.publish(two);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1") << "plant-7 is not its group any more";
  rig.power_cut();
  EXPECT_EQ(rig.hellos.back().groups, std::vector{rig::group_of("lab")});
  auto three = rig.release(3);
  three.groups = {rig::group_of("lab")};
  rig.publish(three);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r3");
  assign(assignment({}, 2'000, rig.release_key));
  EXPECT_EQ(rig.hellos.back().groups, rig.facts.groups) << "its own configuration counts again";
}

TEST_F(AssignmentTest, OldOnesForgedOnesAndThoseOfOthersAreNotTaken) {
  const auto hellos = rig.hellos.size();
  assign(assignment({rig::group_of("lab")}, 1'000, rig.gate_key));
  EXPECT_TRUE(rig.logged("an assignment of groups is not taken"));
  assign(trust::seal(trust::Kind::assignment,
                     wire::encode(wire::Assignment{*DeviceId::parse("pump-18"), {rig::group_of("lab")}, WallMs{5}}), rig.release_key));
  EXPECT_TRUE(rig.logged("it is of device pump-18"));
  EXPECT_EQ(rig.hellos.size(), hellos);
  assign(assignment({rig::group_of("lab")}, 2'000, rig.release_key));
  assign(assignment({rig::group_of("plant-9")}, 1'999, rig.release_key));
  EXPECT_TRUE(rig.logged("older than the one that is obeyed"));
  EXPECT_EQ(rig.hellos.back().groups, std::vector{rig::group_of("lab")});
}

// --- supersession ---------------------------------------------------------------------------------------------------
TEST_F(PermissionTest, ARollbackGoesNeverToAReleaseThatFailedHere) {
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

}  // namespace
}  // namespace instar::revision

// Whose report counts: devices that the rollout is for, by what the broker knows of them.
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/rollout/testing/tracker_fixture.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

constexpr std::uint64_t kHuge = ~std::uint64_t{0};

class StrangersTest : public testing::Test {
 protected:
  // Known before any release: a device of the group, and one of another product in another group.
  void SetUp() override {
    ASSERT_TRUE(fixture.hello(hello("d")).has_value());
    auto toaster = hello("toaster", {group("evil/corner")});
    toaster.description.product = "toaster";
    ASSERT_TRUE(fixture.hello(toaster).has_value());
  }
  static wire::Manifest one_failure_is_too_many() {
    auto out = manifest(1);
    out.policy.failures_max = 1;
    out.policy.budget_action = wire::BudgetAction::abort;
    return out;
  }
  TrackerFixture fixture;
};

TEST_F(StrangersTest, OfAnotherProductAndGroupMoveNothing) {
  ASSERT_TRUE(fixture.take(one_failure_is_too_many()).has_value());
  for (const auto step : {Step::fetching, Step::rolled_back, Step::failed, Step::committed, Step::refused}) {
    ASSERT_TRUE(fixture.report_step("toaster", 1, step).has_value()) << "it is acked all the same";
  }
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
  EXPECT_EQ(fixture.rollout(1).counts.devices, 1U);
  EXPECT_EQ(fixture.rollout(1).members.count(id("toaster")), 0U);
}

TEST_F(StrangersTest, OfTheProductInAnotherGroupOrOfTheGroupWithAnotherProductMoveNothing) {
  ASSERT_TRUE(fixture.hello(hello("elsewhere", {group("plant-8")})).has_value());
  auto other = hello("other");
  other.description.product = "gateway-3";
  ASSERT_TRUE(fixture.hello(other).has_value());
  ASSERT_TRUE(fixture.take(one_failure_is_too_many()).has_value());
  ASSERT_TRUE(fixture.report_step("elsewhere", 1, Step::failed).has_value());
  ASSERT_TRUE(fixture.report_step("other", 1, Step::failed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
}

TEST_F(StrangersTest, AHelloThatNamesTheRolloutMovesNothingEither) {
  ASSERT_TRUE(fixture.take(one_failure_is_too_many()).has_value());
  auto message = hello("toaster", {group("evil/corner")});
  message.description.product = "toaster";
  message.rollout = hash(1);
  message.step = Step::failed;
  message.attempt = 1;
  ASSERT_TRUE(fixture.hello(message).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
  EXPECT_EQ(fixture.rollout(1).counts.devices, 1U);
}

TEST_F(StrangersTest, ALateJoinerMovesNothingUntilItWasServedBytes) {
  ASSERT_TRUE(fixture.take(one_failure_is_too_many()).has_value());
  fixture.pass(10);
  ASSERT_TRUE(fixture.hello(hello("late")).has_value());
  ASSERT_TRUE(fixture.report_step("late", 1, Step::failed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
  EXPECT_EQ(fixture.count(1, Step::failed), 1U) << "it is shown";
  EXPECT_EQ(fixture.rollout(1).waves[0].late, 1U);
  EXPECT_EQ(fixture.rollout(1).waves[0].failed, 0U);
  fixture.restart();
  fixture.pass(10);
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
  EXPECT_EQ(fixture.tracker.charge(id("late"), hash(1).prefix64(), pack(), 1), Charge::ok);
  fixture.save_bytes();
  fixture.pass(1);
  EXPECT_EQ(fixture.rollout(1).state_name(), "aborted") << "now it has seen the release";
}

TEST_F(StrangersTest, ALateJoinerNeitherOpensAWaveNorEndsTheRollout) {
  auto release = manifest(1);
  release.policy.waves = {wire::Wave{.devices = {"d", "late"}}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.pass(10);
  ASSERT_TRUE(fixture.hello(hello("late")).has_value());
  ASSERT_TRUE(fixture.report_step("late", 1, Step::committed).has_value());
  EXPECT_EQ(fixture.rollout(1).record.wave, 0U);
  ASSERT_TRUE(fixture.report_step("d", 1, Step::committed).has_value());
  EXPECT_EQ(fixture.rollout(1).record.wave, 0U) << "the wave names it, so it is waited for";
  EXPECT_EQ(fixture.tracker.charge(id("late"), hash(1).prefix64(), pack(), 1), Charge::ok);
  fixture.save_bytes();
  fixture.pass(1);
  EXPECT_EQ(fixture.rollout(1).record.wave, 1U);
  fixture.pass(10);
  ASSERT_TRUE(fixture.hello(hello("later")).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "complete") << "who comes later does not keep it from its end";
}

TEST_F(StrangersTest, ALatecomerThatAWaveNamesIsWaitedFor) {
  auto release = manifest(1);
  release.policy.waves = {wire::Wave{.devices = {"late"}}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.pass(10);
  ASSERT_TRUE(fixture.hello(hello("late")).has_value());
  fixture.pass(10);
  EXPECT_EQ(fixture.rollout(1).record.wave, 0U) << "that it is there proves nothing";
  ASSERT_TRUE(fixture.report_step("late", 1, Step::committed).has_value());
  EXPECT_EQ(fixture.rollout(1).record.wave, 0U) << "nor does its word, before it was sent bytes";
  EXPECT_EQ(fixture.tracker.charge(id("late"), hash(1).prefix64(), pack(), 1), Charge::ok);
  fixture.save_bytes();
  fixture.pass(1);
  EXPECT_EQ(fixture.rollout(1).record.wave, 1U);
}

TEST_F(StrangersTest, OneThatComesInTheFirstWaveMovesNothingInTheNextOnesEither) {
  ASSERT_TRUE(fixture.hello(hello("e")).has_value());
  auto release = one_failure_is_too_many();
  release.policy.waves = {wire::Wave{.devices = {"d"}}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.pass(10);
  ASSERT_TRUE(fixture.hello(hello("early")).has_value());
  ASSERT_TRUE(fixture.hello(hello("honest")).has_value());
  fixture.pass(10);
  ASSERT_TRUE(fixture.report_step("d", 1, Step::committed).has_value());
  ASSERT_EQ(fixture.rollout(1).record.wave, 1U);
  EXPECT_EQ(fixture.rollout(1).waves[1].admitted, 1U) << "e was there before it began";
  EXPECT_EQ(fixture.rollout(1).waves[1].late, 2U);
  fixture.pass(10);
  ASSERT_TRUE(fixture.report_step("early", 1, Step::failed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "active") << "it was served nothing";
  EXPECT_EQ(fixture.rollout(1).waves[1].failed, 0U);
  fixture.restart();
  fixture.pass(10);
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
  EXPECT_EQ(fixture.tracker.charge(id("honest"), hash(1).prefix64(), pack(), 1), Charge::ok);
  fixture.save_bytes();
  ASSERT_TRUE(fixture.report_step("honest", 1, Step::failed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "aborted") << "this one has seen the release";
}

TEST_F(StrangersTest, OneThatComesInTheFirstWaveDoesNotKeepTheRolloutFromItsEnd) {
  auto release = manifest(1);
  release.policy.waves = {wire::Wave{.devices = {"d"}}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.pass(10);
  ASSERT_TRUE(fixture.hello(hello("early")).has_value());
  ASSERT_TRUE(fixture.report_step("d", 1, Step::committed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "complete");
}

// --- waves of latecomers -------------------------------------------------------------------------
class LateFleetTest : public testing::Test {
 protected:
  // A tenth, then half, then everyone.
  static wire::Manifest in_three() {
    auto out = manifest(1);
    out.policy.waves = {wire::Wave{.share_bp = 1'000}, wire::Wave{.share_bp = 5'000}, wire::Wave{.share_bp = 10'000}};
    out.policy.silent_s = 600;
    out.policy.failures_max = 1;
    return out;
  }
  // So many names that lie between two shares.
  static std::vector<std::string> between(std::uint64_t from_bp, std::uint64_t to_bp, std::size_t count) {
    std::vector<std::string> out;
    for (int i = 0; out.size() < count; ++i) {
      auto name = "d" + std::to_string(i);
      const auto place = std::uint64_t{wire::placement_point(in_three().policy.salt, id(name))} * wire::kWholeBp;
      if (place >= from_bp * wire::kPointsEnd && place < to_bp * wire::kPointsEnd) out.push_back(std::move(name));
    }
    return out;
  }
  void come(const std::vector<std::string>& names) {
    for (const auto& name : names) ASSERT_TRUE(fixture.hello(hello(name)).has_value());
  }
  void take_it(const std::string& name, Step step = Step::committed) {
    ASSERT_EQ(fixture.tracker.charge(id(name), hash(1).prefix64(), pack(), 1), Charge::ok) << name;
    fixture.save_bytes();
    ASSERT_TRUE(fixture.report_step(name, 1, step).has_value());
  }
  [[nodiscard]] std::uint32_t wave() const { return fixture.rollout(1).record.wave; }
  TrackerFixture fixture;
  std::vector<std::string> first = between(0, 1'000, 2);
  std::vector<std::string> second = between(1'000, 5'000, 3);
  std::vector<std::string> third = between(5'000, 10'000, 3);
};

TEST_F(LateFleetTest, AWaveOfLatecomersAloneIsPassedOverWhereOthersWereKnown) {
  come(first);
  come({third[0]});
  ASSERT_TRUE(fixture.take(in_three()).has_value());
  fixture.pass(10);
  come(second);
  for (const auto& name : first) take_it(name);
  EXPECT_EQ(wave(), 2U) << fixture.waits(1);
  ASSERT_TRUE(fixture.report_step(second[0], 1, Step::failed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
  take_it(third[0]);
  EXPECT_EQ(fixture.rollout(1).outcome(), "complete");
}

TEST_F(LateFleetTest, ALatecomerThatFetchesIsWaitedForAndFails) {
  come(first);
  come({third[0]});
  auto release = in_three();
  release.policy.waves[1].soak_s = 100;
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.pass(10);
  come(second);
  for (const auto& name : first) take_it(name);
  ASSERT_EQ(wave(), 1U);
  take_it(second[0], Step::fetching);
  fixture.pass(200);
  EXPECT_EQ(wave(), 1U) << "it is on its way";
  ASSERT_TRUE(fixture.report_step(second[0], 1, Step::rolled_back).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "paused");
}

TEST_F(LateFleetTest, WhereNobodyWasKnownEachWaveWaitsForThoseThatHaveCome) {
  ASSERT_TRUE(fixture.take(in_three()).has_value());
  fixture.pass(10);
  come(first);
  come(second);
  come(third);
  for (const auto& name : first) take_it(name);
  for (const auto& name : second) {
    EXPECT_EQ(wave(), 1U) << "what the first wave has proved does not open the third";
    EXPECT_NE(fixture.waits(1).find("that came late are waited for too"), std::string::npos) << fixture.waits(1);
    take_it(name);
  }
  for (const auto& name : third) {
    EXPECT_EQ(wave(), 2U);
    EXPECT_EQ(fixture.rollout(1).state_name(), "active");
    take_it(name);
  }
  EXPECT_EQ(fixture.rollout(1).outcome(), "complete");
}

TEST_F(LateFleetTest, WhereNobodyWasKnownThoseThatFetchNothingHoldAWaveForTheTimeOfSilence) {
  ASSERT_TRUE(fixture.take(in_three()).has_value());
  fixture.pass(10);
  come(first);
  come(second);
  for (const auto& name : first) take_it(name);
  ASSERT_EQ(wave(), 1U);
  fixture.pass(599, 100);
  EXPECT_EQ(wave(), 1U);
  fixture.pass(2);
  EXPECT_EQ(wave(), 2U);
  ASSERT_TRUE(fixture.report_step(second[0], 1, Step::failed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "active") << "nor does its word count there";
}

TEST_F(StrangersTest, ADeviceThatIsNotAdmittedYetMovesNothing) {
  auto release = one_failure_is_too_many();
  release.policy.waves = {wire::Wave{.devices = {"canary"}}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("d", 1, Step::failed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
}

TEST_F(StrangersTest, WhatAReportClaimsIsBoundedByWhatIsPossible) {
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto message = report("d", 1, hash(1), Step::fetching);
  message.bytes_full = message.bytes_planned = message.bytes_fetched = kHuge;
  ASSERT_TRUE(fixture.report(message).has_value());
  EXPECT_EQ(fixture.rollout(1).counts.bytes_full, 10'000'000U);
  EXPECT_EQ(fixture.rollout(1).members.at(id("d")).record.bytes_fetched, 10'000'000U);
  ASSERT_TRUE(fixture.report(report("d", 2, hash(1), Step::failed, 0xffffffff)).has_value());
  EXPECT_EQ(fixture.count(1, Step::fetching), 1U) << "no policy allows that many attempts";
  ASSERT_TRUE(fixture.report(report("d", 3, hash(1), Step::failed, limits::kAttemptsBesidePolicyMax + 1)).has_value());
  EXPECT_EQ(fixture.count(1, Step::failed), 1U);
}

TEST_F(StrangersTest, AMemberThatIsMovedElsewhereEndsWhatItHasBegun) {
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("d", 1, Step::fetching).has_value());
  auto moved = hello("d", {group("plant-8")});
  moved.last_sequence = 1;
  ASSERT_TRUE(fixture.hello(moved).has_value());
  ASSERT_TRUE(fixture.report_step("d", 1, Step::failed).has_value());
  EXPECT_EQ(fixture.count(1, Step::failed), 1U);
}

// --- bytes ---------------------------------------------------------------------------------------
TEST_F(StrangersTest, AreServedNothingWhateverRolloutTheyName) {
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto& tracker = fixture.tracker;
  EXPECT_EQ(tracker.charge(id("toaster"), hash(1).prefix64(), pack(), 1), Charge::not_offered);
  EXPECT_EQ(tracker.charge(id("toaster"), 0, pack(), 1), Charge::not_offered) << "no rollout named";
  EXPECT_EQ(tracker.charge(id("d"), hash(1).prefix64(), PackId{}, 1), Charge::not_offered) << "another pack";
  EXPECT_EQ(tracker.charge(id("d"), hash(1).prefix64(), pack(), 1), Charge::ok);
  EXPECT_EQ(tracker.charge(id("d"), 0, pack(), 1), Charge::ok) << "no rollout named: its target pays";
  EXPECT_EQ(fixture.rollout(1).counts.bytes_sent, 2U);
  fixture.save_bytes();
  ASSERT_TRUE(fixture.act(1, Action::abort).has_value());
  EXPECT_EQ(tracker.charge(id("d"), hash(1).prefix64(), pack(), 1), Charge::not_offered) << "it has ended";
}

TEST_F(StrangersTest, ADeviceThatIsNotAdmittedYetIsServedNothing) {
  auto release = manifest(1);
  release.policy.waves = {wire::Wave{.devices = {"canary"}}, wire::Wave{.share_bp = 10'000}};
  ASSERT_TRUE(fixture.take(release).has_value());
  EXPECT_EQ(fixture.tracker.charge(id("d"), hash(1).prefix64(), pack(), 1), Charge::not_offered);
}

}  // namespace
}  // namespace instar::rollout

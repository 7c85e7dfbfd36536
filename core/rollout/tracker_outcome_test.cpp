// What came of a rollout, and that it stays so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rollout/testing/tracker_fixture.hpp"

namespace instar::rollout {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class OutcomeTest : public testing::Test {
 protected:
  void fleet(std::initializer_list<const char*> names) {
    for (const auto* name : names) ASSERT_TRUE(fixture.hello(hello(name)).has_value());
  }
  [[nodiscard]] std::string_view state(std::uint64_t sequence = 1) const {
    return fixture.rollout(sequence).state_name();
  }
  [[nodiscard]] std::string_view outcome(std::uint64_t sequence = 1) const {
    return fixture.rollout(sequence).outcome();
  }
  // The history entries of the last call.
  [[nodiscard]] std::string events() const {
    std::string out;
    for (const auto& save : fixture.all<SaveEvent>()) out += decode_event_record(save.record).value().what + "\n";
    return out;
  }
  TrackerFixture fixture;
};

TEST_F(OutcomeTest, IsCompleteWhenEveryoneHasCommitted) {
  fleet({"a", "b"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  EXPECT_EQ(outcome(), "") << "it goes on";
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  EXPECT_EQ(state(), "complete");
  EXPECT_EQ(outcome(), "complete");
}

TEST_F(OutcomeTest, OneThatFailedOrRefusedIsNotPassedOver) {
  fleet({"a", "b"});
  for (const auto step : {Step::rolled_back, Step::refused, Step::failed}) {
    const auto sequence = static_cast<std::uint64_t>(step);
    ASSERT_TRUE(fixture.take(manifest(sequence)).has_value());
    ASSERT_TRUE(fixture.report_step("a", sequence, Step::committed).has_value());
    ASSERT_TRUE(fixture.report_step("b", sequence, step).has_value());
    EXPECT_EQ(state(sequence), "complete");
    EXPECT_EQ(outcome(sequence), "complete with failures") << sequence;
  }
}

TEST_F(OutcomeTest, NobodyTookWhatEverybodyRefused) {
  fleet({"a", "b"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::refused).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::rolled_back).has_value());
  EXPECT_EQ(state(), "complete");
  EXPECT_EQ(outcome(), "nobody took it");
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value()) << "what it lacked has come";
  EXPECT_EQ(outcome(), "complete with failures");
}

TEST_F(OutcomeTest, StaysWhenDevicesAreForgotten) {
  fleet({"a", "b"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  for (const auto* name : {"a", "b"}) ASSERT_TRUE(fixture.report_step(name, 1, Step::committed).has_value());
  for (const auto* name : {"a", "b"}) ASSERT_TRUE(fixture.forget(name).has_value());
  EXPECT_EQ(fixture.rollout(1).counts.devices, 0U);
  EXPECT_EQ(state(), "complete");
  EXPECT_EQ(outcome(), "complete");
  fixture.restart();
  EXPECT_EQ(state(), "complete");
}

TEST_F(OutcomeTest, StaysWhenADeviceJoinsLater) {
  fleet({"a"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  fixture.pass(10);
  fleet({"late"});
  ASSERT_TRUE(fixture.report_step("late", 1, Step::fetching).has_value());
  EXPECT_EQ(fixture.tracker.charge(id("late"), hash(1).prefix64(), pack(), 1), Charge::ok) << "it takes the release";
  fixture.save_bytes();
  EXPECT_EQ(state(), "complete");
}

TEST_F(OutcomeTest, ARetryLetsItGoOn) {
  fleet({"a", "b"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::failed).has_value());
  ASSERT_EQ(outcome(), "complete with failures");
  ASSERT_TRUE(fixture.retry(1).has_value());
  EXPECT_THAT(events(), HasSubstr("let 1 device that had failed, or refused, try again"));
  EXPECT_EQ(state(), "active") << "it has not begun yet, and will";
  fixture.now.wall = fixture.now.wall + 1'000;
  fixture.pass(5);
  EXPECT_EQ(state(), "active");
  ASSERT_TRUE(fixture.report_step("b", 1, Step::fetching, 2).has_value());
  EXPECT_EQ(state(), "active");
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed, 2).has_value());
  EXPECT_EQ(outcome(), "complete");
}

// --- superseded ----------------------------------------------------------------------------------
TEST_F(OutcomeTest, ANewerReleaseTakesOverWhatWasNotComplete) {
  fleet({"a", "away"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("away", 1, Step::fetching).has_value()) << "and is gone for ever";
  ASSERT_TRUE(fixture.take(manifest(2)).has_value());
  EXPECT_THAT(events(), HasSubstr("superseded by release r2"));
  EXPECT_EQ(state(), "superseded");
  EXPECT_EQ(outcome(), "superseded");
  EXPECT_EQ(fixture.rollout(1).superseded_by, hash(2));
  EXPECT_EQ(state(2), "active");
  EXPECT_EQ(fixture.waits(1), "");
  fixture.restart();
  EXPECT_EQ(state(), "superseded");
}

TEST_F(OutcomeTest, ThatThoseWhoHadBegunHaveEndedDoesNotMakeItComplete) {
  fleet({"a", "away"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.take(manifest(2)).has_value());
  EXPECT_EQ(fixture.rollout(1).counts.devices, 1U) << "the other is the newer one's";
  EXPECT_EQ(outcome(), "superseded");
}

TEST_F(OutcomeTest, WhatWasCompleteOrAbortedIsNotSuperseded) {
  fleet({"a"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.take(manifest(2)).has_value());
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  ASSERT_TRUE(fixture.take(manifest(3)).has_value());
  EXPECT_EQ(outcome(1), "complete");
  EXPECT_EQ(outcome(2), "aborted");
  EXPECT_EQ(outcome(3), "");
}

TEST_F(OutcomeTest, APausedOneIsSupersededToo) {
  fleet({"a"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  ASSERT_TRUE(fixture.take(manifest(2)).has_value());
  EXPECT_EQ(state(), "superseded");
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  EXPECT_EQ(state(), "paused") << "as it was";
}

TEST_F(OutcomeTest, WhenTheNewerOneIsAbortedItIsNotSupersededAnyMore) {
  fleet({"a"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto newer = manifest(2);
  newer.policy.failures_max = 1;
  newer.policy.budget_action = wire::BudgetAction::abort;
  ASSERT_TRUE(fixture.take(newer).has_value());
  ASSERT_EQ(state(), "superseded");
  ASSERT_TRUE(fixture.report_step("a", 2, Step::failed).has_value());
  ASSERT_EQ(state(2), "aborted") << "by its own error budget";
  EXPECT_EQ(state(), "active");
  EXPECT_EQ(fixture.rollout(1).superseded_by, std::nullopt);
}

TEST_F(OutcomeTest, AnotherProductOrGroupTakesNothingOver) {
  fleet({"a"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto other = manifest(2);
  other.product = "press";
  ASSERT_TRUE(fixture.take(other).has_value());
  ASSERT_TRUE(fixture.take(manifest(3, {group("plant-9")})).has_value());
  EXPECT_EQ(state(), "active");
}

// --- what operators say to what has ended --------------------------------------------------------
TEST_F(OutcomeTest, AnAbortOfWhatIsCompleteSaysSoAndChangesNothing) {
  fleet({"a"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  const auto aborted = fixture.act(1, Action::abort);
  ASSERT_FALSE(aborted.has_value());
  EXPECT_EQ(aborted.error().code, Code::refused);
  EXPECT_THAT(aborted.error().message, HasSubstr("has ended (complete)"));
  EXPECT_THAT(fixture.effects, IsEmpty());
  EXPECT_EQ(state(), "complete");
  EXPECT_TRUE(fixture.act(1, Action::resume).has_value());
  EXPECT_THAT(fixture.effects, IsEmpty());
}

TEST_F(OutcomeTest, ACompleteOneCanBeHeldBackFromWhoComesLater) {
  fleet({"a"});
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  EXPECT_EQ(fixture.all<SendGate>().size(), 1U);
  EXPECT_EQ(state(), "paused");
  ASSERT_TRUE(fixture.act(1, Action::resume).has_value());
  EXPECT_EQ(state(), "complete");
}

TEST_F(OutcomeTest, WhatIsSupersededIsNotSteeredAnyMore) {
  fleet({"a", "b"});
  auto first = manifest(1);
  first.policy.revert_allowed = true;
  ASSERT_TRUE(fixture.take(first).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::failed).has_value());
  ASSERT_TRUE(fixture.take(manifest(2)).has_value());
  for (const auto action : {Action::pause, Action::resume, Action::abort, Action::revert}) {
    const auto done = fixture.act(1, action);
    ASSERT_FALSE(done.has_value());
    EXPECT_THAT(done.error().message, HasSubstr("rollout " + hash(2).short_hex() + " has taken over"));
    EXPECT_THAT(fixture.effects, IsEmpty());
  }
  EXPECT_EQ(fixture.retry(1).error().code, Code::refused);
  EXPECT_EQ(fixture.approve(1).error().code, Code::refused);
  EXPECT_EQ(outcome(), "complete with failures");
}

TEST_F(OutcomeTest, ACompleteOneCanStillBeTakenBack) {
  fleet({"a"});
  auto release = manifest(1);
  release.policy.revert_allowed = true;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.act(1, Action::revert).has_value());
  EXPECT_EQ(outcome(), "reverted");
}

}  // namespace
}  // namespace instar::rollout

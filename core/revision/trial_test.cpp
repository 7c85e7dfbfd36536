#include "core/revision/trial.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/testing/outbox_fixture.hpp"

namespace instar::revision {
namespace {

constexpr MonotonicMs kTrialStart{1'000};
constexpr std::uint64_t kBoot = 77;

using testing::HasSubstr;

TEST(TrialTest, CountsBootsOfTheMachineAndRestartsOfTheClientApart) {
  Trial trial({});
  trial.begin(true, kBoot, kTrialStart);
  EXPECT_EQ(trial.state().starts, 1U);
  EXPECT_TRUE(trial.begin_again(kBoot, kTrialStart));
  EXPECT_EQ(trial.state().starts, 1U);
  EXPECT_EQ(trial.state().client_starts, 1U);
  EXPECT_TRUE(trial.begin_again(kBoot + 1, kTrialStart));
  EXPECT_EQ(trial.state().starts, 2U);
  EXPECT_EQ(trial.state().client_starts, 0U);
}

TEST(TrialTest, IsOverWhenTheMachineWasBootedTooOften) {
  Trial trial({});
  trial.begin(true, kBoot, kTrialStart);
  for (std::uint64_t i = 1; i < limits::kTryStartsMax; ++i) ASSERT_TRUE(trial.begin_again(kBoot + i, kTrialStart));
  EXPECT_FALSE(trial.begin_again(kBoot + 100, kTrialStart));
  EXPECT_THAT(trial.starts_reason(), HasSubstr("booted " + std::to_string(limits::kTryStartsMax) + " times"));
}

TEST(TrialTest, EachStartCountsAsABootWhenBootsAreNotKnown) {
  Trial trial({});
  trial.begin(true, 0, kTrialStart);
  EXPECT_TRUE(trial.begin_again(0, kTrialStart));
  EXPECT_EQ(trial.state().starts, 2U);
}

TEST(TrialTest, IsOverWhenTheClientWasRestartedTooOften) {
  Trial trial({});
  trial.begin(true, kBoot, kTrialStart);
  for (std::uint64_t i = 0; i < limits::kTryClientStartsMax; ++i) ASSERT_TRUE(trial.begin_again(kBoot, kTrialStart));
  EXPECT_FALSE(trial.begin_again(kBoot, kTrialStart));
}

TEST(TrialTest, AContainerThatStopsBeforeAllHaveStartedIsAVerdict) {
  Trial trial({});
  trial.begin(true, kBoot, kTrialStart);
  EXPECT_FALSE(trial.is_judging());
  trial.container_stopped(OutboxFixture::release(2), "app", "exit 1", kTrialStart);
  ASSERT_TRUE(trial.is_judging());
  const auto verdict = trial.verdict(true, kTrialStart);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_FALSE(verdict->passed);
  trial.assert_invariants(Phase::trying);
}

TEST(TrialTest, PausesBeforeAnotherSwitchBackDouble) {
  Trial trial({});
  trial.begin(true, kBoot, kTrialStart);
  trial.roll_back(Code::unhealthy, "exit 3");
  EXPECT_FALSE(trial.switch_back_failed());
  EXPECT_EQ(trial.pause_switch_back(kTrialStart), 5'000);
  EXPECT_EQ(trial.next_deadline(), kTrialStart + 5'000);
  EXPECT_FALSE(trial.is_switch_back_due(kTrialStart + 4'999));
  EXPECT_TRUE(trial.is_switch_back_due(kTrialStart + 5'000));
  EXPECT_EQ(trial.pause_switch_back(kTrialStart), 10'000);
  for (int i = 0; i < 10; ++i) trial.pause_switch_back(kTrialStart);
  EXPECT_EQ(trial.pause_switch_back(kTrialStart), 300'000);
  trial.note_switch_back();
  EXPECT_FALSE(trial.next_deadline().has_value());
  trial.assert_invariants(Phase::rolling_back);
}

TEST(TrialTest, SaysOnceThatItIsStuckAndForgetsThatWhenItIsNot) {
  Trial trial({});
  trial.begin(true, kBoot, kTrialStart);
  trial.roll_back(Code::unhealthy, "exit 3");
  const Error busy{Code::io, "busy"};
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(trial.switch_back_failed());
    EXPECT_FALSE(trial.note_stuck("r2", busy));
  }
  EXPECT_TRUE(trial.switch_back_failed()) << "the factory revision would be the way out";
  EXPECT_TRUE(trial.note_stuck("r2", busy));
  EXPECT_THAT(trial.stuck(), HasSubstr("cannot go back from release r2"));
  EXPECT_FALSE(trial.note_stuck("r2", busy));
  trial.switched_back(40);
  EXPECT_EQ(trial.stuck(), "");
}

TEST(TrialTest, TheVerdictIsKeptUntilTheSwitchBackIsDone) {
  Trial trial({});
  trial.begin(true, kBoot, kTrialStart);
  trial.roll_back(Code::unhealthy, "exit 3\n");
  EXPECT_EQ(trial.state().verdict_reason, "exit 3 ") << "as it may stand in a report";
  trial.switched_back(40);
  const auto verdict = trial.take_verdict();
  EXPECT_EQ(verdict.code, Code::unhealthy);
  EXPECT_EQ(verdict.message, "exit 3 ");
  EXPECT_EQ(trial.state().verdict_code, Code::ok);
  EXPECT_EQ(trial.state().verdict_reason, "");
  wire::Report report;
  trial.fill_times(report, kTrialStart + 700);
  EXPECT_EQ(report.downtime_ms, 40U);
  EXPECT_EQ(report.switch_ms, 700U);
}

TEST(TrialTest, GoesOnAfterARestartInTheMiddle) {
  Trial before({});
  before.begin(true, kBoot, kTrialStart);
  Trial after(before.state());
  EXPECT_FALSE(after.is_judging());
  EXPECT_TRUE(after.begin_again(kBoot, kTrialStart));
  EXPECT_TRUE(after.state().reachable_before) << "just before the switch, not now";
  after.assert_invariants(Phase::trying);
}

}  // namespace
}  // namespace instar::revision

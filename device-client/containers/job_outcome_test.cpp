#include "device-client/containers/job_outcome.hpp"

#include <gtest/gtest.h>

namespace instar::device {
namespace {

template <typename T>
T event_of(const JobOutcome& outcome, std::uint32_t downtime_ms = 0) {
  outcome.assert_invariants();
  const auto event = outcome.event(downtime_ms);
  if (event && std::holds_alternative<T>(*event)) return std::get<T>(*event);
  ADD_FAILURE() << "another event";
  return {};
}

TEST(JobOutcome, ReportsWhatWentWell) {
  EXPECT_EQ(event_of<revision::TryStarted>({JobGoal::try_new, 3}, 20).revision, 3U);
  EXPECT_EQ(event_of<revision::TryStarted>({JobGoal::try_new, 3}, 20).downtime_ms, 20U);
  EXPECT_EQ(event_of<revision::SwitchedBack>({JobGoal::back, 2}, 20).downtime_ms, 20U);
  EXPECT_FALSE(JobOutcome(JobGoal::ensure, 2).event(20)) << "what should run does";
}

TEST(JobOutcome, ATryThatWentWellSaysTheFirstRemark) {
  JobOutcome outcome(JobGoal::try_new, 3);
  outcome.remark("slow");
  outcome.remark("slow too");
  EXPECT_TRUE(outcome.is_good());
  EXPECT_EQ(event_of<revision::TryStarted>(outcome).remark, "slow");
}

TEST(JobOutcome, ATryIsGivenUpAtItsFirstFailure) {
  JobOutcome container(JobGoal::try_new, 3);
  container.container_failed("a", {Code::io, "no"});
  EXPECT_TRUE(container.is_given_up());
  EXPECT_EQ(event_of<revision::TryFailed>(container).error.message, "no");
  JobOutcome payload(JobGoal::try_new, 3);
  payload.payload_failed("boot", {Code::io, "no"});
  EXPECT_TRUE(payload.is_given_up());
}

TEST(JobOutcome, OthersGoOnAndReportTheFirstError) {
  JobOutcome back(JobGoal::back, 3);
  back.container_failed("a", {Code::io, "first"});
  back.container_failed("b", {Code::io, "second"});
  EXPECT_FALSE(back.is_given_up());
  EXPECT_FALSE(back.is_good());
  EXPECT_EQ(event_of<revision::SwitchBackFailed>(back).error.message, "first");
  back.give_up({Code::io, "third"});
  EXPECT_TRUE(back.is_given_up());
  EXPECT_EQ(event_of<revision::SwitchBackFailed>(back).error.message, "first");
}

TEST(JobOutcome, AnEnsureThatFailsNamesTheContainerOrElseThePayload) {
  JobOutcome both(JobGoal::ensure, 3);
  both.container_failed("a", {Code::io, "no"});
  both.payload_failed("boot", {Code::io, "busy"});
  EXPECT_EQ(event_of<revision::ContainerStopped>(both).container, "a");
  EXPECT_EQ(event_of<revision::ContainerStopped>(both).detail, "no");
  JobOutcome payload(JobGoal::ensure, 3);
  payload.payload_failed("boot", {Code::io, "busy"});
  EXPECT_EQ(event_of<revision::ContainerStopped>(payload).container, "boot");
}

}  // namespace
}  // namespace instar::device

#include "device-client/containers/container_switch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device-client/testing/filled.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Of container "a", which is "d.a" for LXC.
ContainerPlan plan(const std::string& container, std::uint8_t fingerprint) {
  ContainerPlan made;
  made.container = container;
  made.lxc_name = "d." + container;
  made.fingerprint = filled<Hash256>(fingerprint);
  return made;
}

ContainerState running(const std::string& name, std::uint8_t fingerprint, std::uint32_t order) {
  return {name, true, false, 7, RunRecord{1, order, name.substr(2), filled<Hash256>(fingerprint)}};
}

ContainerChange change(const std::string& name, bool ran, std::int64_t at_ms, std::int64_t took_ms) {
  return {name, std::nullopt, false, ran, 7, at_ms, took_ms, 0};
}

std::vector<std::string> starts(const ContainerSwitch& of) {
  std::vector<std::string> names;
  for (const auto& each : of.starts()) names.push_back(each.container);
  return names;
}

TEST(ContainerSwitch, StartsEverythingWhereNothingRuns) {
  ContainerSwitch change_over({plan("a", 1), plan("b", 2)});
  EXPECT_FALSE(change_over.is_done());
  change_over.assert_invariants();
  change_over.take_states({});
  change_over.assert_invariants();
  EXPECT_THAT(change_over.stops(), IsEmpty());
  EXPECT_THAT(starts(change_over), ElementsAre("a", "b"));
}

TEST(ContainerSwitch, KeepsWhatIsRightAndStopsTheRestInReverse) {
  ContainerSwitch change_over({plan("a", 1), plan("b", 2), plan("c", 3)});
  ContainerState stopped{"d.c", false, true};
  ContainerState no_record{"d.x", true, false};
  change_over.take_states({running("d.a", 1, 1), running("d.b", 9, 2), stopped, running("d.e", 5, 3), no_record});
  EXPECT_THAT(change_over.stops(), ElementsAre("d.e", "d.b", "d.x"));
  EXPECT_THAT(starts(change_over), ElementsAre("b", "c"));
  change_over.assert_invariants();
}

TEST(ContainerSwitch, NothingIsToBeDoneWhenAllIsRight) {
  ContainerSwitch change_over({plan("a", 1)});
  change_over.take_states({running("d.a", 1, 1)});
  EXPECT_TRUE(change_over.is_done());
  EXPECT_EQ(change_over.downtime_ms(), 0U);
}

TEST(ContainerSwitch, AContainerBetweenTwoStatesIsStoppedFirst) {
  ContainerSwitch change_over({plan("a", 1)});
  change_over.take_states({{"d.a", false, false}});
  EXPECT_THAT(change_over.stops(), ElementsAre("d.a"));
  EXPECT_THAT(starts(change_over), ElementsAre("a"));
}

TEST(ContainerSwitch, MeasuresFromTheFirstStopToTheLastStart) {
  ContainerSwitch change_over({plan("a", 1)});
  change_over.take_states({{"d.b", false, false}, running("d.a", 9, 1)});
  EXPECT_TRUE(change_over.take_change(change("d.a", true, 1'000, 50)).stopped);
  EXPECT_TRUE(change_over.take_change(change("d.b", false, 1'050, 20)).stopped);
  EXPECT_FALSE(change_over.take_change(change("d.other", true, 1'060, 1)).stopped) << "not asked for";
  EXPECT_EQ(change_over.take_change(change("d.a", false, 1'070, 30)).started->container, "a");
  EXPECT_EQ(change_over.downtime_ms(), 100U);
  EXPECT_TRUE(change_over.is_done());
}

TEST(ContainerSwitch, AStopThatFailsEndsIt) {
  ContainerSwitch change_over({plan("a", 1)});
  change_over.take_states({running("d.a", 9, 1)});
  const auto failure = change_over.failed({Code::io, "no"});
  EXPECT_EQ(failure.container, "");
  EXPECT_EQ(failure.error.message, with_context({Code::io, "no"}, "stopping container d.a").message);
  EXPECT_TRUE(change_over.is_done());
}

TEST(ContainerSwitch, AStartThatFailsLeavesTheOthersInOrder) {
  ContainerSwitch change_over({plan("a", 1), plan("b", 2), plan("c", 3)});
  change_over.take_states({});
  EXPECT_EQ(change_over.start_failed("d.b", {Code::io, "no"}).container, "b");
  EXPECT_THAT(starts(change_over), ElementsAre("a", "c"));
  change_over.assert_invariants();
  EXPECT_EQ(change_over.failed({Code::io, "no"}).container, "a") << "the next one";
  EXPECT_THAT(starts(change_over), ElementsAre("c"));
}

TEST(ContainerSwitch, AQuestionWithoutAnAnswerEndsIt) {
  ContainerSwitch change_over({plan("a", 1)});
  const auto failure = change_over.failed({Code::unavailable, "did not answer"});
  EXPECT_EQ(failure.container, "");
  EXPECT_EQ(failure.error.message, "did not answer");
  change_over.assert_invariants();
}

}  // namespace
}  // namespace instar::device

// What the device's own side says: consent, hold, windows in local time, metered links, a release in a file; and its
// groups, said from afar.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::Step;

class OwnerTest : public RunsR1Fixture {};

// --- the owner, the window, the link ---------------------------------------------------------------------------
TEST_F(OwnerTest, WithoutConsentNothingStarts) {
  auto two = rig.release(2);
  two.policy.consent = true;
  rig.publish(two);
  rig.run(20'000);
  ASSERT_EQ(rig.applied.size(), 1U);
  EXPECT_EQ(rig.applied[0].step, Step::waiting);
  EXPECT_THAT(last_reason(), HasSubstr("waits for the consent of the device's owner (instar-device allow r2)"));
  rig.give(OwnerInstruction{false, false, "r3"});
  rig.run(5'000);
  EXPECT_EQ(rig.running_release(), "r1");
  rig.give(OwnerInstruction{false, false, "r2"});
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(OwnerTest, AHoldStopsAFetchAndASwitch) {
  rig.serves = false;
  rig.publish(rig.release(2));
  rig.settle();
  rig.give(OwnerInstruction{true, false, ""});
  rig.serves = true;
  rig.run(30'000);
  EXPECT_EQ(rig.phase(), "fetching");
  EXPECT_EQ(last_reason(), "held by the device's owner");
  EXPECT_EQ(rig.applied.back().step, Step::waiting);
  rig.give(OwnerInstruction{});
  rig.run(1'000);
  EXPECT_EQ(rig.running_release() == "r2" || rig.applied.back().step != Step::waiting, true)
      << "and says that it goes on";
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(OwnerTest, OnlyInsideItsWindow) {
  // The rig's clock starts on a Tuesday, 22:13:20 UTC.
  auto two = rig.release(2);
  two.policy.windows = {{2 /* Tuesday */, 23 * 60, 60}};
  rig.give(LocalTime{0});
  rig.publish(two);
  rig.run(10'000);
  EXPECT_EQ(last_reason(), "waits for its maintenance window");
  const auto deadline = rig.machine->next_deadline();
  ASSERT_TRUE(deadline.has_value());
  EXPECT_NEAR(static_cast<double>(*deadline - rig.monotonic), (46 * 60 + 20) * 1'000.0, 20'000.0)
      << "it wakes when the window opens";
  rig.pass(*deadline - rig.monotonic);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(OwnerTest, LocalTimeDecides) {
  auto two = rig.release(2);
  two.policy.windows = {{2, 23 * 60, 60}};
  rig.publish(two);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
  rig.give(LocalTime{3'600});
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(OwnerTest, DownloadMayGoAheadOfTheWindow) {
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

TEST_F(OwnerTest, AMeteredLinkWaits) {
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
TEST_F(OwnerTest, WhatTheOwnerBringsNeedsNoGateTurnConsentOrBudget) {
  auto two = rig.release(2);
  two.policy.in_flight_max = 1;
  two.policy.consent = true;
  two.policy.device_bytes_max = 10;
  offer(two);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1") << "there is no gate";
  rig.give(OwnerInstruction{false, false, "", MachineFixture::rollout_of(two)});
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_EQ(rig.applied.back().step, Step::committed);
}

TEST_F(OwnerTest, WhatTheOwnerBringsAndFailsIsTriedOnceAWord) {
  auto two = rig.release(2);
  rig.bad_releases = {"r2"};
  offer(two);
  rig.give(OwnerInstruction{false, false, "", MachineFixture::rollout_of(two)});
  rig.run(120'000);
  EXPECT_EQ(rig.running_release(), "r1");
  const auto rolled_back = [&] {
    return std::ranges::count_if(rig.applied, [](const auto& report) { return report.step == Step::rolled_back; });
  };
  EXPECT_EQ(rolled_back(), 1);
  rig.power_cut();
  rig.give(OwnerInstruction{false, false, "", MachineFixture::rollout_of(two)});
  rig.run(120'000);
  EXPECT_EQ(rolled_back(), 2) << "said again, it is tried again";
}

// --- groups said from afar ----------------------------------------------------------------------------------------
class AssignmentTest : public OwnerTest {
 protected:
  [[nodiscard]] Bytes assignment(std::vector<GroupPath> groups, std::int64_t issued,
                                 const trust::SecretKey& key) const {
    return trust::seal(trust::Kind::assignment,
                       wire::encode(wire::Assignment{rig.facts.device, std::move(groups), WallMs{issued}}), key);
  }
  void assign(Bytes message) {
    rig.put(rig.topics.device(rig.facts.device, wire::TopicKind::device_assignment), std::move(message));
  }
};

TEST_F(AssignmentTest, AreObeyedAndKept) {
  assign(assignment({group_of("lab")}, 1'000, rig.release_key));
  rig.run(1'000);
  EXPECT_EQ(rig.hellos.back().groups, std::vector{group_of("lab")});
  auto two = rig.release(2);
  rig.publish(two);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1") << "plant-7 is not its group any more";
  rig.power_cut();
  EXPECT_EQ(rig.hellos.back().groups, std::vector{group_of("lab")});
  auto three = rig.release(3);
  three.groups = {group_of("lab")};
  rig.publish(three);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r3");
  assign(assignment({}, 2'000, rig.release_key));
  EXPECT_EQ(rig.hellos.back().groups, rig.facts.groups) << "its own configuration counts again";
}

TEST_F(AssignmentTest, OldOnesForgedOnesAndThoseOfOthersAreNotTaken) {
  const auto hellos = rig.hellos.size();
  assign(assignment({group_of("lab")}, 1'000, rig.gate_key));
  EXPECT_TRUE(rig.logged("an assignment of groups is not taken"));
  assign(trust::seal(trust::Kind::assignment,
                     wire::encode(wire::Assignment{*DeviceId::parse("pump-18"), {group_of("lab")}, WallMs{5}}),
                     rig.release_key));
  EXPECT_TRUE(rig.logged("it is of device pump-18"));
  EXPECT_EQ(rig.hellos.size(), hellos);
  assign(assignment({group_of("lab")}, 2'000, rig.release_key));
  assign(assignment({group_of("plant-9")}, 1'999, rig.release_key));
  EXPECT_TRUE(rig.logged("older than the one that is obeyed"));
  EXPECT_EQ(rig.hellos.back().groups, std::vector{group_of("lab")});
}

}  // namespace
}  // namespace instar::revision

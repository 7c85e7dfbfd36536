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
  auto two = fixture.release(2);
  two.policy.consent = true;
  fixture.publish(two);
  fixture.run(20'000);
  ASSERT_EQ(fixture.applied.size(), 1U);
  EXPECT_EQ(fixture.applied[0].step, Step::waiting);
  EXPECT_THAT(last_reason(), HasSubstr("waits for the consent of the device's owner (instar-device allow r2)"));
  fixture.give(OwnerInstruction{false, false, "r3"});
  fixture.run(5'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  fixture.give(OwnerInstruction{false, false, "r2"});
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(OwnerTest, AHoldStopsAFetchAndASwitch) {
  fixture.serves = false;
  fixture.publish(fixture.release(2));
  fixture.settle();
  fixture.give(OwnerInstruction{true, false, ""});
  fixture.serves = true;
  fixture.run(30'000);
  EXPECT_EQ(fixture.phase(), "fetching");
  EXPECT_EQ(last_reason(), "held by the device's owner");
  EXPECT_EQ(fixture.applied.back().step, Step::waiting);
  fixture.give(OwnerInstruction{});
  fixture.run(1'000);
  EXPECT_EQ(fixture.running_release() == "r2" || fixture.applied.back().step != Step::waiting, true)
      << "and says that it goes on";
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// The cap is for links; a file has none.
TEST_F(OwnerTest, TheRateSlowsWhatTheLinkBrings) {
  auto two = fixture.release(2);
  two.policy.rate_bytes_per_s_max = 1;
  fixture.publish(two);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.phase(), "fetching");
}

TEST_F(OwnerTest, TheRateDoesNotSlowWhatTheOwnerBrings) {
  auto two = fixture.release(2);
  two.policy.rate_bytes_per_s_max = 1;
  OwnerInstruction instruction;
  instruction.install = MachineFixture::rollout_of(two);
  fixture.give(instruction);
  fixture.publish(two);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(OwnerTest, OnlyInsideItsWindow) {
  // The fixture's clock starts on a Tuesday, 22:13:20 UTC.
  auto two = fixture.release(2);
  two.policy.windows = {{2 /* Tuesday */, 23 * 60, 60}};
  fixture.give(LocalTime{0});
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_THAT(last_reason(), HasSubstr("waits for its maintenance window; it is Tue 22:"));
  const auto deadline = fixture.machine->next_deadline();
  ASSERT_TRUE(deadline.has_value());
  EXPECT_NEAR(static_cast<double>(*deadline - fixture.monotonic), (46 * 60 + 20) * 1'000.0, 20'000.0)
      << "it wakes when the window opens";
  fixture.pass(*deadline - fixture.monotonic);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(OwnerTest, LocalTimeDecides) {
  auto two = fixture.release(2);
  two.policy.windows = {{2, 23 * 60, 60}};
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  fixture.give(LocalTime{3'600});
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(OwnerTest, DownloadMayGoAheadOfTheWindow) {
  auto two = fixture.release(2);
  two.policy.windows = {{2, 23 * 60, 60}};
  two.policy.download_any_time = true;
  fixture.give(LocalTime{0});
  fixture.publish(two);
  fixture.run(20'000);
  EXPECT_EQ(fixture.phase(), "staging");
  EXPECT_THAT(last_reason(), HasSubstr("waits for its maintenance window; it is Tue 22:"));
  fixture.pass(47 * 60'000);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(OwnerTest, AMeteredLinkWaits) {
  fixture.facts.description.metered = true;
  fixture.power_cut();
  auto two = fixture.release(2);
  two.policy.unmetered_only = true;
  fixture.publish(two);
  fixture.run(20'000);
  EXPECT_EQ(last_reason(), "waits for a link that is not metered");
  fixture.facts.description.metered = false;
  fixture.power_cut();
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- what the owner brings --------------------------------------------------------------------------------------
TEST_F(OwnerTest, WhatTheOwnerBringsNeedsNoGateTurnConsentOrBudget) {
  auto two = fixture.release(2);
  two.policy.in_flight_max = 1;
  two.policy.consent = true;
  two.policy.device_bytes_max = 10;
  offer(two);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1") << "there is no gate";
  fixture.give(OwnerInstruction{false, false, "", MachineFixture::rollout_of(two)});
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_EQ(fixture.applied.back().step, Step::committed);
}

TEST_F(OwnerTest, WhatTheOwnerBringsAndFailsIsTriedOnceAWord) {
  auto two = fixture.release(2);
  fixture.bad_releases = {"r2"};
  offer(two);
  fixture.give(OwnerInstruction{false, false, "", MachineFixture::rollout_of(two)});
  fixture.run(120'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  const auto rolled_back = [&] {
    return std::ranges::count_if(fixture.applied, [](const auto& report) { return report.step == Step::rolled_back; });
  };
  EXPECT_EQ(rolled_back(), 1);
  fixture.power_cut();
  fixture.give(OwnerInstruction{false, false, "", MachineFixture::rollout_of(two)});
  fixture.run(120'000);
  EXPECT_EQ(rolled_back(), 2) << "said again, it is tried again";
}

// --- groups said from afar ----------------------------------------------------------------------------------------
class AssignmentTest : public OwnerTest {
 protected:
  [[nodiscard]] Bytes assignment(std::vector<GroupPath> groups, std::int64_t issued,
                                 const trust::SecretKey& key) const {
    return trust::seal(trust::Kind::assignment,
                       wire::encode(wire::Assignment{fixture.facts.device, std::move(groups), WallMs{issued}}), key);
  }
  void assign(Bytes message) {
    fixture.put(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_assignment), std::move(message));
  }
};

TEST_F(AssignmentTest, AreObeyedAndKept) {
  assign(assignment({group_of("lab")}, 1'000, fixture.release_key));
  fixture.run(1'000);
  EXPECT_EQ(fixture.hellos.back().description.groups, std::vector{group_of("lab")});
  auto two = fixture.release(2);
  fixture.publish(two);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1") << "plant-7 is not its group any more";
  fixture.power_cut();
  EXPECT_EQ(fixture.hellos.back().description.groups, std::vector{group_of("lab")});
  auto three = fixture.release(3);
  three.groups = {group_of("lab")};
  fixture.publish(three);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r3");
  assign(assignment({}, 2'000, fixture.release_key));
  EXPECT_EQ(fixture.hellos.back().description.groups, fixture.facts.description.groups)
      << "its own configuration counts again";
}

TEST_F(AssignmentTest, OldOnesForgedOnesAndThoseOfOthersAreNotTaken) {
  const auto hellos = fixture.hellos.size();
  assign(assignment({group_of("lab")}, 1'000, fixture.gate_key));
  EXPECT_TRUE(fixture.logged("an assignment of groups is not taken"));
  assign(trust::seal(trust::Kind::assignment,
                     wire::encode(wire::Assignment{*DeviceId::parse("pump-18"), {group_of("lab")}, WallMs{5}}),
                     fixture.release_key));
  EXPECT_TRUE(fixture.logged("it is of device pump-18"));
  EXPECT_EQ(fixture.hellos.size(), hellos);
  assign(assignment({group_of("lab")}, 2'000, fixture.release_key));
  assign(assignment({group_of("plant-9")}, 1'999, fixture.release_key));
  EXPECT_TRUE(fixture.logged("older than the one that is obeyed"));
  EXPECT_EQ(fixture.hellos.back().description.groups, std::vector{group_of("lab")});
}

}  // namespace
}  // namespace instar::revision

// What a device waits for, when that comes to nothing; and what it catches up on once it may.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::Step;

class WaitsTest : public RunsR1Fixture {
 protected:
  // A release that is admitted and has to ask for its turn.
  [[nodiscard]] wire::Manifest paced(std::uint64_t sequence) {
    auto manifest = rig.release(sequence);
    manifest.policy.in_flight_max = 1;
    return manifest;
  }
  [[nodiscard]] const wire::Report& last() const { return rig.applied.back(); }
  void expect_given_up(Code code, std::string_view reason) {
    ASSERT_EQ(rig.applied.size(), 2U) << "that it asks, and that it does not any more";
    EXPECT_EQ(last().attempt, 1U);
    EXPECT_EQ(last().code, code);
    EXPECT_THAT(last().reason, HasSubstr(reason));
    EXPECT_EQ(rig.view().waits, "");
    rig.disconnect();
    rig.connect();
    EXPECT_FALSE(rig.hellos.back().asks_start);
  }
};

TEST_F(WaitsTest, AReleaseThatExpiresMeanwhileIsNotAskedForAnyMore) {
  auto two = paced(2);
  two.expires = rig.wall + 30'000;
  rig.publish(two);
  rig.run(60'000);
  EXPECT_EQ(last().step, Step::failed);
  expect_given_up(Code::expired, "the release expired before it began");
  turn(two, 1);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1") << "a turn that comes too late";
}

TEST_F(WaitsTest, AReleaseThatIsWithdrawnIsNotAskedForAnyMore) {
  const auto two = paced(2);
  rig.publish(two);
  rig.run(5'000);
  rig.put(rig.topics.manifest(two.groups.front()), {});
  rig.run(5'000);
  EXPECT_EQ(last().step, Step::failed);
  expect_given_up(Code::stale, "the release was withdrawn before it began");
}

TEST_F(WaitsTest, ADeadlineThatPassesMeanwhileRefuses) {
  auto two = paced(2);
  two.policy.deadline = rig.wall + 30'000;
  rig.publish(two);
  rig.run(60'000);
  EXPECT_EQ(last().step, Step::refused);
  expect_given_up(Code::expired, "the release was to start before");
  turn(two, 1);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

TEST_F(WaitsTest, AWithdrawalElsewhereRightAfterARestartChangesNothing) {
  rig.facts.groups = {group_of("plant-7/line-a"), group_of("lab")};
  rig.power_cut();
  const auto two = paced(2);
  rig.publish(two);
  rig.run(5'000);
  ASSERT_TRUE(last().asks_start);
  const auto told = rig.applied.size();
  const auto message = std::exchange(rig.retained[rig.topics.manifest(two.groups.front())], {});
  rig.power_cut();
  rig.receive(rig.topics.manifest(group_of("lab")), {});
  rig.put(rig.topics.manifest(two.groups.front()), message);
  rig.run(5'000);
  EXPECT_EQ(rig.applied.size(), told);
  turn(two, 1);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(WaitsTest, SaysOnTheDeviceThatItsRolloutIsPausedAndWhenItGoesOn) {
  rig.serves = false;
  const auto two = rig.release(2);
  rig.publish(two);
  rig.settle();
  EXPECT_EQ(rig.view().waits, "");
  const auto told = rig.applied.size();
  gate(two, 2, wire::GateState::paused);
  rig.run(1'000);
  EXPECT_EQ(rig.view().waits, "waits while its rollout is paused");
  EXPECT_EQ(rig.applied.size(), told) << "the operator knows";
  gate(two, 3, wire::GateState::open);
  rig.run(1'000);
  EXPECT_EQ(rig.view().waits, "");
}

TEST_F(WaitsTest, AWindowThatClosesPausesTheFetchAndTheNextOneGoesOn) {
  // The rig's clock starts on a Tuesday, 22:13:20 UTC.
  auto two = rig.release(2);
  two.policy.windows = {{2, 22 * 60, 15}, {4 /* Wednesday */, 3 * 60, 60}};
  rig.give(LocalTime{0});
  rig.serves = false;
  rig.publish(two);
  rig.settle();
  ASSERT_EQ(rig.phase(), "fetching");
  rig.run(120'000);
  EXPECT_EQ(last().reason, "waits for its maintenance window");
  rig.serves = true;
  const auto asked = rig.fetches.size();
  rig.run(60'000);
  EXPECT_EQ(rig.fetches.size(), asked);
  rig.power_cut();
  rig.give(LocalTime{0});
  rig.run(1'000);
  const auto deadline = rig.machine->next_deadline();
  ASSERT_TRUE(deadline.has_value());
  rig.pass(std::int64_t{5} * 3'600 * 1'000);
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(WaitsTest, TheByteBudgetAsTheBrokerCountsItEndsTheReleaseForGood) {
  rig.serves = false;
  auto two = rig.release(2);
  two.policy.attempts_max = 3;
  two.policy.backoff_s = 1;
  two.policy.device_bytes_max = 200'000;
  rig.publish(two);
  rig.settle();
  ASSERT_FALSE(rig.fetches.empty());
  const auto asked = rig.fetches.size();
  wire::ChunkPiece fault{rig.fetches.back().session, 0, 0, {}, wire::ChunkFault::over_budget};
  rig.receive(rig.topics.device(rig.facts.device, wire::TopicKind::device_chunk), wire::encode(fault));
  rig.run(30'000);
  EXPECT_EQ(rig.phase(), "idle");
  EXPECT_EQ(last().code, Code::refused);
  EXPECT_FALSE(last().again);
  EXPECT_THAT(last().reason, HasSubstr("the byte budget is spent"));
  EXPECT_EQ(rig.fetches.size(), asked);
}

TEST_F(WaitsTest, WhatRunsIsTakenBackOnceTheReleaseUnderWayHasEnded) {
  auto two = rig.release(2);
  two.policy.revert_allowed = true;
  rig.publish(two);
  rig.run(20'000);
  ASSERT_EQ(rig.running_release(), "r2");
  rig.serves = false;
  auto three = rig.release(3);
  three.groups = {group_of("plant-7")};
  rig.publish(three);
  rig.settle();
  ASSERT_EQ(rig.phase(), "fetching");
  gate(two, 2, wire::GateState::reverted);
  rig.run(5'000);
  EXPECT_EQ(rig.running_release(), "r2") << "one thing after the other";
  gate(three, 2, wire::GateState::aborted);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(last().step, Step::rolled_back);
  EXPECT_EQ(last().rollout, MachineFixture::rollout_of(two));
  EXPECT_EQ(last().reason, "taken back by its rollout");
}

TEST_F(WaitsTest, WhatIsOnTrialIsTakenBackOnceItIsCommitted) {
  auto two = rig.release(2);
  two.policy.revert_allowed = true;
  rig.publish(two);
  rig.run(1'000);
  ASSERT_EQ(rig.phase(), "trying");
  gate(two, 2, wire::GateState::reverted);
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.running, rig.view().current_revision);
  EXPECT_EQ(last().step, Step::rolled_back);
}

// --- groups said from afar ------------------------------------------------------------------------------------------
class AssignmentRootTest : public WaitsTest {
 protected:
  [[nodiscard]] Bytes assignment(std::vector<GroupPath> groups, std::int64_t issued,
                                 const trust::SecretKey& key) const {
    return trust::seal(trust::Kind::assignment,
                       wire::encode(wire::Assignment{rig.facts.device, std::move(groups), WallMs{issued}}), key);
  }
  void assign(Bytes message) {
    rig.put(rig.topics.device(rig.facts.device, wire::TopicKind::device_assignment), std::move(message));
  }
  // A root document that names one more release key.
  void add_release_key(const trust::SecretKey& key, std::string filter) {
    auto next = rig.root;
    next.version = 2;
    next.keys.push_back({key.public_key(), std::move(filter), ""});
    next.roles[1].key_ids.push_back(key.public_key().id());
    next.previous = trust::digest(trust::encode_root(rig.root));
    rig.put(rig.topics.root(), trust::seal(trust::Kind::root, trust::encode_root(next), rig.root_key));
  }
};

TEST_F(AssignmentRootTest, ByAKeyThatComesWithTheNextRootDocumentIsTakenThen) {
  const auto key = key_of(9);
  assign(assignment({group_of("lab")}, 1'000, key));
  EXPECT_EQ(rig.hellos.back().groups, rig.facts.groups);
  add_release_key(key, "");
  EXPECT_EQ(rig.hellos.back().groups, std::vector{group_of("lab")});
}

TEST_F(AssignmentRootTest, AKeyOfOtherGroupsMovesNoDeviceOutOfItsReach) {
  const auto key = key_of(9);
  add_release_key(key, "lab/#");
  assign(assignment({group_of("plant-9")}, 1'000, key));
  EXPECT_TRUE(rig.logged("group plant-9"));
  EXPECT_EQ(rig.hellos.back().groups, rig.facts.groups);
  assign(assignment({group_of("lab/bench")}, 2'000, key));
  EXPECT_EQ(rig.hellos.back().groups, std::vector{group_of("lab/bench")});
  assign(assignment({}, 3'000, key));
  EXPECT_EQ(rig.hellos.back().groups, std::vector{group_of("lab/bench")}) << "its own configuration is plant-7";
  assign(assignment({}, 3'000, rig.release_key));
  EXPECT_EQ(rig.hellos.back().groups, rig.facts.groups);
}

}  // namespace
}  // namespace instar::revision

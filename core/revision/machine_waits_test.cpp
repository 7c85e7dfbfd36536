// What a device waits for, when that comes to nothing; and what it catches up on once it may.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::Step;

class WaitsTest : public RunsR1Fixture {
 protected:
  // A release that is admitted and has to ask for its turn.
  [[nodiscard]] wire::Manifest paced(std::uint64_t sequence) {
    auto manifest = fixture.release(sequence);
    manifest.policy.in_flight_max = 1;
    return manifest;
  }
  [[nodiscard]] const wire::Report& last() const { return fixture.applied.back(); }
  void expect_given_up(Code code, std::string_view reason) {
    ASSERT_EQ(fixture.applied.size(), 2U) << "that it asks, and that it does not any more";
    EXPECT_EQ(last().attempt, 1U);
    EXPECT_EQ(last().code, code);
    EXPECT_THAT(last().reason, HasSubstr(reason));
    EXPECT_EQ(fixture.view().waits, "");
    fixture.disconnect();
    fixture.connect();
    EXPECT_FALSE(fixture.hellos.back().asks_start);
  }
};

TEST_F(WaitsTest, AReleaseThatExpiresMeanwhileIsNotAskedForAnyMore) {
  auto two = paced(2);
  two.expires = fixture.wall + 30'000;
  fixture.publish(two);
  fixture.run(60'000);
  EXPECT_EQ(last().step, Step::failed);
  expect_given_up(Code::expired, "(not synchronized): given up before it began");
  turn(two, 1);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1") << "a turn that comes too late";
}

TEST_F(WaitsTest, AReleaseThatIsWithdrawnIsNotAskedForAnyMore) {
  const auto two = paced(2);
  fixture.publish(two);
  fixture.run(5'000);
  fixture.put(fixture.topics.manifest(two.groups.front(), two.product), {});
  fixture.run(5'000);
  EXPECT_EQ(last().step, Step::failed);
  expect_given_up(Code::stale, "the release was withdrawn before it began");
}

TEST_F(WaitsTest, ADeadlineThatPassesMeanwhileEndsTheWait) {
  auto two = paced(2);
  two.policy.deadline = fixture.wall + 30'000;
  fixture.publish(two);
  fixture.run(60'000);
  EXPECT_EQ(last().step, Step::failed);
  expect_given_up(Code::expired, "was to start before");
  turn(two, 1);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST_F(WaitsTest, AWithdrawalElsewhereRightAfterARestartChangesNothing) {
  fixture.facts.description.groups = {group_of("plant-7/line-a"), group_of("lab")};
  fixture.power_cut();
  const auto two = paced(2);
  fixture.publish(two);
  fixture.run(5'000);
  ASSERT_TRUE(last().asks_start);
  const auto reported_before = fixture.applied.size();
  const auto message = std::exchange(fixture.retained[fixture.topics.manifest(two.groups.front(), two.product)], {});
  fixture.power_cut();
  fixture.receive(fixture.topics.manifest(group_of("lab"), "pump"), {});
  fixture.put(fixture.topics.manifest(two.groups.front(), two.product), message);
  fixture.run(5'000);
  EXPECT_EQ(fixture.applied.size(), reported_before);
  turn(two, 1);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(WaitsTest, SaysOnTheDeviceThatItsRolloutIsPausedAndWhenItGoesOn) {
  fixture.serves = false;
  const auto two = fixture.release(2);
  fixture.publish(two);
  fixture.settle();
  EXPECT_EQ(fixture.view().waits, "");
  const auto reported_before = fixture.applied.size();
  gate(two, 2, wire::GateState::paused);
  fixture.run(1'000);
  EXPECT_EQ(fixture.view().waits, "waits while its rollout is paused");
  EXPECT_EQ(fixture.applied.size(), reported_before) << "the operator knows";
  gate(two, 3, wire::GateState::open);
  fixture.run(1'000);
  EXPECT_EQ(fixture.view().waits, "");
}

TEST_F(WaitsTest, AWindowThatClosesPausesTheFetchAndTheNextOneGoesOn) {
  // The fixture's clock starts on a Tuesday, 22:13:20 UTC.
  auto two = fixture.release(2);
  two.policy.windows = {{2, 22 * 60, 15}, {4 /* Wednesday */, 3 * 60, 60}};
  fixture.give(LocalTime{0});
  fixture.serves = false;
  fixture.publish(two);
  fixture.settle();
  ASSERT_EQ(fixture.phase(), "fetching");
  fixture.run(120'000);
  EXPECT_THAT(last().reason, HasSubstr("waits for its maintenance window"));
  fixture.serves = true;
  const auto asked = fixture.fetches.size();
  fixture.run(60'000);
  EXPECT_EQ(fixture.fetches.size(), asked);
  fixture.power_cut();
  fixture.give(LocalTime{0});
  fixture.run(1'000);
  const auto deadline = fixture.machine->next_deadline();
  ASSERT_TRUE(deadline.has_value());
  fixture.pass(std::int64_t{5} * 3'600 * 1'000);
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(WaitsTest, TheByteBudgetAsTheBrokerCountsItEndsTheReleaseForGood) {
  fixture.serves = false;
  auto two = fixture.release(2);
  two.policy.attempts_max = 3;
  two.policy.backoff_s = 1;
  two.policy.device_bytes_max = 200'000;
  fixture.publish(two);
  fixture.settle();
  ASSERT_FALSE(fixture.fetches.empty());
  const auto asked = fixture.fetches.size();
  wire::ChunkPiece fault{fixture.fetches.back().session, 0, 0, {}, wire::ChunkFault::over_budget};
  fixture.receive(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_chunk), wire::encode(fault));
  fixture.run(30'000);
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_EQ(last().code, Code::refused);
  EXPECT_FALSE(last().again);
  EXPECT_THAT(last().reason, HasSubstr("the byte budget is spent"));
  EXPECT_EQ(fixture.fetches.size(), asked);
}

TEST_F(WaitsTest, WhatRunsIsTakenBackOnceTheReleaseUnderWayHasEnded) {
  auto two = fixture.release(2);
  two.policy.revert_allowed = true;
  fixture.publish(two);
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r2");
  fixture.serves = false;
  auto three = fixture.release(3);
  three.groups = {group_of("plant-7")};
  fixture.publish(three);
  fixture.settle();
  ASSERT_EQ(fixture.phase(), "fetching");
  gate(two, 2, wire::GateState::reverted);
  fixture.run(5'000);
  EXPECT_EQ(fixture.running_release(), "r2") << "one thing after the other";
  gate(three, 2, wire::GateState::aborted);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(last().step, Step::rolled_back);
  EXPECT_EQ(last().rollout, MachineFixture::rollout_of(two));
  EXPECT_EQ(last().reason, "taken back by its rollout");
}

TEST_F(WaitsTest, WhatIsOnTrialIsTakenBackOnceItIsCommitted) {
  auto two = fixture.release(2);
  two.policy.revert_allowed = true;
  fixture.publish(two);
  fixture.run(1'000);
  ASSERT_EQ(fixture.phase(), "trying");
  gate(two, 2, wire::GateState::reverted);
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.running, fixture.view().current_revision);
  EXPECT_EQ(last().step, Step::rolled_back);
}

// --- groups said from afar ------------------------------------------------------------------------------------------
class AssignmentRootTest : public WaitsTest {
 protected:
  [[nodiscard]] Bytes assignment(std::vector<GroupPath> groups, std::int64_t issued,
                                 const trust::SecretKey& key) const {
    return trust::seal(trust::Kind::assignment,
                       wire::encode(wire::Assignment{fixture.facts.device, std::move(groups), WallMs{issued}}), key);
  }
  void assign(Bytes message) {
    fixture.put(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_assignment), std::move(message));
  }
  // A root document that names one more release key.
  void add_release_key(const trust::SecretKey& key, std::string filter) {
    auto next = fixture.root;
    next.version = 2;
    next.keys.push_back({key.public_key(), std::move(filter), ""});
    next.roles[1].key_ids.push_back(key.public_key().id());
    next.previous = trust::digest(trust::encode_root(fixture.root));
    fixture.put(fixture.topics.root(), trust::seal(trust::Kind::root, trust::encode_root(next), fixture.root_key));
  }
};

TEST_F(AssignmentRootTest, ByAKeyThatComesWithTheNextRootDocumentIsTakenThen) {
  const auto key = key_of(9);
  assign(assignment({group_of("lab")}, 1'000, key));
  EXPECT_EQ(fixture.hellos.back().description.groups, fixture.facts.description.groups);
  add_release_key(key, "");
  EXPECT_EQ(fixture.hellos.back().description.groups, std::vector{group_of("lab")});
}

TEST_F(AssignmentRootTest, AKeyMovesDevicesWithinItsGroupsAlone) {
  const auto key = key_of(9);
  add_release_key(key, "lab/#");
  const auto groups = [&] { return fixture.hellos.back().description.groups; };
  assign(assignment({group_of("lab/bench")}, 1'000, key));
  EXPECT_TRUE(fixture.logged("this device would leave group"));
  EXPECT_EQ(groups(), fixture.facts.description.groups);
  assign(assignment({group_of("lab")}, 2'000, fixture.release_key));
  ASSERT_EQ(groups(), std::vector{group_of("lab")});
  assign(assignment({group_of("plant-9")}, 3'000, key));
  EXPECT_TRUE(fixture.logged("this device would get group plant-9"));
  EXPECT_EQ(groups(), std::vector{group_of("lab")});
  assign(assignment({group_of("lab/bench")}, 4'000, key));
  EXPECT_EQ(groups(), std::vector{group_of("lab/bench")}) << "from lab to lab";
  assign(assignment({}, 5'000, key));
  EXPECT_EQ(groups(), std::vector{group_of("lab/bench")}) << "its own configuration is plant-7";
  assign(assignment({}, 5'000, fixture.release_key));
  EXPECT_EQ(groups(), fixture.facts.description.groups);
}

TEST_F(WaitsTest, ABrokerThatHasNoRoomHearsTheHelloAgainAfterAPause) {
  const auto before = fixture.hellos.size();
  fixture.ack(0, Code::unavailable);
  fixture.run(limits::kReportResendMsMin - 1'000);
  EXPECT_EQ(fixture.hellos.size(), before) << "not at once: everybody else is told the same";
  fixture.run(limits::kReportResendMsMin);
  EXPECT_EQ(fixture.hellos.size(), before + 1);
  fixture.run(4 * limits::kReportResendMsMin);
  EXPECT_EQ(fixture.hellos.size(), before + 1) << "once for each time it was told";
  fixture.ack(0, Code::unavailable);
  fixture.run(2 * limits::kReportResendMsMin - 1'000);
  EXPECT_EQ(fixture.hellos.size(), before + 1) << "the pause grows";
  fixture.run(2 * limits::kReportResendMsMin);
  EXPECT_EQ(fixture.hellos.size(), before + 2);
}

TEST_F(WaitsTest, AConnectionThatIsGoneTakesTheHelloThatWasDueWithIt) {
  fixture.ack(0, Code::unavailable);
  fixture.run(1'000);
  fixture.disconnect();
  fixture.connect();
  const auto before = fixture.hellos.size();
  fixture.run(2 * limits::kReportResendMsMin);
  EXPECT_EQ(fixture.hellos.size(), before) << "the new connection began with one";
}

}  // namespace
}  // namespace instar::revision

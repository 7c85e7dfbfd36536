#include "core/revision/permission.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/testing/outbox_fixture.hpp"
#include "core/wire/placement.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using Stage = Permission::Stage;

class PermissionPartTest : public testing::Test {
 protected:
  [[nodiscard]] WallMs clock() const { return box.out.now().wall; }
  [[nodiscard]] std::string blocker(Stage stage) { return permission.blocker(manifest, hash(), stage, clock()).text(); }
  [[nodiscard]] bool may_start(std::uint32_t attempt = 1, const Blocker& times = {}) {
    const auto pace = wire::goes_by_turns(manifest.policy, 0) ? Permission::Pace::by_turns : Permission::Pace::free;
    return permission.may_start(manifest, hash(), attempt, pace, times, box.out);
  }
  [[nodiscard]] ManifestId hash() const { return OutboxFixture::hash_of(manifest); }
  [[nodiscard]] wire::Ack turn(std::uint32_t attempt) const {
    wire::Ack ack;
    ack.sequence = box.out.reports().last_report;
    ack.start_rollout = hash().prefix64();
    ack.start_attempt = attempt;
    return ack;
  }

  OutboxFixture box;
  wire::Manifest manifest = OutboxFixture::release(2);
  Permission permission{{}, false, 0};
};

TEST_F(PermissionPartTest, AHoldStopsEverythingAlsoWhatTheOwnerBrings) {
  EXPECT_EQ(blocker(Stage::start), "");
  OwnerInstruction owner;
  owner.hold = true;
  owner.install = hash();
  permission.obey(owner);
  for (const auto stage : {Stage::start, Stage::fetch, Stage::change})
    EXPECT_EQ(blocker(stage), "held by the device's owner");
}

TEST_F(PermissionPartTest, ConsentIsGivenByNameByHashOrToAll) {
  manifest.policy.consent = true;
  EXPECT_THAT(blocker(Stage::start), HasSubstr("instar-device allow r2"));
  for (const auto& owner :
       {OwnerInstruction{false, true, "", {}}, OwnerInstruction{false, false, "r2", {}},
        OwnerInstruction{false, false, hash().short_hex(), {}}, OwnerInstruction{false, false, "", hash()}}) {
    permission.obey(owner);
    EXPECT_EQ(blocker(Stage::start), "");
  }
  permission.obey({false, false, "r3", {}});
  EXPECT_NE(blocker(Stage::start), "");
}

TEST_F(PermissionPartTest, AMeteredLinkIsInTheWayOfTheDownloadOnly) {
  Permission metered({}, true, 0);
  manifest.policy.unmetered_only = true;
  EXPECT_EQ(metered.blocker(manifest, hash(), Stage::fetch, clock()).text(), "waits for a link that is not metered");
  EXPECT_EQ(metered.blocker(manifest, hash(), Stage::change, clock()).text(), "");
}

TEST_F(PermissionPartTest, AWindowMayLetTheDownloadGoOn) {
  // 2023-11-14 22:13 UTC, a Tuesday: day 1.
  manifest.policy.windows = {wire::MaintenanceWindow{.days = 2, .start_minute = 0, .duration_minutes = 60}};
  EXPECT_EQ(blocker(Stage::fetch),
            "waits for its maintenance window; it is Tue 22:13 by this device's clock, which is not synchronized");
  manifest.policy.download_any_time = true;
  EXPECT_EQ(blocker(Stage::fetch), "");
  EXPECT_THAT(blocker(Stage::change), HasSubstr("waits for its maintenance window"));
  permission.set_local_time({2 * 3'600, wire::ClockState::synchronized});
  EXPECT_EQ(blocker(Stage::change), "waits for its maintenance window; it is Wed 00:13 by this device's clock");
  manifest.policy.windows.front().days = 4;
  EXPECT_EQ(blocker(Stage::change), "");
}

TEST_F(PermissionPartTest, TheBrokerIsToldOnceWhatAReleaseWaitsFor) {
  manifest.policy.consent = true;
  EXPECT_FALSE(may_start());
  auto effects = box.take();
  EXPECT_TRUE(box.persisted);
  ASSERT_EQ(OutboxFixture::reports(effects).size(), 1U);
  EXPECT_EQ(OutboxFixture::reports(effects)[0].step, wire::Step::waiting);
  EXPECT_FALSE(OutboxFixture::reports(effects)[0].asks_start);
  EXPECT_FALSE(may_start());
  EXPECT_TRUE(box.take().empty());
  EXPECT_FALSE(box.persisted);
  permission.obey({false, true, "", {}});
  EXPECT_TRUE(may_start());
  EXPECT_FALSE(permission.is_waiting());
  permission.assert_invariants();
}

TEST_F(PermissionPartTest, WhatChangesInAReasonIsNotToldAgain) {
  EXPECT_FALSE(may_start(1, {"waits: the gate lies ahead, ", "9 min"}));
  const auto reports = OutboxFixture::reports(box.take());
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].reason, "waits: the gate lies ahead, 9 min");
  EXPECT_FALSE(reports[0].asks_start);
  EXPECT_FALSE(may_start(1, {"waits: the gate lies ahead, ", "8 min"}));
  EXPECT_TRUE(box.take().empty());
  EXPECT_FALSE(may_start(1, {"waits: something else", ""}));
  EXPECT_EQ(OutboxFixture::reports(box.take()).size(), 1U);
  OwnerInstruction owner;
  owner.hold = true;
  permission.obey(owner);
  EXPECT_FALSE(may_start(1, {"waits: something else", ""}));
  EXPECT_EQ(permission.state().waits, "held by the device's owner");
  permission.obey({});
  EXPECT_TRUE(may_start());
}

TEST_F(PermissionPartTest, ATurnIsForOneAttemptAndOnlyWhenItWasAskedFor) {
  manifest.policy.in_flight_max = 1;
  EXPECT_FALSE(permission.take_turn(turn(1))) << "nobody asked";
  EXPECT_FALSE(may_start());
  EXPECT_TRUE(OutboxFixture::reports(box.take()).at(0).asks_start);
  EXPECT_FALSE(permission.take_turn(turn(2))) << "of another attempt";
  EXPECT_TRUE(permission.take_turn(turn(1)));
  EXPECT_FALSE(permission.take_turn(turn(1))) << "known already";
  EXPECT_TRUE(may_start());
  EXPECT_FALSE(may_start(2)) << "the next attempt asks again";
  EXPECT_EQ(permission.state().waits_attempt, 2U);
}

TEST_F(PermissionPartTest, ATurnFromBeforeTheLastQuestionIsVoid) {
  manifest.policy.in_flight_max = 1;
  EXPECT_FALSE(may_start());
  auto early = turn(1);
  --early.sequence;
  EXPECT_FALSE(permission.take_turn(early));
}

TEST_F(PermissionPartTest, WhatIsGivenUpIsReportedAndItsTurnIsVoid) {
  manifest.policy.in_flight_max = 1;
  EXPECT_FALSE(may_start());
  EXPECT_TRUE(permission.take_turn(turn(1)));
  box.take();
  permission.give_up_waiting(Code::stale, "withdrawn", box.out);
  const auto reports = OutboxFixture::reports(box.take());
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].step, wire::Step::failed);
  EXPECT_EQ(reports[0].reason, "withdrawn before it began");
  EXPECT_EQ(permission.state().start_rollout, 0U);
  EXPECT_FALSE(permission.is_waiting());
  permission.give_up_waiting(Code::stale, "withdrawn", box.out);
  EXPECT_TRUE(box.take().empty()) << "nothing is waited for";
}

TEST_F(PermissionPartTest, ANewerReleaseTakesThePlaceOfTheOneThatIsWaitedFor) {
  manifest.policy.consent = true;
  EXPECT_FALSE(may_start());
  box.take();
  manifest.release = "r3";
  EXPECT_FALSE(may_start());
  const auto reports = OutboxFixture::reports(box.take());
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].reason, "superseded by release r3 before it began");
  EXPECT_EQ(reports[1].rollout, hash());
}

TEST_F(PermissionPartTest, WhatTheOwnerBringsIsBegunOnceForOneInstruction) {
  OwnerInstruction owner;
  owner.install = hash();
  permission.obey(owner);
  EXPECT_TRUE(permission.is_brought(hash()));
  EXPECT_FALSE(permission.is_brought({}));
  permission.note_begun(OutboxFixture::hash_of(OutboxFixture::release(3)));
  EXPECT_FALSE(permission.is_brought_begun());
  permission.note_begun(hash());
  EXPECT_TRUE(permission.is_brought_begun());
}

// The candidate r2 under way.
class CandidatePermissionTest : public PermissionPartTest {
 protected:
  void SetUp() override {
    manifest.policy.consent = true;
    box.revisions.take_candidate(hash(), OutboxFixture::envelope_of(manifest), manifest);
    permission.obey({false, true, "", {}});
  }
  [[nodiscard]] bool may_go_on() {
    return permission.may_go_on(Stage::fetch, Phase::fetching, box.revisions, gates, attempt, box.out);
  }
  void take_gate(wire::GateState state, std::uint64_t issue) {
    wire::Gate gate;
    gate.manifest = hash();
    gate.state = state;
    gate.issue = issue;
    ASSERT_NE(gates.take(gate, [](const ManifestId&) { return false; }), Gates::Taken::older);
  }
  Gates gates{{}};
  Attempt attempt{{}};
};

TEST_F(CandidatePermissionTest, GoesOnWithoutAGateAndSaysNothing) {
  EXPECT_TRUE(may_go_on());
  EXPECT_TRUE(box.take().empty());
}

TEST_F(CandidatePermissionTest, APauseIsForPeopleOnTheDeviceOnly) {
  take_gate(wire::GateState::paused, 1);
  EXPECT_FALSE(may_go_on());
  EXPECT_TRUE(box.take().empty());
  EXPECT_TRUE(box.persisted);
  EXPECT_THAT(permission.state().waits, HasSubstr("paused"));
  take_gate(wire::GateState::open, 2);
  EXPECT_TRUE(may_go_on());
  EXPECT_EQ(permission.state().waits, "");
}

TEST_F(CandidatePermissionTest, ABlockerIsReportedWhenItComesAndWhenItGoes) {
  permission.obey({true, true, "", {}});
  EXPECT_FALSE(may_go_on());
  auto reports = OutboxFixture::reports(box.take());
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].step, wire::Step::waiting);
  EXPECT_FALSE(may_go_on());
  EXPECT_TRUE(box.take().empty()) << "reported already";
  permission.obey({false, true, "", {}});
  EXPECT_TRUE(may_go_on());
  reports = OutboxFixture::reports(box.take());
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].step, wire::Step::fetching);
}

}  // namespace
}  // namespace instar::revision

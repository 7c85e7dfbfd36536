// What an ended attempt leaves on the flash: kept for the next release, given up when room is needed, and gone with a
// commit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using wire::Step;

// r1 runs as revision 1; r2 was taken back and has left revision 2.
class LeftoverTest : public RunsR1Fixture {
 protected:
  void SetUp() override {
    RunsR1Fixture::SetUp();
    fail("r2");
    ASSERT_TRUE(fixture.staged.contains(2));
  }
  // Publishes it, and its probe fails.
  void fail(const std::string& release) {
    fixture.bad_releases.insert(release);
    fixture.publish(fixture.release(std::stoul(release.substr(1))));
    fixture.run(10'000);
    ASSERT_EQ(fixture.applied.back().step, Step::rolled_back);
    ASSERT_EQ(fixture.phase(), "idle");
    ASSERT_EQ(fixture.running, 1u);
  }
  void publish_and_run(std::uint64_t sequence) {
    fixture.publish(fixture.release(sequence));
    fixture.run(10'000);
  }
};

TEST_F(LeftoverTest, TheNextReleaseMayTakeFromItAndItsCommitRemovesIt) {
  publish_and_run(3);
  EXPECT_EQ(fixture.running_release(), "r3");
  EXPECT_THAT(fixture.opened[3].bases, ElementsAre(1u, 2u));
  EXPECT_FALSE(fixture.staged.contains(2));
  EXPECT_TRUE(fixture.staged.contains(1)) << "the way back";
}

TEST_F(LeftoverTest, APowerCutKeepsIt) {
  fixture.power_cut();
  fixture.run(5'000);
  EXPECT_TRUE(fixture.staged.contains(2));
  EXPECT_TRUE(fixture.view().revisions.contains(2));
  publish_and_run(3);
  EXPECT_THAT(fixture.opened[3].bases, Contains(2u));
}

TEST_F(LeftoverTest, TheLatestOneOnlyIsKept) {
  fail("r3");
  EXPECT_FALSE(fixture.staged.contains(2));
  EXPECT_TRUE(fixture.staged.contains(3));
}

TEST_F(LeftoverTest, AnAttemptThatGotNothingDoesNotReplaceIt) {
  fixture.serves = false;
  auto three = fixture.release(3);
  fixture.publish(three);
  fixture.run(1'000);
  ASSERT_EQ(fixture.phase(), "fetching");
  auto message = fixture.gate_for(three, 2);
  message.state = wire::GateState::aborted;
  fixture.put_gate(message);
  fixture.run(1'000);
  ASSERT_EQ(fixture.phase(), "idle");
  EXPECT_TRUE(fixture.staged.contains(2));
  EXPECT_FALSE(fixture.view().revisions.contains(3));
}

TEST_F(LeftoverTest, WhatWasDamagedIsNotKept) {
  fixture.finish_fails = Error{Code::corrupt, "damaged on disk 4 times"};
  publish_and_run(3);
  ASSERT_EQ(fixture.applied.back().step, Step::failed);
  EXPECT_THAT(fixture.view().revisions, ElementsAre(1u));
}

TEST_F(LeftoverTest, ADownloadThatWasStoppedHalfWayIsKept) {
  fixture.corrupt = {2, 2, 2, 2, 2, 2, 2, 2};
  publish_and_run(3);
  ASSERT_EQ(fixture.phase(), "idle");
  ASSERT_EQ(fixture.running_release(), "r1");
  EXPECT_TRUE(fixture.view().revisions.contains(3));
  EXPECT_FALSE(fixture.view().revisions.contains(2));
}

// --- room ---------------------------------------------------------------------------------------------
TEST_F(LeftoverTest, ItMakesRoomBeforeTheRevisionBeforeDoes) {
  publish_and_run(3);
  ASSERT_EQ(fixture.view().previous_revision, 1u);
  fixture.bad_releases.insert("r4");
  publish_and_run(4);
  ASSERT_TRUE(fixture.staged.contains(4));
  fixture.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  fixture.staging_failures = 2;
  fixture.publish(fixture.release(5));
  fixture.settle();
  EXPECT_FALSE(fixture.staged.contains(4));
  EXPECT_TRUE(fixture.staged.contains(1));
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r5");
}

TEST_F(LeftoverTest, WhatTheNextReleaseHasNoUseForGoesFirst) {
  fixture.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  const auto three = fixture.release(3);
  fixture.publish(three);
  fixture.settle();
  ASSERT_TRUE(fixture.trimmed.contains(2));
  EXPECT_THAT(fixture.trimmed[2], ElementsAre(three.artifacts[0].id));
  EXPECT_TRUE(fixture.staged.contains(2));
  EXPECT_THAT(fixture.opened[3].bases, Contains(2u));
}

TEST_F(LeftoverTest, ItIsRemovedWhenTheContainersHaveLittleRoomLeft) {
  fixture.give(FreeSpace{std::uint64_t{3} << 20});
  EXPECT_TRUE(fixture.staged.contains(2));
  fixture.give(FreeSpace{std::uint64_t{1} << 20});
  EXPECT_FALSE(fixture.staged.contains(2));
  EXPECT_TRUE(fixture.staged.contains(1));
}

TEST_F(LeftoverTest, AReleaseThatAsksForRoomIsLookedAtAgainWhenItIsGone) {
  fixture.give(FreeSpace{5'000'000});
  auto three = fixture.release(3);
  three.requirements.free_bytes_min = 8'000'000;
  fixture.publish(three);
  fixture.run(1'000);
  EXPECT_FALSE(fixture.staged.contains(2));
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_NE(fixture.applied.back().step, Step::refused) << "the room is on its way";
  fixture.disconnect();
  fixture.connect();
  fixture.run(1'000);
  EXPECT_NE(fixture.applied.back().step, Step::refused) << "not refused before that";
  fixture.give(FreeSpace{9'000'000});
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r3");
}

TEST_F(LeftoverTest, AReleaseThatAsksForMoreRoomThanThereCanBeIsRefused) {
  fixture.give(FreeSpace{5'000'000});
  auto three = fixture.release(3);
  three.requirements.free_bytes_min = 8'000'000;
  fixture.publish(three);
  fixture.run(1'000);
  fixture.give(FreeSpace{6'000'000});
  fixture.run(1'000);
  EXPECT_EQ(fixture.applied.back().step, Step::refused);
  EXPECT_EQ(fixture.applied.back().code, Code::no_space);
  EXPECT_THAT(fixture.applied.back().reason, HasSubstr("8000000 bytes free on the device, 6000000 are"));
}

TEST_F(LeftoverTest, ACutAfterEveryEffectLeavesADeviceThatTakesTheNextRelease) {
  for (std::int64_t cut = 1; cut < 30; ++cut) {
    SCOPED_TRACE(cut);
    MachineFixture one;
    one.boot();
    one.connect();
    one.publish(one.release(1));
    one.run(15'000);
    one.bad_releases = {"r2"};
    one.power_cut_after = cut;
    one.publish(one.release(2));
    one.run(30'000);
    EXPECT_EQ(one.running_release(), "r1");
    EXPECT_LE(one.view().revisions.size(), 2u) << "the running one, one leftover";
    one.publish(one.release(3));
    one.run(30'000);
    EXPECT_EQ(one.running_release(), "r3");
    EXPECT_EQ(one.staged.size(), 2u);
  }
}

}  // namespace
}  // namespace instar::revision

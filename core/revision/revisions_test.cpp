#include "core/revision/revisions.hpp"

#include <gtest/gtest.h>

#include "core/revision/room.hpp"
#include "core/revision/testing/outbox_fixture.hpp"

namespace instar::revision {
namespace {

using Numbers = std::vector<std::uint32_t>;

// Revision 1 of r1 runs.
class RevisionsTest : public testing::Test {
 protected:
  void take(std::uint64_t sequence) {
    const auto manifest = OutboxFixture::release(sequence);
    revisions.take_candidate(OutboxFixture::hash_of(manifest), OutboxFixture::envelope_of(manifest), manifest);
    revisions.assert_invariants();
  }
  void commit(std::uint64_t sequence) {
    take(sequence);
    revisions.commit();
    revisions.assert_invariants();
  }
  [[nodiscard]] static Outcome outcome(std::uint64_t sequence, wire::Step step) {
    return {OutboxFixture::hash_of(OutboxFixture::release(sequence)), sequence, 1, 0, step, Code::ok};
  }
  OutboxFixture box{OutboxFixture::running(1, OutboxFixture::release(1))};
  Revisions& revisions = box.revisions;
  History history{{}};
};

TEST_F(RevisionsTest, EachCandidateGetsANumberOfItsOwn) {
  take(2);
  EXPECT_TRUE(revisions.is_candidate(2U));
  revisions.renumber_candidate();
  EXPECT_TRUE(revisions.is_candidate(3U));
  revisions.forget_candidate();
  take(2);
  EXPECT_TRUE(revisions.is_candidate(4U));
  EXPECT_EQ(revisions.disposable(), (Numbers{2, 3}));
}

TEST_F(RevisionsTest, ACommitMovesEachOneStep) {
  commit(2);
  EXPECT_EQ(revisions.current_number(), 2U);
  EXPECT_EQ(revisions.previous()->number, 1U);
  EXPECT_FALSE(revisions.candidate().has_value());
  EXPECT_EQ(revisions.current_manifest()->release, "r2");
  commit(3);
  EXPECT_EQ(revisions.previous()->number, 2U);
  EXPECT_EQ(revisions.disposable(), (Numbers{1}));
  EXPECT_EQ(revisions.bases(), (Numbers{3, 2, 1}));
}

TEST_F(RevisionsTest, TheWayBackIsToTheOneBeforeUnlessItHasFailed) {
  EXPECT_EQ(revisions.release_before(history).error().code, Code::not_found);
  commit(2);
  auto before = revisions.release_before(history);
  ASSERT_TRUE(before.has_value());
  EXPECT_EQ(before->record.number, 1U);
  history.record(outcome(1, wire::Step::rolled_back));
  EXPECT_EQ(revisions.release_before(history).error().code, Code::refused);
  revisions.go_back(std::move(*before));
  EXPECT_EQ(revisions.current_number(), 1U);
  EXPECT_EQ(revisions.candidate()->number, 2U) << "what is taken back";
  EXPECT_FALSE(revisions.previous().has_value());
  revisions.assert_invariants();
}

TEST_F(RevisionsTest, TheFactoryRevisionIsAWayBackUnlessItRunsOrHasFailed) {
  const auto factory = OutboxFixture::release(1);
  OutboxFixture device(OutboxFixture::running(1, factory), OutboxFixture::record_of(1, factory),
                       OutboxFixture::envelope_of(factory));
  EXPECT_FALSE(device.revisions.factory_release(history).has_value()) << "it runs";
  for (const std::uint64_t sequence : {2, 3}) {
    const auto next = OutboxFixture::release(sequence);
    device.revisions.take_candidate(OutboxFixture::hash_of(next), OutboxFixture::envelope_of(next), next);
    device.revisions.commit();
  }
  EXPECT_TRUE(device.revisions.disposable().empty()) << "it is never removed";
  auto way = device.revisions.factory_release(history);
  ASSERT_TRUE(way.has_value());
  history.record(outcome(1, wire::Step::rolled_back));
  EXPECT_FALSE(device.revisions.factory_release(history).has_value());
  device.revisions.fall_to_factory(std::move(*way));
  EXPECT_EQ(device.revisions.current_number(), 1U);
  EXPECT_FALSE(device.revisions.previous().has_value());
  device.revisions.assert_invariants();
}

TEST_F(RevisionsTest, ANumberIsForgottenOnlyWhenItsFolderIsGone) {
  take(2);
  revisions.forget_candidate();
  EXPECT_EQ(revisions.remove(2).revision, 2U);
  EXPECT_TRUE(revisions.disposable().empty()) << "on its way out";
  EXPECT_EQ(revisions.state().numbers, (Numbers{1, 2})) << "a crash may leave the folder";
  revisions.forget_removed();
  EXPECT_EQ(revisions.state().numbers, (Numbers{1}));
}

TEST_F(RevisionsTest, KnowsWhatOnlyThePreviousOneHas) {
  const auto artifact = OutboxFixture::release(1).artifacts.front().id;
  EXPECT_FALSE(revisions.only_previous_has(artifact));
  commit(2);
  EXPECT_TRUE(revisions.only_previous_has(artifact));
}

TEST_F(RevisionsTest, ACandidateDiffersByItsContainers) {
  take(2);
  EXPECT_TRUE(revisions.candidate_differs());
  revisions.forget_candidate();
  take(1);
  EXPECT_FALSE(revisions.candidate_differs());
}

// --- room ---------------------------------------------------------------------------------------------------
class RoomTest : public RevisionsTest {
 protected:
  Room room;
};

TEST_F(RoomTest, OneLeftoverStays) {
  for (const std::uint64_t sequence : {2, 3}) {
    take(sequence);
    revisions.forget_candidate();
  }
  Room::keep_one_leftover(3, revisions, box.out);
  const auto removed = OutboxFixture::all<RemoveRevision>(box.take());
  ASSERT_EQ(removed.size(), 1U);
  EXPECT_EQ(removed[0].revision, 2U);
  EXPECT_TRUE(box.persisted);
}

TEST_F(RoomTest, LeftoversAreTrimmedThenRemovedAndThenThePreviousOneGoes) {
  commit(2);
  take(3);
  revisions.forget_candidate();
  take(4);
  ASSERT_TRUE(room.make_room(true, revisions, box.out));
  EXPECT_EQ(OutboxFixture::all<TrimRevision>(box.take()).at(0).revision, 3U);
  ASSERT_TRUE(room.make_room(true, revisions, box.out));
  EXPECT_EQ(OutboxFixture::all<RemoveRevision>(box.take()).at(0).revision, 3U);
  EXPECT_FALSE(room.make_room(false, revisions, box.out));
  ASSERT_TRUE(room.make_room(true, revisions, box.out));
  const auto effects = box.take();
  EXPECT_EQ(OutboxFixture::all<PointCurrent>(effects).at(0).previous, 0U);
  EXPECT_EQ(OutboxFixture::all<RemoveRevision>(effects).at(0).revision, 1U);
  EXPECT_FALSE(room.make_room(true, revisions, box.out)) << "what runs stays";
}

TEST_F(RoomTest, AReleaseThatNeedsRoomIsLookedAtAgainWhenThereIsMore) {
  EXPECT_FALSE(room.note_free(10, 1));
  EXPECT_FALSE(room.makes_room_first("r2", revisions, box.out)) << "nothing is left over";
  take(2);
  revisions.forget_candidate();
  EXPECT_TRUE(room.makes_room_first("r2", revisions, box.out));
  EXPECT_EQ(OutboxFixture::all<RemoveRevision>(box.take()).size(), 1U);
  EXPECT_TRUE(room.makes_room_first("r2", revisions, box.out)) << "still on its way";
  room.assert_invariants();
  EXPECT_TRUE(room.note_free(10'000'000, 1'000));
  EXPECT_FALSE(room.note_free(10'000'000, 1'000));
  EXPECT_FALSE(room.is_short());
}

}  // namespace
}  // namespace instar::revision

#include "core/revision/transfer.hpp"

#include <gtest/gtest.h>

#include "core/revision/testing/machine_fixture.hpp"
#include "core/revision/testing/outbox_fixture.hpp"

namespace instar::revision {
namespace {

// One full pack of a head chunk and two more.
class TransferTest : public testing::Test {
 protected:
  void SetUp() override { transfer.open({&artifact.packs.front()}, 0, box.now()); }
  [[nodiscard]] const PackId& pack() const { return artifact.packs.front().id; }
  [[nodiscard]] StagingWants wants(std::uint32_t first, std::vector<std::uint32_t> sizes, bool exact = true) const {
    StagingWants event{1, pack(), {}, std::move(sizes), 0, exact};
    const auto count = static_cast<std::uint32_t>(event.chunk_bytes.size());
    if (count != 0) event.ranges = {{first, count, 0}};
    return event;
  }
  std::vector<wire::Fetch> advance() {
    transfer.advance(99, sessions, box.out);
    std::vector<wire::Fetch> fetches;
    for (const auto& publish : OutboxFixture::all<Publish>(box.take()))
      fetches.push_back(*wire::decode_fetch(publish.payload));
    transfer.assert_invariants();
    return fetches;
  }
  Transfer::Piece piece(std::uint32_t session, std::uint32_t ordinal, std::uint32_t offset, std::size_t bytes) {
    const auto taken = transfer.take({session, ordinal, offset, Bytes(bytes, 7), wire::ChunkFault::none}, 1, box.out);
    transfer.assert_invariants();
    return taken;
  }

  wire::Artifact artifact = artifact_of("r1", {100}, {4'000, 50});
  OutboxFixture box;
  SessionNumbers sessions{6};
  Transfer transfer{256 * 1024, 32 * 1024};
};

TEST_F(TransferTest, NothingIsKnownBeforeTheStagerHasSpokenOfEachPack) {
  EXPECT_FALSE(transfer.is_known());
  EXPECT_EQ(transfer.take_wants(wants(0, {100, 4'000, 50})), Transfer::Wants::more);
  EXPECT_TRUE(transfer.is_known());
  EXPECT_FALSE(transfer.is_done());
}

TEST_F(TransferTest, RefusesWantsOfAPackThatWasNotChosenAndChunksWithoutSizes) {
  auto event = wants(0, {100});
  event.pack = hash_of("another");
  EXPECT_EQ(transfer.take_wants(event), Transfer::Wants::unknown_pack);
  event = wants(0, {100});
  event.chunk_bytes.push_back(7);
  EXPECT_EQ(transfer.take_wants(event), Transfer::Wants::malformed);
  EXPECT_FALSE(transfer.is_known());
}

TEST_F(TransferTest, PlansWhatIsLeftAndTheHeadThatCameBeforeThePlanWasExact) {
  ASSERT_EQ(transfer.take_wants(wants(0, {100}, false)), Transfer::Wants::more);
  EXPECT_EQ(transfer.plan(false).bytes, 4'150U) << "what the manifest says of a full pack";
  EXPECT_FALSE(transfer.plan(false).exact);
  ASSERT_EQ(transfer.take_wants(wants(1, {4'000})), Transfer::Wants::more);
  const auto plan = transfer.plan(true);
  EXPECT_TRUE(plan.exact);
  EXPECT_EQ(plan.left, 4'000U);
  EXPECT_EQ(plan.bytes, 4'100U);
}

TEST_F(TransferTest, AChunkIsDurableOnlyWhenTheStagerSaysSo) {
  ASSERT_EQ(transfer.take_wants(wants(0, {100})), Transfer::Wants::more);
  const auto fetches = advance();
  ASSERT_EQ(fetches.size(), 1U);
  EXPECT_EQ(fetches[0].session, 7U << 16 | 1U) << "of the seventh start";
  EXPECT_EQ(fetches[0].rollout, 99U);
  EXPECT_EQ(piece(fetches[0].session, 0, 0, 100), Transfer::Piece::taken);
  EXPECT_EQ(OutboxFixture::all<StagePiece>(box.take()).size(), 1U);
  EXPECT_FALSE(transfer.is_done());
  transfer.note_durable(pack(), 0, box.now());
  EXPECT_TRUE(transfer.is_done());
  EXPECT_TRUE(transfer.ask_finish());
  EXPECT_FALSE(transfer.ask_finish()) << "asked once";
  transfer.want_more();
  EXPECT_TRUE(transfer.ask_finish());
}

TEST_F(TransferTest, GoesOnInTheMiddleOfAChunkInTheNextSession) {
  ASSERT_EQ(transfer.take_wants(wants(1, {4'000})), Transfer::Wants::more);
  const auto first = advance().at(0).session;
  EXPECT_EQ(piece(first, 1, 0, 1'500), Transfer::Piece::taken);
  transfer.note_new_link();
  box.take();
  const auto again = advance();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].session, first + 1);
  EXPECT_EQ(again[0].ranges.at(0).offset, 1'500U);
  EXPECT_EQ(piece(first, 1, 1'500, 100), Transfer::Piece::useless) << "of the session before";
  EXPECT_EQ(piece(again[0].session, 1, 1'500, 2'500), Transfer::Piece::taken);
}

TEST_F(TransferTest, AConnectionThatBeganWithTheFetchKeepsTheSession) {
  ASSERT_EQ(transfer.take_wants(wants(1, {4'000})), Transfer::Wants::more);
  const auto first = advance().at(0).session;
  EXPECT_EQ(piece(first, 1, 0, 1'500), Transfer::Piece::taken);
  transfer.close_session();
  box.take();
  const auto opening = advance();  // made while there is no link
  ASSERT_EQ(opening.size(), 1U);
  EXPECT_EQ(opening[0].ranges.at(0).offset, 1'500U);
  box.pass(60'000);
  transfer.note_opened(box.now());
  EXPECT_TRUE(advance().empty()) << "asked for already";
  transfer.check_stall(box.out);
  EXPECT_TRUE(advance().empty()) << "the time without a link is no silence of the broker";
  EXPECT_EQ(piece(opening[0].session, 1, 1'500, 2'500), Transfer::Piece::taken);
}

TEST_F(TransferTest, AGapEndsTheSessionAndASecondOneSoonAfterMakesItWait) {
  ASSERT_EQ(transfer.take_wants(wants(1, {4'000, 50})), Transfer::Wants::more);
  EXPECT_EQ(piece(advance().at(0).session, 1, 200, 100), Transfer::Piece::gap);
  const auto second = advance();
  ASSERT_EQ(second.size(), 1U) << "at once";
  EXPECT_EQ(piece(second[0].session, 2, 0, 50), Transfer::Piece::gap);
  EXPECT_TRUE(advance().empty());
  EXPECT_EQ(transfer.next_deadline(), box.now() + 1'000);
  box.pass(1'000);
  EXPECT_EQ(advance().size(), 1U);
}

TEST_F(TransferTest, LeavesABrokerThatCannotServeAloneForLongerEachTime) {
  ASSERT_EQ(transfer.take_wants(wants(0, {100})), Transfer::Wants::more);
  for (const std::int64_t pause : {2'000, 4'000, 8'000}) {
    ASSERT_EQ(advance().size(), 1U);
    EXPECT_EQ(transfer.pause_after_fault(box.now()), pause);
    EXPECT_TRUE(advance().empty());
    box.pass(pause);
  }
  const auto session = advance().at(0).session;
  EXPECT_EQ(piece(session, 0, 0, 50), Transfer::Piece::taken);
  EXPECT_EQ(transfer.pause_after_fault(box.now()), 2'000) << "it has served since";
}

TEST_F(TransferTest, TheSecondRefusalOfAChunkIsForGood) {
  ASSERT_EQ(transfer.take_wants(wants(0, {100})), Transfer::Wants::more);
  const auto refused = [&](std::uint32_t ordinal, Code code) {
    return transfer.refuse({1, pack(), ordinal, Error{code, "does not match"}});
  };
  EXPECT_EQ(refused(5, Code::corrupt), Transfer::Refused::unknown_chunk);
  EXPECT_EQ(refused(0, Code::unavailable), Transfer::Refused::again) << "not the chunk's fault";
  EXPECT_EQ(refused(0, Code::corrupt), Transfer::Refused::again);
  transfer.ask_again(pack(), 0);
  EXPECT_EQ(refused(0, Code::corrupt), Transfer::Refused::for_good);
}

TEST_F(TransferTest, AsksAgainForWhatTheStagerKeepsSilentAbout) {
  ASSERT_EQ(transfer.take_wants(wants(0, {100})), Transfer::Wants::more);
  EXPECT_EQ(piece(advance().at(0).session, 0, 0, 100), Transfer::Piece::taken);
  transfer.close_session();
  EXPECT_TRUE(advance().empty()) << "it was handed over";
  box.pass(60'000);
  transfer.check_stall(box.out);
  EXPECT_EQ(advance().size(), 1U);
}

TEST_F(TransferTest, WhatIsNotWantedAnyMoreEndsTheSession) {
  ASSERT_EQ(transfer.take_wants(wants(0, {100, 4'000, 50})), Transfer::Wants::more);
  const auto session = advance().at(0).session;
  EXPECT_EQ(transfer.take_wants(wants(0, {100})), Transfer::Wants::more);
  EXPECT_EQ(piece(session, 0, 0, 100), Transfer::Piece::useless);
  EXPECT_EQ(advance().at(0).session, session + 1);
}

TEST_F(TransferTest, KnowsWhetherMoreThanHeadsHasCome) {
  EXPECT_TRUE(transfer.has_heads_only(100));
  EXPECT_FALSE(transfer.has_heads_only(101));
}

TEST(SessionNumbersTest, RiseOverRestartsAndPastTheirOwnEnd) {
  SessionNumbers numbers(6);
  EXPECT_EQ(numbers.next(), 7U << 16 | 1U);
  for (int i = 1; i < 65'535; ++i) static_cast<void>(numbers.next());
  EXPECT_EQ(numbers.boot(), 7U);
  EXPECT_EQ(numbers.next(), 8U << 16 | 1U);
  EXPECT_EQ(numbers.boot(), 8U);
}

}  // namespace
}  // namespace instar::revision

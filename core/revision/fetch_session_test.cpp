#include "core/revision/fetch_session.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

const PackId kPack(Hash256{{1}});
constexpr MonotonicMs kFetchStart{5'000};

wire::ChunkPiece piece(std::uint32_t session, std::uint32_t ordinal, std::uint32_t offset, std::uint32_t bytes) {
  return {session, ordinal, offset, Bytes(bytes, 1), wire::ChunkFault::none};
}

class FetchSessionTest : public testing::Test {
 protected:
  void open(const std::vector<WantedChunk>& chunks, std::uint32_t id = 1) {
    out.clear();
    session.open(id, kPack, 77, chunks, kFetchStart, out);
  }
  FetchSession session{256 * 1024, 32 * 1024};
  std::vector<wire::Fetch> out;
};

TEST_F(FetchSessionTest, AsksForNeighboursInOneRange) {
  open({{3, 100, 0}, {4, 100, 0}, {5, 100, 0}, {9, 100, 0}});
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].session, 1u);
  EXPECT_EQ(out[0].pack, kPack);
  EXPECT_EQ(out[0].rollout, 77u);
  EXPECT_EQ(out[0].window_bytes, WindowControl::kStartBytes);
  EXPECT_EQ(out[0].piece_bytes_max, WindowControl::kStartPieceBytes);
  ASSERT_EQ(out[0].ranges.size(), 2u);
  EXPECT_EQ(out[0].ranges[0].first, 3u);
  EXPECT_EQ(out[0].ranges[0].count, 3u);
  EXPECT_EQ(out[0].ranges[1].first, 9u);
}

TEST_F(FetchSessionTest, AHalfChunkStartsItsOwnRange) {
  open({{4, 100, 60}, {5, 100, 0}, {6, 100, 0}});
  ASSERT_EQ(out[0].ranges.size(), 1u);
  EXPECT_EQ(out[0].ranges[0].offset, 60u);
  EXPECT_EQ(out[0].ranges[0].count, 3u);
  EXPECT_EQ(session.take(piece(1, 4, 0, 10), kFetchStart, out), FetchSession::Taken::gap);
  EXPECT_EQ(session.take(piece(1, 4, 60, 40), kFetchStart, out), FetchSession::Taken::next);
}

TEST_F(FetchSessionTest, NeverHasMoreRangesOpenThanTheBrokerTakes) {
  std::vector<WantedChunk> chunks;
  for (std::uint32_t i = 0; i < 200; ++i) chunks.push_back({i * 2, 10, 0});
  open(chunks);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].ranges.size(), limits::kFetchRangesMax);
  std::size_t asked = out[0].ranges.size();
  std::size_t served = 0;
  for (std::uint32_t i = 0; i < 200; ++i) {
    out.clear();
    ASSERT_EQ(session.take(piece(1, i * 2, 0, 10), kFetchStart, out), FetchSession::Taken::next);
    ++served;
    for (const auto& fetch : out) asked += fetch.ranges.size();
    EXPECT_LE(asked - served, limits::kFetchRangesMax);
    EXPECT_TRUE(i + 1 == 200 || asked > served) << "it never waits with an empty queue";
  }
  EXPECT_EQ(asked, 200u);
  EXPECT_TRUE(session.is_complete());
}

TEST_F(FetchSessionTest, TakesPiecesInOrderOnly) {
  open({{1, 100, 0}, {2, 50, 0}});
  EXPECT_EQ(session.take(piece(1, 1, 0, 60), kFetchStart, out), FetchSession::Taken::next);
  EXPECT_EQ(session.half()->offset, 60u);
  EXPECT_EQ(session.take(piece(1, 2, 0, 50), kFetchStart, out), FetchSession::Taken::gap)
      << "the tail of chunk 1 is lost";
  EXPECT_EQ(session.take(piece(1, 1, 60, 41), kFetchStart, out), FetchSession::Taken::gap) << "more than the chunk has";
  EXPECT_EQ(session.take(piece(1, 1, 60, 0), kFetchStart, out), FetchSession::Taken::gap) << "nothing in it";
  EXPECT_EQ(session.take(piece(1, 1, 60, 40), kFetchStart, out), FetchSession::Taken::next);
  EXPECT_FALSE(session.half().has_value());
  EXPECT_EQ(session.take(piece(1, 2, 0, 50), kFetchStart, out), FetchSession::Taken::next);
  EXPECT_TRUE(session.is_complete());
  EXPECT_EQ(session.take(piece(1, 2, 0, 50), kFetchStart, out), FetchSession::Taken::gap);
}

TEST_F(FetchSessionTest, KnowsItsOwnPieces) {
  open({{1, 100, 0}}, 7);
  EXPECT_EQ(session.take(piece(6, 1, 0, 10), kFetchStart, out), FetchSession::Taken::foreign);
  EXPECT_EQ(session.take(piece(8, 1, 0, 10), kFetchStart, out), FetchSession::Taken::foreign);
  auto fault = piece(7, 1, 0, 0);
  fault.fault = wire::ChunkFault::busy;
  EXPECT_EQ(session.take(fault, kFetchStart, out), FetchSession::Taken::fault);
  session.close();
  EXPECT_EQ(session.take(piece(7, 1, 0, 10), kFetchStart, out), FetchSession::Taken::foreign);
}

TEST_F(FetchSessionTest, ReturnsCreditAtHalfAWindow) {
  open({{0, 200'000, 0}});
  out.clear();
  EXPECT_EQ(session.take(piece(1, 0, 0, 4'096), kFetchStart, out), FetchSession::Taken::next);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(session.take(piece(1, 0, 4'096, 4'096), kFetchStart, out), FetchSession::Taken::next);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_FALSE(out[0].pack.has_value());
  EXPECT_EQ(out[0].received_bytes, 8'192u);
}

wire::ChunkPiece position(std::uint32_t session, std::uint32_t ordinal, std::uint32_t offset) {
  return {session, ordinal, offset, {}, wire::ChunkFault::position};
}

TEST_F(FetchSessionTest, ASlowLinkIsToldFromALossByAskingTheBroker) {
  open({{0, 100, 0}, {1, 100, 0}});
  EXPECT_EQ(session.take(piece(1, 0, 0, 60), kFetchStart, out), FetchSession::Taken::next);
  out.clear();
  ASSERT_TRUE(session.is_stalled(kFetchStart + 15'000));
  EXPECT_TRUE(session.ask_position(kFetchStart + 15'000, out));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_FALSE(out[0].pack.has_value());
  EXPECT_EQ(out[0].received_bytes, 60u);
  EXPECT_FALSE(session.is_stalled(kFetchStart + 29'999)) << "the answer has time";
  // What was on the way comes before the answer.
  EXPECT_EQ(session.take(piece(1, 0, 60, 40), kFetchStart + 20'000, out), FetchSession::Taken::next);
  EXPECT_EQ(session.take(position(1, 1, 0), kFetchStart + 20'000, out), FetchSession::Taken::alive);
  EXPECT_EQ(session.take(piece(1, 1, 0, 100), kFetchStart + 21'000, out), FetchSession::Taken::next);
  EXPECT_TRUE(session.is_complete());
}

TEST_F(FetchSessionTest, ABrokerThatStandsElsewhereHasLostPieces) {
  open({{0, 100, 0}, {1, 100, 0}});
  EXPECT_TRUE(session.ask_position(kFetchStart + 15'000, out));
  EXPECT_EQ(session.take(position(1, 1, 0), kFetchStart + 15'100, out), FetchSession::Taken::gap);
  open({{0, 100, 0}}, 2);
  EXPECT_TRUE(session.ask_position(kFetchStart + 15'000, out));
  EXPECT_EQ(session.take(position(2, wire::kNoOrdinal, 0), kFetchStart + 15'100, out), FetchSession::Taken::gap)
      << "it has sent all";
}

TEST_F(FetchSessionTest, AnAnswerFromBeforeALaterRequestProvesNothing) {
  open({{0, 100, 0}});
  EXPECT_TRUE(session.ask_position(kFetchStart + 15'000, out));
  EXPECT_EQ(session.take(piece(1, 0, 0, 100), kFetchStart + 15'050, out), FetchSession::Taken::next);
  session.add({{5, 10, 0}}, kFetchStart + 15'060, out);
  EXPECT_EQ(session.take(position(1, wire::kNoOrdinal, 0), kFetchStart + 15'100, out), FetchSession::Taken::alive);
}

TEST_F(FetchSessionTest, GivesUpABrokerThatDoesNotAnswer) {
  open({{0, 100, 0}});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(session.ask_position(kFetchStart, out));
  EXPECT_FALSE(session.ask_position(kFetchStart, out));
  EXPECT_EQ(session.take(piece(1, 0, 0, 50), kFetchStart, out), FetchSession::Taken::next);
  EXPECT_TRUE(session.ask_position(kFetchStart, out)) << "it is there after all";
}

// A broker that keeps to the last window it got and never cuts a piece while something is out: the two must not
// wait for each other, whatever the window has become meanwhile.
TEST_F(FetchSessionTest, NeverWaitsForABrokerThatWaitsForCredit) {
  for (const std::uint32_t chunk_bytes : {1'000u, 30'000u, 85'000u, 128'000u, 262'144u}) {
    FetchSession fetching(256 * 1024, 32 * 1024);
    std::vector<WantedChunk> chunks;
    for (std::uint32_t i = 0; i < 60; ++i) chunks.push_back({i, chunk_bytes, 0});
    std::vector<wire::Fetch> sent_fetches;
    MonotonicMs now = kFetchStart;
    fetching.open(1, kPack, 77, chunks, now, sent_fetches);
    std::uint64_t sent = 0;
    std::uint64_t credited = 0;
    std::uint32_t pieces_out = 0;
    std::uint32_t window = sent_fetches.back().window_bytes;
    std::uint32_t piece_max = sent_fetches.back().piece_bytes_max;
    std::uint32_t ordinal = 0;
    std::uint32_t offset = 0;
    while (!fetching.is_complete()) {
      const std::uint32_t bytes = std::min(piece_max, chunk_bytes - offset);
      ASSERT_TRUE(sent + bytes <= credited + window && pieces_out < limits::kWindowPiecesMax)
          << "stuck with " << sent - credited << " bytes out of " << window << " at chunks of " << chunk_bytes;
      sent_fetches.clear();
      now = now + 1;
      ASSERT_EQ(fetching.take(piece(1, ordinal, offset, bytes), now, sent_fetches), FetchSession::Taken::next);
      sent += bytes;
      ++pieces_out;
      offset += bytes;
      if (offset == chunk_bytes) {
        ++ordinal;
        offset = 0;
      }
      for (const auto& fetch : sent_fetches) {
        credited = fetch.received_bytes;
        window = fetch.window_bytes;
        piece_max = fetch.piece_bytes_max;
        pieces_out = 0;
      }
    }
    if (chunk_bytes >= 30'000) {
      EXPECT_EQ(fetching.window().bytes(), 256u * 1024) << "the window grew meanwhile";
    }
  }
}

TEST_F(FetchSessionTest, ReturnsCreditForManySmallPiecesToo) {
  std::vector<WantedChunk> chunks;
  for (std::uint32_t i = 0; i < 30; ++i) chunks.push_back({i, 100, 0});
  open(chunks);
  out.clear();
  for (std::uint32_t i = 0; i < limits::kWindowPiecesMax / 2; ++i) {
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(session.take(piece(1, i, 0, 100), kFetchStart, out), FetchSession::Taken::next);
  }
  ASSERT_EQ(out.size(), 1u) << "the broker has at most kWindowPiecesMax out";
  EXPECT_EQ(out[0].received_bytes, 100u * limits::kWindowPiecesMax / 2);
}

TEST_F(FetchSessionTest, ReturnsNoCreditWhenNothingMoreIsToCome) {
  open({{0, 40'000, 0}});
  out.clear();
  EXPECT_EQ(session.take(piece(1, 0, 0, 40'000), kFetchStart, out), FetchSession::Taken::next);
  EXPECT_TRUE(out.empty());
}

TEST_F(FetchSessionTest, ReturnsCreditOnceWhenABrokerWithASmallerWindowFallsQuiet) {
  open({{0, 40'000, 0}});
  EXPECT_EQ(session.take(piece(1, 0, 0, 8'000), kFetchStart, out), FetchSession::Taken::next);
  out.clear();
  session.credit_if_quiet(kFetchStart + 999, out);
  EXPECT_TRUE(out.empty()) << "more may be on its way";
  ASSERT_EQ(session.quiet_deadline(), kFetchStart + 1'000);
  session.credit_if_quiet(kFetchStart + 1'000, out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].received_bytes, 8'000u);
  EXPECT_FALSE(out[0].pack.has_value());
  session.credit_if_quiet(kFetchStart + 4'000, out);
  EXPECT_EQ(out.size(), 1u) << "said already";
  EXPECT_FALSE(session.quiet_deadline().has_value());
}

TEST_F(FetchSessionTest, SilenceIsAStallAfterFifteenSeconds) {
  open({{0, 100, 0}});
  EXPECT_FALSE(session.is_stalled(kFetchStart + 14'999));
  EXPECT_TRUE(session.is_stalled(kFetchStart + 15'000));
  EXPECT_EQ(session.take(piece(1, 0, 0, 50), kFetchStart + 14'000, out), FetchSession::Taken::next);
  EXPECT_FALSE(session.is_stalled(kFetchStart + 28'999));
  EXPECT_EQ(session.take(piece(1, 0, 50, 50), kFetchStart + 28'000, out), FetchSession::Taken::next);
  EXPECT_FALSE(session.is_stalled(kFetchStart + 90'000)) << "nothing is waited for";
}

TEST_F(FetchSessionTest, BytesOfAnEarlierSessionSayThatTheLinkCarries) {
  open({{0, 100, 0}}, 2);
  EXPECT_EQ(session.take(piece(1, 0, 0, 50), kFetchStart + 14'000, out), FetchSession::Taken::foreign);
  session.note_alive(kFetchStart + 14'000);
  EXPECT_FALSE(session.is_stalled(kFetchStart + 28'999));
  EXPECT_TRUE(session.is_stalled(kFetchStart + 29'000));
}

TEST_F(FetchSessionTest, AddsToWhatIsUnderWay) {
  open({{0, 100, 0}});
  EXPECT_EQ(session.take(piece(1, 0, 0, 100), kFetchStart, out), FetchSession::Taken::next);
  out.clear();
  session.add({{5, 10, 0}}, kFetchStart + 30'000, out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].session, 1u);
  EXPECT_EQ(out[0].received_bytes, 100u);
  EXPECT_FALSE(session.is_stalled(kFetchStart + 31'000)) << "the pause was ours";
}

// --- rate cap ------------------------------------------------------------------------------------------

// A broker at the other end of a fast link: sends whatever credit allows, at once.
TEST_F(FetchSessionTest, CreditKeepsToTheAllowedRate) {
  constexpr std::uint32_t kRate = 10'000;
  session.set_rate(kRate);
  std::vector<WantedChunk> chunks;
  for (std::uint32_t i = 0; i < 100; ++i) chunks.push_back({i, 4'000, 0});
  open(chunks);
  auto now = kFetchStart;
  std::uint64_t credit = 0;
  std::uint64_t sent = 0;
  std::uint32_t at = 0;
  for (; at < 100 * 4'000 && now - kFetchStart < 100'000; now = now + 10) {
    session.credit_if_due(now, out);
    session.credit_if_quiet(now, out);
    for (const auto& fetch : out) credit = std::max<std::uint64_t>(credit, fetch.received_bytes + fetch.window_bytes);
    out.clear();
    while (at < 100 * 4'000 && sent + 500 <= credit) {
      ASSERT_EQ(session.take(piece(1, at / 4'000, at % 4'000, 500), now, out), FetchSession::Taken::next);
      sent += 500;
      at += 500;
      for (const auto& fetch : out) credit = std::max<std::uint64_t>(credit, fetch.received_bytes + fetch.window_bytes);
      out.clear();
    }
    EXPECT_LE(sent, static_cast<std::uint64_t>(now - kFetchStart) * kRate / 1'000 + kRate + 500)
        << "no more than a second ahead";
    EXPECT_FALSE(session.is_stalled(now));
  }
  EXPECT_EQ(at, 100U * 4'000);
  EXPECT_GE(now - kFetchStart, 38'000) << "400 kB at 10 kB a second, less the first second's";
  EXPECT_LE(now - kFetchStart, 45'000);
}

}  // namespace
}  // namespace instar::revision

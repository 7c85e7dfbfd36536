#include "broker-plugin/chunk_server.hpp"

#include <gtest/gtest.h>

#include <random>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

constexpr MonotonicMs kStart{1'000};

class ServerRig {
 public:
  explicit ServerRig(ChunkServerOptions options = {})
      : server(
            store, [this](const DeviceId& device, const wire::ChunkPiece& piece) { sent[device].push_back(piece); },
            [this](const SentPiece& piece) {
              if (accounted + piece.bytes > budget) return wire::ChunkFault::over_budget;
              accounted += piece.bytes;
              return wire::ChunkFault::none;
            },
            options) {}

  void add(const PackFixture& pack, std::optional<std::uint32_t> without = std::nullopt) {
    storage::Batch batch{{storage::Column::packs, storage::directory_key(pack.id), pack.bytes}};
    for (std::uint32_t i = 0; i < pack.encoded.size(); ++i) {
      if (i == without) continue;
      const auto& ref = pack.directory.chunks[i];
      batch.push_back({storage::Column::chunks, storage::chunk_key(ref.hash, ref.encoded_bytes), pack.encoded[i]});
    }
    store.commit(std::move(batch), {});
    store.poll();
  }
  void settle() {
    for (int i = 0; i < 200; ++i) {
      store.poll();
      server.pump();
    }
  }
  void ask(std::string_view device, const PackFixture& pack, std::uint32_t session, std::uint32_t window,
           std::vector<wire::ChunkRange> ranges, std::uint64_t received = 0, std::uint32_t piece = 32 * 1024) {
    wire::Fetch fetch;
    fetch.session = session;
    fetch.pack = pack.id;
    fetch.ranges = std::move(ranges);
    fetch.window_bytes = window;
    fetch.piece_bytes_max = piece;
    fetch.received_bytes = received;
    server.fetch(device_id(device), fetch, now);
    settle();
  }
  void credit(std::string_view device, std::uint32_t session, std::uint64_t received, std::uint32_t window,
              std::uint32_t piece = 32 * 1024) {
    wire::Fetch fetch;
    fetch.session = session;
    fetch.received_bytes = received;
    fetch.window_bytes = window;
    fetch.piece_bytes_max = piece;
    server.fetch(device_id(device), fetch, now);
    settle();
  }
  [[nodiscard]] std::uint64_t bytes(std::string_view device, std::size_t from = 0) {
    std::uint64_t sum = 0;
    const auto& pieces = sent[device_id(device)];
    for (std::size_t i = from; i < pieces.size(); ++i) sum += pieces[i].data.size();
    return sum;
  }
  std::vector<wire::ChunkPiece>& pieces(std::string_view device) { return sent[device_id(device)]; }

  storage::MemoryStore store;
  std::map<DeviceId, std::vector<wire::ChunkPiece>> sent;
  std::uint64_t accounted = 0;
  std::uint64_t budget = UINT64_MAX;
  MonotonicMs now = kStart;
  ChunkServer server;
};

TEST(ChunkServer, SendsWhatWasAskedForInOrder) {
  ServerRig rig;
  const auto pack = make_pack(1);
  rig.add(pack);
  rig.ask("a", pack, 1, 512 * 1024, {{3, 1, 90'000}, {1, 1, 0}});
  const auto& pieces = rig.pieces("a");
  ASSERT_EQ(pieces.size(), 5U);
  EXPECT_EQ(pieces[0].ordinal, 3U);
  EXPECT_EQ(pieces[0].offset, 90'000U);
  EXPECT_EQ(pieces[0].data, to_bytes(ByteView(pack.encoded[3]).subspan(90'000)));
  Bytes whole;
  for (std::size_t i = 1; i < 5; ++i) {
    EXPECT_EQ(pieces[i].ordinal, 1U);
    EXPECT_EQ(pieces[i].session, 1U);
    EXPECT_EQ(pieces[i].offset, whole.size());
    EXPECT_LE(pieces[i].data.size(), 32U * 1024);
    whole.insert(whole.end(), pieces[i].data.begin(), pieces[i].data.end());
  }
  EXPECT_EQ(whole, pack.encoded[1]);
  EXPECT_EQ(rig.accounted, 110'000U);
}

TEST(ChunkServer, SaysWhereItStandsToADeviceThatBringsNoCredit) {
  ServerRig rig;
  const auto pack = make_pack(1);
  rig.add(pack);
  rig.ask("a", pack, 1, 8'192, {{1, 2, 0}}, 0, 4'096);
  const auto sent = rig.bytes("a");
  ASSERT_EQ(sent, 8'192U);
  rig.credit("a", 1, 0, 8'192, 4'096);
  EXPECT_EQ(rig.bytes("a"), sent) << "a question is no credit";
  const auto& answer = rig.pieces("a").back();
  EXPECT_EQ(answer.fault, wire::ChunkFault::position);
  EXPECT_EQ(answer.session, 1U);
  EXPECT_EQ(answer.ordinal, 1U);
  EXPECT_EQ(answer.offset, 8'192U);
  rig.credit("a", 1, 4'096, 8'192, 4'096);
  EXPECT_EQ(rig.pieces("a").back().fault, wire::ChunkFault::none) << "credit is answered with bytes alone";
  EXPECT_EQ(rig.accounted, rig.bytes("a"));
}

TEST(ChunkServer, HasNothingMoreForASessionThatItDoesNotKnow) {
  ServerRig rig;
  rig.credit("a", 9, 0, 8'192);
  ASSERT_EQ(rig.pieces("a").size(), 1U);
  EXPECT_EQ(rig.pieces("a")[0].fault, wire::ChunkFault::position);
  EXPECT_EQ(rig.pieces("a")[0].session, 9U);
  EXPECT_EQ(rig.pieces("a")[0].ordinal, wire::kNoOrdinal);
  EXPECT_EQ(rig.server.session_count(), 0U);
}

TEST(ChunkServer, NeverExceedsTheWindowWhateverTheCredit) {
  std::mt19937 engine(7);
  const auto random = [&] { return static_cast<std::uint32_t>(engine()); };
  for (int round = 0; round < 30; ++round) {
    ServerRig rig;
    const auto pack = make_pack(2, 6, 60'000);
    rig.add(pack);
    const std::uint32_t window = 4'096 + random() % 200'000;
    const std::uint32_t piece = 512 + random() % 40'000;
    std::uint64_t received = 0;
    rig.ask("a", pack, 1, window, {{0, 7, 0}}, 0, piece);
    std::size_t seen = 0;
    for (int i = 0; i < 4'000 && received < 360'500; ++i) {
      ASSERT_LE(rig.bytes("a") - received, window);
      ASSERT_LE(rig.pieces("a").size() - seen, limits::kWindowPiecesMax);
      ASSERT_LT(seen, rig.pieces("a").size())
          << "stuck at " << received << " with window " << window << " and piece " << piece;
      // The device takes one to three of the pieces that are out, then says so.
      for (std::uint32_t n = 1 + random() % 3; n > 0 && seen < rig.pieces("a").size(); --n)
        received += rig.pieces("a")[seen++].data.size();
      rig.credit("a", 1, received, window, piece);
    }
    EXPECT_EQ(received, 360'500U);
    EXPECT_EQ(rig.server.in_flight_bytes(), 0U);
  }
}

TEST(ChunkServer, KeepsAtMostSixteenSmallPiecesOut) {
  ServerRig rig;
  const auto pack = make_pack(3);
  rig.add(pack);
  rig.ask("a", pack, 1, 512 * 1024, {{0, 5, 0}}, 0, 512);
  EXPECT_EQ(rig.pieces("a").size(), 16U);
  rig.credit("a", 1, rig.pieces("a")[0].data.size(), 512 * 1024, 512);
  EXPECT_EQ(rig.pieces("a").size(), 17U);
}

TEST(ChunkServer, ADeviceThatDoesNotReadCostsOneWindow) {
  ServerRig rig;
  const auto pack = make_pack(4, 20, 200'000);
  rig.add(pack);
  rig.ask("a", pack, 1, 1 << 30, {{0, 21, 0}});
  EXPECT_LE(rig.bytes("a"), limits::kWindowBytesMax);
  const auto before = rig.bytes("a");
  for (int i = 0; i < 50; ++i) rig.credit("a", 1, 0, 1 << 30);
  EXPECT_EQ(rig.bytes("a"), before);
  EXPECT_EQ(rig.server.in_flight_bytes(), before);
}

TEST(ChunkServer, ANewSessionReplacesTheOldOne) {
  ServerRig rig;
  const auto pack = make_pack(5);
  rig.add(pack);
  rig.ask("a", pack, 1, 64 * 1024, {{0, 5, 0}});
  const auto first = rig.pieces("a").size();
  rig.ask("a", pack, 2, 64 * 1024, {{4, 1, 0}});
  ASSERT_GT(rig.pieces("a").size(), first);
  for (std::size_t i = first; i < rig.pieces("a").size(); ++i) {
    EXPECT_EQ(rig.pieces("a")[i].session, 2U);
    EXPECT_EQ(rig.pieces("a")[i].ordinal, 4U);
  }
  const auto second = rig.pieces("a").size();
  rig.ask("a", pack, 1, 64 * 1024, {{0, 5, 0}});
  EXPECT_EQ(rig.pieces("a").size(), second) << "an old session is over";
}

TEST(ChunkServer, OpeningSessionsWithoutReadingCostsTwoWindowsNotMore) {
  ServerRig rig;
  const auto pack = make_pack(6, 20, 200'000);
  rig.add(pack);
  for (std::uint32_t session = 1; session <= 40; ++session) rig.ask("a", pack, session, 512 * 1024, {{0, 21, 0}});
  EXPECT_LE(rig.bytes("a"), 2U * limits::kWindowBytesMax);
  EXPECT_LE(rig.pieces("a").size(), 2U * limits::kWindowPiecesMax);
  const auto before = rig.pieces("a").size();
  // A first credit says that all before it is through.
  std::uint64_t last_session_bytes = 0;
  for (const auto& piece : rig.pieces("a")) last_session_bytes += piece.session == 2 ? piece.data.size() : 0;
  EXPECT_GT(last_session_bytes, 0U);
  rig.server.drop(device_id("a"));
  EXPECT_EQ(rig.server.in_flight_bytes(), 0U);
  rig.ask("a", pack, 41, 512 * 1024, {{0, 21, 0}});
  EXPECT_GT(rig.pieces("a").size(), before);
}

TEST(ChunkServer, CreditOfTheNewSessionFreesWhatTheOldOneLeft) {
  ServerRig rig;
  const auto pack = make_pack(7, 20, 200'000);
  rig.add(pack);
  rig.ask("a", pack, 1, 512 * 1024, {{0, 21, 0}});
  const auto first = rig.pieces("a").size();
  rig.ask("a", pack, 2, 512 * 1024, {{0, 21, 0}});
  const auto one = rig.pieces("a")[first].data.size();
  rig.credit("a", 2, one, 512 * 1024);
  EXPECT_EQ(rig.server.in_flight_bytes(), rig.bytes("a", first) - one);
}

TEST(ChunkServer, ASessionGoesOnAfterItsServerForgotIt) {
  ServerRig rig;
  const auto pack = make_pack(8);
  rig.add(pack);
  rig.ask("a", pack, 5, 64 * 1024, {{2, 1, 0}}, 1'000'000);
  EXPECT_EQ(rig.bytes("a"), 65'536U);
  rig.credit("a", 5, 1'000'000 + 65'536, 64 * 1024);
  EXPECT_EQ(rig.bytes("a"), 100'000U);
}

TEST(ChunkServer, LiesAboutCreditGainNothing) {
  ServerRig rig;
  const auto pack = make_pack(9, 20, 200'000);
  rig.add(pack);
  rig.ask("a", pack, 1, 64 * 1024, {{0, 21, 0}});
  rig.credit("a", 1, ~std::uint64_t{0}, 64 * 1024);
  EXPECT_LE(rig.server.in_flight_bytes(), 64U * 1024);
  const auto before = rig.bytes("a");
  rig.credit("a", 1, 0, 64 * 1024);
  EXPECT_EQ(rig.bytes("a"), before) << "credit does not go back";
  rig.credit("b", 1, 1'000, 64 * 1024);
  EXPECT_EQ(rig.server.session_count(), 1U) << "credit alone opens no session";
}

TEST(ChunkServer, TakesTurns) {
  ServerRig rig;
  const auto pack = make_pack(10, 10, 200'000);
  rig.add(pack);
  // Both are in the ring before anything is sent, since the directory is still being read.
  for (const auto* name : {"a", "b"}) {
    wire::Fetch fetch;
    fetch.session = 1;
    fetch.pack = pack.id;
    fetch.ranges = {{1, 10, 0}};
    fetch.window_bytes = 512 * 1024;
    fetch.piece_bytes_max = 32 * 1024;
    rig.server.fetch(device_id(name), fetch, rig.now);
  }
  for (int i = 0; i < 100; ++i) {
    rig.store.poll();
    rig.server.pump();
    const auto a = rig.pieces("a").size();
    const auto b = rig.pieces("b").size();
    EXPECT_LE(a > b ? a - b : b - a, 8U);
  }
  EXPECT_EQ(rig.pieces("a").size(), 16U);
  EXPECT_EQ(rig.pieces("b").size(), 16U);
}

TEST(ChunkServer, AGreedyDeviceDoesNotHoldUpAModestOne) {
  ServerRig rig;
  const auto pack = make_pack(11, 20, 200'000);
  rig.add(pack);
  rig.ask("greedy", pack, 1, 512 * 1024, {{0, 21, 0}});
  rig.ask("modest", pack, 1, 4'096, {{0, 1, 0}}, 0, 512);
  EXPECT_EQ(rig.bytes("modest"), 500U);
}

TEST(ChunkServer, SaysWhyAFetchCannotBeServed) {
  ServerRig rig;
  const auto pack = make_pack(12);
  const auto unknown = make_pack(13);
  rig.add(pack, 2);
  rig.ask("a", unknown, 1, 65'536, {{0, 1, 0}, {2, 1, 0}});
  ASSERT_EQ(rig.pieces("a").size(), 1U) << "one answer for the whole pack";
  EXPECT_EQ(rig.pieces("a")[0].fault, wire::ChunkFault::unknown_pack);
  rig.ask("a", pack, 2, 65'536, {{5, 1, 0}, {4, 2, 0}, {0, 1, 500}, {0, 1, 0}});
  ASSERT_EQ(rig.pieces("a").size(), 5U);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(rig.pieces("a")[i].fault, wire::ChunkFault::out_of_range) << i;
  EXPECT_EQ(rig.pieces("a")[4].data, pack.encoded[0]);
  rig.ask("a", pack, 3, 65'536, {{2, 1, 0}});
  EXPECT_EQ(rig.pieces("a").back().fault, wire::ChunkFault::unknown_pack) << "a chunk that was never uploaded";
}

TEST(ChunkServer, TooManyRangesAreAnsweredBusy) {
  ServerRig rig;
  const auto pack = make_pack(14);
  rig.add(pack);
  std::vector<wire::ChunkRange> ranges(limits::kFetchRangesMax, wire::ChunkRange{1, 1, 0});
  for (int i = 0; i < 5; ++i) rig.ask("a", pack, 1, 0, ranges);
  ASSERT_EQ(rig.pieces("a").size(), 1U);
  EXPECT_EQ(rig.pieces("a")[0].fault, wire::ChunkFault::busy);
}

TEST(ChunkServer, TheCommonBudgetBoundsAllDevicesAndIsGivenBack) {
  ServerRig rig({.in_flight_bytes_max = 100'000});
  const auto pack = make_pack(15, 5, 200'000);
  rig.add(pack);
  rig.ask("a", pack, 1, 512 * 1024, {{1, 5, 0}});
  EXPECT_LE(rig.server.in_flight_bytes(), 100'000U);
  rig.ask("b", pack, 1, 512 * 1024, {{1, 5, 0}});
  EXPECT_EQ(rig.bytes("b"), 0U);
  rig.server.drop(device_id("a"));
  rig.settle();
  EXPECT_GT(rig.bytes("b"), 0U);
  EXPECT_LE(rig.server.in_flight_bytes(), 100'000U);
}

TEST(ChunkServer, StalledSessionsGiveTheirShareBackSoonerWhenItIsShort) {
  ServerRig rig({.in_flight_bytes_max = 100'000, .stall_ms = 600'000, .stall_ms_when_tight = 60'000});
  const auto pack = make_pack(16, 5, 200'000);
  rig.add(pack);
  rig.ask("dead", pack, 1, 512 * 1024, {{1, 5, 0}});
  rig.ask("alive", pack, 1, 512 * 1024, {{1, 5, 0}});
  rig.server.drop_stalled({kStart.value + 59'999});
  EXPECT_EQ(rig.server.session_count(), 2U);
  rig.now = {kStart.value + 30'000};
  rig.credit("alive", 1, 0, 512 * 1024);
  rig.server.drop_stalled({kStart.value + 60'000});
  rig.settle();
  EXPECT_EQ(rig.server.session_count(), 1U);
  EXPECT_GT(rig.bytes("alive"), 0U);
}

TEST(ChunkServer, ASlowDeviceIsNotTakenForADeadOne) {
  ServerRig rig;
  const auto pack = make_pack(17, 5, 200'000);
  rig.add(pack);
  rig.ask("slow", pack, 1, 512 * 1024, {{1, 5, 0}});
  rig.server.drop_stalled({kStart.value + 599'999});
  EXPECT_EQ(rig.server.session_count(), 1U);
  rig.server.drop_stalled({kStart.value + 600'000});
  EXPECT_EQ(rig.server.session_count(), 0U);
  EXPECT_EQ(rig.server.in_flight_bytes(), 0U);
}

TEST(ChunkServer, ASessionThatIsOverIsForgottenAndGoesOnWhenAskedAgain) {
  ServerRig rig;
  const auto pack = make_pack(22);
  rig.add(pack);
  rig.ask("a", pack, 1, 512 * 1024, {{0, 1, 0}});
  ASSERT_EQ(rig.bytes("a"), 500U);
  rig.server.drop_stalled({kStart.value + 60'000});
  EXPECT_EQ(rig.server.session_count(), 1U) << "it has not told of what it has got";
  rig.credit("a", 1, 500, 512 * 1024);
  rig.server.drop_stalled({kStart.value + 9'999});
  EXPECT_EQ(rig.server.session_count(), 1U);
  rig.server.drop_stalled({kStart.value + 10'000});
  EXPECT_EQ(rig.server.session_count(), 0U);
  rig.ask("a", pack, 1, 512 * 1024, {{0, 1, 0}}, 500);
  EXPECT_EQ(rig.bytes("a"), 1'000U);
}

TEST(ChunkServer, TheCacheOfChunksIsBounded) {
  ServerRig rig({.cache_bytes_max = 300'000});
  const auto pack = make_pack(18, 20, 100'000);
  rig.add(pack);
  std::uint64_t received = 0;
  rig.ask("a", pack, 1, 512 * 1024, {{0, 21, 0}});
  while (received < rig.bytes("a")) {
    received = rig.bytes("a");
    rig.credit("a", 1, received, 512 * 1024);
    EXPECT_LE(rig.server.cached_bytes(), 300'000U);
  }
  EXPECT_EQ(received, 2'000'500U);
}

TEST(ChunkServer, ADroppedDeviceIsSentNothingMore) {
  ServerRig rig;
  const auto pack = make_pack(19);
  rig.add(pack);
  wire::Fetch fetch;
  fetch.session = 1;
  fetch.pack = pack.id;
  fetch.ranges = {{0, 5, 0}};
  fetch.window_bytes = 65'536;
  fetch.piece_bytes_max = 32'768;
  rig.server.fetch(device_id("a"), fetch, rig.now);
  rig.server.drop(device_id("a"));
  rig.settle();
  EXPECT_TRUE(rig.pieces("a").empty());
  EXPECT_EQ(rig.server.session_count(), 0U);
}

TEST(ChunkServer, ManyDevicesWaitForOneChunkAndAllGetIt) {
  ServerRig rig;
  const auto pack = make_pack(20);
  rig.add(pack);
  for (int i = 0; i < 200; ++i) {
    wire::Fetch fetch;
    fetch.session = 1;
    fetch.pack = pack.id;
    fetch.ranges = {{0, 1, 0}};
    fetch.window_bytes = 65'536;
    fetch.piece_bytes_max = 32'768;
    rig.server.fetch(device_id("d" + std::to_string(i)), fetch, rig.now);
  }
  rig.settle();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(rig.bytes("d" + std::to_string(i)), 500U) << i;
}

TEST(ChunkServer, MoreChunksThanLoadAtOnceAreStillAllServed) {
  ServerRig rig;
  const auto pack = make_pack(21, 100, 600);
  rig.add(pack);
  for (std::uint32_t i = 1; i <= 100; ++i) {
    wire::Fetch fetch;
    fetch.session = 1;
    fetch.pack = pack.id;
    fetch.ranges = {{i, 1, 0}};
    fetch.window_bytes = 65'536;
    fetch.piece_bytes_max = 32'768;
    rig.server.fetch(device_id("d" + std::to_string(i)), fetch, rig.now);
  }
  rig.settle();
  for (std::uint32_t i = 1; i <= 100; ++i) EXPECT_EQ(rig.bytes("d" + std::to_string(i)), 600U) << i;
}

}  // namespace
}  // namespace instar::broker

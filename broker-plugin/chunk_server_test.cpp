#include "broker-plugin/chunk_server.hpp"

#include <gtest/gtest.h>

#include <random>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

constexpr MonotonicMs kStart{1'000};

class ServerFixture {
 public:
  explicit ServerFixture(ChunkServerOptions options = {})
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
  ServerFixture fixture;
  const auto pack = make_pack(1);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 512 * 1024, {{3, 1, 90'000}, {1, 1, 0}});
  const auto& pieces = fixture.pieces("a");
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
  EXPECT_EQ(fixture.accounted, 110'000U);
}

TEST(ChunkServer, SendsItsPositionToADeviceThatReturnsNoCredit) {
  ServerFixture fixture;
  const auto pack = make_pack(1);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 8'192, {{1, 2, 0}}, 0, 4'096);
  const auto sent = fixture.bytes("a");
  ASSERT_EQ(sent, 8'192U);
  fixture.credit("a", 1, 0, 8'192, 4'096);
  EXPECT_EQ(fixture.bytes("a"), sent) << "a question is no credit";
  const auto& answer = fixture.pieces("a").back();
  EXPECT_EQ(answer.fault, wire::ChunkFault::position);
  EXPECT_EQ(answer.session, 1U);
  EXPECT_EQ(answer.ordinal, 1U);
  EXPECT_EQ(answer.offset, 8'192U);
  fixture.credit("a", 1, 4'096, 8'192, 4'096);
  EXPECT_EQ(fixture.pieces("a").back().fault, wire::ChunkFault::none) << "credit is answered with bytes alone";
  EXPECT_EQ(fixture.accounted, fixture.bytes("a"));
}

TEST(ChunkServer, AnswersAnUnknownSessionThatNothingMoreComes) {
  ServerFixture fixture;
  fixture.credit("a", 9, 0, 8'192);
  ASSERT_EQ(fixture.pieces("a").size(), 1U);
  EXPECT_EQ(fixture.pieces("a")[0].fault, wire::ChunkFault::position);
  EXPECT_EQ(fixture.pieces("a")[0].session, 9U);
  EXPECT_EQ(fixture.pieces("a")[0].ordinal, wire::kNoOrdinal);
  EXPECT_EQ(fixture.server.session_count(), 0U);
}

TEST(ChunkServer, NeverExceedsTheWindowWhateverTheCredit) {
  std::mt19937 engine(7);
  const auto random = [&] { return static_cast<std::uint32_t>(engine()); };
  for (int round = 0; round < 30; ++round) {
    ServerFixture fixture;
    const auto pack = make_pack(2, 6, 60'000);
    fixture.add(pack);
    const std::uint32_t window = 4'096 + random() % 200'000;
    const std::uint32_t piece = 512 + random() % 40'000;
    std::uint64_t received = 0;
    fixture.ask("a", pack, 1, window, {{0, 7, 0}}, 0, piece);
    std::size_t seen = 0;
    for (int i = 0; i < 4'000 && received < 360'500; ++i) {
      ASSERT_LE(fixture.bytes("a") - received, window);
      ASSERT_LE(fixture.pieces("a").size() - seen, limits::kWindowPiecesMax);
      ASSERT_LT(seen, fixture.pieces("a").size())
          << "stuck at " << received << " with window " << window << " and piece " << piece;
      // The device takes one to three of the pieces in flight, then returns their credit.
      for (std::uint32_t n = 1 + random() % 3; n > 0 && seen < fixture.pieces("a").size(); --n)
        received += fixture.pieces("a")[seen++].data.size();
      fixture.credit("a", 1, received, window, piece);
    }
    EXPECT_EQ(received, 360'500U);
    EXPECT_EQ(fixture.server.in_flight_bytes(), 0U);
  }
}

TEST(ChunkServer, KeepsAtMostSixteenSmallPiecesOut) {
  ServerFixture fixture;
  const auto pack = make_pack(3);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 512 * 1024, {{0, 5, 0}}, 0, 512);
  EXPECT_EQ(fixture.pieces("a").size(), 16U);
  fixture.credit("a", 1, fixture.pieces("a")[0].data.size(), 512 * 1024, 512);
  EXPECT_EQ(fixture.pieces("a").size(), 17U);
}

TEST(ChunkServer, ADeviceThatDoesNotReadCostsOneWindow) {
  ServerFixture fixture;
  const auto pack = make_pack(4, 20, 200'000);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 1 << 30, {{0, 21, 0}});
  EXPECT_LE(fixture.bytes("a"), limits::kWindowBytesMax);
  const auto before = fixture.bytes("a");
  for (int i = 0; i < 50; ++i) fixture.credit("a", 1, 0, 1 << 30);
  EXPECT_EQ(fixture.bytes("a"), before);
  EXPECT_EQ(fixture.server.in_flight_bytes(), before);
}

TEST(ChunkServer, ANewSessionReplacesTheOldOne) {
  ServerFixture fixture;
  const auto pack = make_pack(5);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 64 * 1024, {{0, 5, 0}});
  const auto first = fixture.pieces("a").size();
  fixture.ask("a", pack, 2, 64 * 1024, {{4, 1, 0}});
  ASSERT_GT(fixture.pieces("a").size(), first);
  for (std::size_t i = first; i < fixture.pieces("a").size(); ++i) {
    EXPECT_EQ(fixture.pieces("a")[i].session, 2U);
    EXPECT_EQ(fixture.pieces("a")[i].ordinal, 4U);
  }
  const auto second = fixture.pieces("a").size();
  fixture.ask("a", pack, 1, 64 * 1024, {{0, 5, 0}});
  EXPECT_EQ(fixture.pieces("a").size(), second) << "an old session is over";
}

TEST(ChunkServer, OpeningSessionsWithoutReadingCostsTwoWindowsNotMore) {
  ServerFixture fixture;
  const auto pack = make_pack(6, 20, 200'000);
  fixture.add(pack);
  for (std::uint32_t session = 1; session <= 40; ++session) fixture.ask("a", pack, session, 512 * 1024, {{0, 21, 0}});
  EXPECT_LE(fixture.bytes("a"), 2U * limits::kWindowBytesMax);
  EXPECT_LE(fixture.pieces("a").size(), 2U * limits::kWindowPiecesMax);
  const auto before = fixture.pieces("a").size();
  // The first credit of a session shows that all earlier pieces have arrived.
  std::uint64_t last_session_bytes = 0;
  for (const auto& piece : fixture.pieces("a")) last_session_bytes += piece.session == 2 ? piece.data.size() : 0;
  EXPECT_GT(last_session_bytes, 0U);
  fixture.server.drop(device_id("a"));
  EXPECT_EQ(fixture.server.in_flight_bytes(), 0U);
  fixture.ask("a", pack, 41, 512 * 1024, {{0, 21, 0}});
  EXPECT_GT(fixture.pieces("a").size(), before);
}

TEST(ChunkServer, CreditOfTheNewSessionFreesWhatTheOldOneLeft) {
  ServerFixture fixture;
  const auto pack = make_pack(7, 20, 200'000);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 512 * 1024, {{0, 21, 0}});
  const auto first = fixture.pieces("a").size();
  fixture.ask("a", pack, 2, 512 * 1024, {{0, 21, 0}});
  const auto one = fixture.pieces("a")[first].data.size();
  fixture.credit("a", 2, one, 512 * 1024);
  EXPECT_EQ(fixture.server.in_flight_bytes(), fixture.bytes("a", first) - one);
}

TEST(ChunkServer, ASessionGoesOnAfterTheServerForgotIt) {
  ServerFixture fixture;
  const auto pack = make_pack(8);
  fixture.add(pack);
  fixture.ask("a", pack, 5, 64 * 1024, {{2, 1, 0}}, 1'000'000);
  EXPECT_EQ(fixture.bytes("a"), 65'536U);
  fixture.credit("a", 5, 1'000'000 + 65'536, 64 * 1024);
  EXPECT_EQ(fixture.bytes("a"), 100'000U);
}

TEST(ChunkServer, FalseCreditGainsNothing) {
  ServerFixture fixture;
  const auto pack = make_pack(9, 20, 200'000);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 64 * 1024, {{0, 21, 0}});
  fixture.credit("a", 1, ~std::uint64_t{0}, 64 * 1024);
  EXPECT_LE(fixture.server.in_flight_bytes(), 64U * 1024);
  const auto before = fixture.bytes("a");
  fixture.credit("a", 1, 0, 64 * 1024);
  EXPECT_EQ(fixture.bytes("a"), before) << "credit does not go back";
  fixture.credit("b", 1, 1'000, 64 * 1024);
  EXPECT_EQ(fixture.server.session_count(), 1U) << "credit alone opens no session";
}

// A device may say any number. None ends the broker, and none gains more than a window.
TEST(ChunkServer, NoNumberOfAFetchEndsIt) {
  constexpr std::uint64_t kNumbers[] = {0,
                                        1,
                                        1'000,
                                        (std::uint64_t{1} << 32) - 1,
                                        std::uint64_t{1} << 32,
                                        std::uint64_t{1} << 63,
                                        UINT64_MAX - 40'000,
                                        UINT64_MAX - 1,
                                        UINT64_MAX};
  const auto pack = make_pack(30, 4, 50'000);
  for (const auto first : kNumbers) {
    for (const auto second : kNumbers) {
      ServerFixture fixture;
      fixture.add(pack);
      fixture.ask("a", pack, 1, 40'000, {{0, 5, 0}}, first);
      EXPECT_EQ(fixture.bytes("a"), 500U + 32'768U) << first << ": the head, and one whole piece";
      fixture.server.assert_invariants();
      fixture.credit("a", 1, second, 40'000);
      fixture.server.assert_invariants();
      EXPECT_LE(fixture.server.in_flight_bytes(), 40'000U) << first << ", " << second;
      fixture.credit("a", 1, first + 33'268, 40'000);
      fixture.server.assert_invariants();
      // The next session goes on from any number too.
      fixture.ask("a", pack, 2, 40'000, {{0, 5, 0}}, second);
      fixture.credit("a", 2, first, 40'000);
      fixture.server.assert_invariants();
      EXPECT_LE(fixture.server.in_flight_bytes(), 80'000U) << first << ", " << second;
      fixture.server.drop(device_id("a"));
      EXPECT_EQ(fixture.server.in_flight_bytes(), 0U);
    }
  }
}

TEST(ChunkServer, NoSmallNumberOfAFetchEndsIt) {
  constexpr std::uint32_t kNumbers[] = {0, 1, 511, 512, 1U << 16, 1U << 31, UINT32_MAX};
  const auto pack = make_pack(31, 4, 50'000);
  for (const auto number : kNumbers) {
    for (int field = 0; field < 7; ++field) {
      ServerFixture fixture;
      fixture.add(pack);
      wire::Fetch fetch{.session = 1, .pack = pack.id, .ranges = {{0, 5, 0}}, .window_bytes = 40'000};
      fetch.piece_bytes_max = 32'768;
      if (field == 0) fetch.session = number;
      if (field == 1) fetch.window_bytes = number;
      if (field == 2) fetch.piece_bytes_max = number;
      if (field == 3) fetch.ranges[0].first = number;
      if (field == 4) fetch.ranges[0].count = number;
      if (field == 5) fetch.ranges[0].offset = number;
      if (field == 6) fetch.rollout = number == UINT32_MAX ? UINT64_MAX : std::uint64_t{number} << 32;
      fixture.server.fetch(device_id("a"), fetch, fixture.now);
      fixture.settle();
      fixture.server.assert_invariants();
      EXPECT_LE(fixture.server.in_flight_bytes(), limits::kWindowBytesMax) << field << ": " << number;
    }
  }
}

TEST(ChunkServer, TakesTurns) {
  ServerFixture fixture;
  const auto pack = make_pack(10, 10, 200'000);
  fixture.add(pack);
  // Both are in the ring before anything is sent, since the directory is still being read.
  for (const auto* name : {"a", "b"}) {
    wire::Fetch fetch;
    fetch.session = 1;
    fetch.pack = pack.id;
    fetch.ranges = {{1, 10, 0}};
    fetch.window_bytes = 512 * 1024;
    fetch.piece_bytes_max = 32 * 1024;
    fixture.server.fetch(device_id(name), fetch, fixture.now);
  }
  for (int i = 0; i < 100; ++i) {
    fixture.store.poll();
    fixture.server.pump();
    const auto a = fixture.pieces("a").size();
    const auto b = fixture.pieces("b").size();
    EXPECT_LE(a > b ? a - b : b - a, 8U);
  }
  EXPECT_EQ(fixture.pieces("a").size(), 16U);
  EXPECT_EQ(fixture.pieces("b").size(), 16U);
}

TEST(ChunkServer, AGreedyDeviceDoesNotHoldUpAModestOne) {
  ServerFixture fixture;
  const auto pack = make_pack(11, 20, 200'000);
  fixture.add(pack);
  fixture.ask("greedy", pack, 1, 512 * 1024, {{0, 21, 0}});
  fixture.ask("modest", pack, 1, 4'096, {{0, 1, 0}}, 0, 512);
  EXPECT_EQ(fixture.bytes("modest"), 500U);
}

TEST(ChunkServer, SaysWhyAFetchCannotBeServed) {
  ServerFixture fixture;
  const auto pack = make_pack(12);
  const auto unknown = make_pack(13);
  fixture.add(pack, 2);
  fixture.ask("a", unknown, 1, 65'536, {{0, 1, 0}, {2, 1, 0}});
  ASSERT_EQ(fixture.pieces("a").size(), 1U) << "one answer for the whole pack";
  EXPECT_EQ(fixture.pieces("a")[0].fault, wire::ChunkFault::unknown_pack);
  fixture.ask("a", pack, 2, 65'536, {{5, 1, 0}, {4, 2, 0}, {0, 1, 500}, {0, 1, 0}});
  ASSERT_EQ(fixture.pieces("a").size(), 5U);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(fixture.pieces("a")[i].fault, wire::ChunkFault::out_of_range) << i;
  EXPECT_EQ(fixture.pieces("a")[4].data, pack.encoded[0]);
  fixture.ask("a", pack, 3, 65'536, {{2, 1, 0}});
  EXPECT_EQ(fixture.pieces("a").back().fault, wire::ChunkFault::unknown_pack) << "a chunk that was never uploaded";
}

TEST(ChunkServer, TooManyRangesAreAnsweredBusy) {
  ServerFixture fixture;
  const auto pack = make_pack(14);
  fixture.add(pack);
  std::vector<wire::ChunkRange> ranges(limits::kFetchRangesMax, wire::ChunkRange{1, 1, 0});
  for (int i = 0; i < 5; ++i) fixture.ask("a", pack, 1, 0, ranges);
  ASSERT_EQ(fixture.pieces("a").size(), 1U);
  EXPECT_EQ(fixture.pieces("a")[0].fault, wire::ChunkFault::busy);
}

TEST(ChunkServer, TheCommonBudgetBoundsAllDevicesAndIsGivenBack) {
  ServerFixture fixture({.in_flight_bytes_max = 100'000});
  const auto pack = make_pack(15, 5, 200'000);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 512 * 1024, {{1, 5, 0}});
  EXPECT_LE(fixture.server.in_flight_bytes(), 100'000U);
  fixture.ask("b", pack, 1, 512 * 1024, {{1, 5, 0}});
  EXPECT_EQ(fixture.bytes("b"), 0U);
  fixture.server.drop(device_id("a"));
  fixture.settle();
  EXPECT_GT(fixture.bytes("b"), 0U);
  EXPECT_LE(fixture.server.in_flight_bytes(), 100'000U);
}

TEST(ChunkServer, StalledSessionsGiveTheirShareBackSoonerWhenItIsShort) {
  ServerFixture fixture({.in_flight_bytes_max = 100'000, .stall_ms = 600'000, .stall_ms_when_tight = 60'000});
  const auto pack = make_pack(16, 5, 200'000);
  fixture.add(pack);
  fixture.ask("dead", pack, 1, 512 * 1024, {{1, 5, 0}});
  fixture.ask("alive", pack, 1, 512 * 1024, {{1, 5, 0}});
  fixture.server.drop_stalled({kStart.value + 59'999});
  EXPECT_EQ(fixture.server.session_count(), 2U);
  fixture.now = {kStart.value + 30'000};
  fixture.credit("alive", 1, 0, 512 * 1024);
  fixture.server.drop_stalled({kStart.value + 60'000});
  fixture.settle();
  EXPECT_EQ(fixture.server.session_count(), 1U);
  EXPECT_GT(fixture.bytes("alive"), 0U);
}

TEST(ChunkServer, ASlowDeviceIsNotDroppedAsStalled) {
  ServerFixture fixture;
  const auto pack = make_pack(17, 5, 200'000);
  fixture.add(pack);
  fixture.ask("slow", pack, 1, 512 * 1024, {{1, 5, 0}});
  fixture.server.drop_stalled({kStart.value + 599'999});
  EXPECT_EQ(fixture.server.session_count(), 1U);
  fixture.server.drop_stalled({kStart.value + 600'000});
  EXPECT_EQ(fixture.server.session_count(), 0U);
  EXPECT_EQ(fixture.server.in_flight_bytes(), 0U);
}

TEST(ChunkServer, ASessionThatIsOverIsForgottenAndGoesOnWhenAskedAgain) {
  ServerFixture fixture;
  const auto pack = make_pack(22);
  fixture.add(pack);
  fixture.ask("a", pack, 1, 512 * 1024, {{0, 1, 0}});
  ASSERT_EQ(fixture.bytes("a"), 500U);
  fixture.server.drop_stalled({kStart.value + 60'000});
  EXPECT_EQ(fixture.server.session_count(), 1U) << "the device has not yet confirmed what it received";
  fixture.credit("a", 1, 500, 512 * 1024);
  fixture.server.drop_stalled({kStart.value + 9'999});
  EXPECT_EQ(fixture.server.session_count(), 1U);
  fixture.server.drop_stalled({kStart.value + 10'000});
  EXPECT_EQ(fixture.server.session_count(), 0U);
  fixture.ask("a", pack, 1, 512 * 1024, {{0, 1, 0}}, 500);
  EXPECT_EQ(fixture.bytes("a"), 1'000U);
}

TEST(ChunkServer, TheCacheOfChunksIsBounded) {
  ServerFixture fixture({.cache_bytes_max = 300'000});
  const auto pack = make_pack(18, 20, 100'000);
  fixture.add(pack);
  std::uint64_t received = 0;
  fixture.ask("a", pack, 1, 512 * 1024, {{0, 21, 0}});
  while (received < fixture.bytes("a")) {
    received = fixture.bytes("a");
    fixture.credit("a", 1, received, 512 * 1024);
    EXPECT_LE(fixture.server.cached_bytes(), 300'000U);
  }
  EXPECT_EQ(received, 2'000'500U);
}

TEST(ChunkServer, ADroppedDeviceIsSentNothingMore) {
  ServerFixture fixture;
  const auto pack = make_pack(19);
  fixture.add(pack);
  wire::Fetch fetch;
  fetch.session = 1;
  fetch.pack = pack.id;
  fetch.ranges = {{0, 5, 0}};
  fetch.window_bytes = 65'536;
  fetch.piece_bytes_max = 32'768;
  fixture.server.fetch(device_id("a"), fetch, fixture.now);
  fixture.server.drop(device_id("a"));
  fixture.settle();
  EXPECT_TRUE(fixture.pieces("a").empty());
  EXPECT_EQ(fixture.server.session_count(), 0U);
}

TEST(ChunkServer, ManyDevicesWaitForOneChunkAndAllGetIt) {
  ServerFixture fixture;
  const auto pack = make_pack(20);
  fixture.add(pack);
  for (int i = 0; i < 200; ++i) {
    wire::Fetch fetch;
    fetch.session = 1;
    fetch.pack = pack.id;
    fetch.ranges = {{0, 1, 0}};
    fetch.window_bytes = 65'536;
    fetch.piece_bytes_max = 32'768;
    fixture.server.fetch(device_id("d" + std::to_string(i)), fetch, fixture.now);
  }
  fixture.settle();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(fixture.bytes("d" + std::to_string(i)), 500U) << i;
}

TEST(ChunkServer, MoreChunksThanLoadAtOnceAreStillAllServed) {
  ServerFixture fixture;
  const auto pack = make_pack(21, 100, 600);
  fixture.add(pack);
  for (std::uint32_t i = 1; i <= 100; ++i) {
    wire::Fetch fetch;
    fetch.session = 1;
    fetch.pack = pack.id;
    fetch.ranges = {{i, 1, 0}};
    fetch.window_bytes = 65'536;
    fetch.piece_bytes_max = 32'768;
    fixture.server.fetch(device_id("d" + std::to_string(i)), fetch, fixture.now);
  }
  fixture.settle();
  for (std::uint32_t i = 1; i <= 100; ++i) EXPECT_EQ(fixture.bytes("d" + std::to_string(i)), 600U) << i;
}

}  // namespace
}  // namespace instar::broker

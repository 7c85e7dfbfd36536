// A release from its upload to its commit, as broker, operator and device see it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"

namespace instar::broker {
namespace {

using wire::Step;

wire::Fetch fetch_of(const PackFixture& pack, std::uint32_t chunks, const ManifestId& rollout) {
  wire::Fetch fetch;
  fetch.session = 0x10001;
  fetch.pack = pack.id;
  fetch.ranges = {{0, chunks, 0}};
  fetch.window_bytes = 512 * 1024;
  fetch.piece_bytes_max = 32 * 1024;
  fetch.rollout = rollout.prefix64();
  return fetch;
}

TEST(ServiceLife, GoesFromUploadToCommitted) {
  ServiceFixture fixture;
  ASSERT_TRUE(fixture.start().has_value());
  fixture.settle();
  EXPECT_EQ(fixture.broker().retained[fixture.topics().root()], fixture.options().pinned_root);

  const auto pack = make_pack(1);
  fixture.upload(pack);
  const auto stored = fixture.stored();
  ASSERT_GE(stored.size(), 2U);
  EXPECT_TRUE(stored.front().directory);
  ASSERT_EQ(stored.front().missing.size(), 1U);
  EXPECT_EQ(stored.front().missing[0].first, 0U);
  EXPECT_EQ(stored.front().missing[0].count, 5U);
  EXPECT_TRUE(stored.back().complete);

  FakeDevice device("gw-01");
  EXPECT_EQ(fixture.hello(device), Verdict::consume);
  fixture.settle();
  ASSERT_EQ(fixture.acks(device).size(), 1U);
  EXPECT_EQ(fixture.acks(device)[0].sequence, 0U);

  const auto manifest = make_manifest(pack, 1);
  const auto rollout = rollout_of(manifest);
  EXPECT_EQ(fixture.publish(manifest), Verdict::consume);
  EXPECT_FALSE(fixture.gate("plant-7").has_value()) << "the gate must wait for the store";
  fixture.settle();
  const auto gate = fixture.gate("plant-7");
  ASSERT_TRUE(gate.has_value());
  EXPECT_EQ(gate->manifest, rollout);
  EXPECT_EQ(gate->sequence, 1U);
  EXPECT_EQ(gate->admitted_bp, 10'000U);
  EXPECT_EQ(gate->state, wire::GateState::open);
  EXPECT_EQ(gate->issue, 1U);
  EXPECT_EQ(fixture.status(rollout)["state"], "active");
  EXPECT_EQ(fixture.status(rollout)["devices"], 1);
  EXPECT_EQ(fixture.status(rollout)["counts"]["waiting"], 1);

  auto fetch = fetch_of(pack, 5, rollout);
  EXPECT_EQ(fixture.fetch(device, fetch), Verdict::consume);
  fixture.settle();
  std::vector<Bytes> got(5);
  for (const auto& piece : fixture.pieces(device)) {
    ASSERT_EQ(piece.fault, wire::ChunkFault::none);
    ASSERT_EQ(piece.offset, got[piece.ordinal].size());
    got[piece.ordinal].insert(got[piece.ordinal].end(), piece.data.begin(), piece.data.end());
  }
  // 500 bytes and 4 × 100 000 in pieces of 32 KiB: 17 pieces, of which 16 may be in flight.
  EXPECT_EQ(fixture.pieces(device).size(), 16U);
  fetch.pack.reset();
  fetch.ranges.clear();
  fetch.received_bytes = fixture.transferred_bytes;
  EXPECT_EQ(fixture.fetch(device, fetch), Verdict::consume);
  fixture.settle();
  ASSERT_EQ(fixture.pieces(device).size(), 17U);
  const auto last = fixture.pieces(device).back();
  got[4].insert(got[4].end(), last.data.begin(), last.data.end());
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(got[i], pack.encoded[i]) << i;

  for (const auto step : {Step::fetching, Step::staging, Step::trying, Step::committed})
    fixture.report(device, rollout, step);
  EXPECT_EQ(fixture.acks(device).size(), 1U) << "an ack must wait for the store";
  fixture.settle();
  ASSERT_EQ(fixture.acks(device).size(), 2U) << "the four became durable together";
  EXPECT_EQ(fixture.acks(device).back().sequence, 4U);
  fixture.tick(1'000);
  fixture.tick(5'000);
  fixture.settle();
  fixture.tick(1'000);
  fixture.settle();
  const auto status = fixture.status(rollout);
  EXPECT_EQ(status["state"], "complete");
  EXPECT_EQ(status["counts"]["committed"], 1);
  EXPECT_EQ(status["counts"]["waiting"], 0);
  EXPECT_EQ(status["bytes_sent"], 400'500);
  EXPECT_EQ(status["bytes_full"], 400'500);
}

// At a stop the service saves what it has counted since the last save.
TEST(ServiceLife, CountedBytesAreKeptAcrossAStop) {
  ServiceFixture fixture;
  ASSERT_TRUE(fixture.start().has_value());
  const auto pack = make_pack(1);
  fixture.upload(pack);
  FakeDevice device("gw-01");
  fixture.hello(device);
  const auto manifest = make_manifest(pack, 1);
  fixture.publish(manifest);
  fixture.settle();
  const auto fetch = fetch_of(pack, 1, rollout_of(manifest));
  EXPECT_EQ(fixture.fetch(device, fetch), Verdict::consume);
  fixture.settle();
  ASSERT_EQ(fixture.transferred_bytes, 500U);
  fixture.service().on_stop();
  fixture.store().flush();
  fixture.store().poll();
  ASSERT_TRUE(fixture.restart().has_value());
  fixture.settle();
  fixture.tick(1'000);
  EXPECT_EQ(fixture.status(rollout_of(manifest))["bytes_sent"], 500);
}

}  // namespace
}  // namespace instar::broker

// The whole life of a release, as broker, operator and device see it.
#include <gtest/gtest.h>

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
  ServiceFixture rig;
  ASSERT_TRUE(rig.start().has_value());
  rig.settle();
  EXPECT_EQ(rig.broker().retained[rig.topics().root()], rig.options().pinned_root);

  const auto pack = make_pack(1);
  rig.upload(pack);
  const auto stored = rig.stored();
  ASSERT_GE(stored.size(), 2U);
  EXPECT_TRUE(stored.front().directory);
  ASSERT_EQ(stored.front().missing.size(), 1U);
  EXPECT_EQ(stored.front().missing[0].first, 0U);
  EXPECT_EQ(stored.front().missing[0].count, 5U);
  EXPECT_TRUE(stored.back().complete);

  FakeDevice device("gw-01");
  EXPECT_EQ(rig.hello(device), Verdict::consume);
  rig.settle();
  ASSERT_EQ(rig.acks(device).size(), 1U);
  EXPECT_EQ(rig.acks(device)[0].sequence, 0U);

  const auto manifest = make_manifest(pack, 1);
  const auto rollout = rollout_of(manifest);
  EXPECT_EQ(rig.publish(manifest), Verdict::consume);
  EXPECT_FALSE(rig.gate("plant-7").has_value()) << "the gate must wait for the store";
  rig.settle();
  const auto gate = rig.gate("plant-7");
  ASSERT_TRUE(gate.has_value());
  EXPECT_EQ(gate->manifest, rollout);
  EXPECT_EQ(gate->sequence, 1U);
  EXPECT_EQ(gate->admitted_bp, 10'000U);
  EXPECT_EQ(gate->state, wire::GateState::open);
  EXPECT_EQ(gate->issue, 1U);
  EXPECT_EQ(rig.status(rollout)["state"], "active");
  EXPECT_EQ(rig.status(rollout)["devices"], 1);
  EXPECT_EQ(rig.status(rollout)["counts"]["waiting"], 1);

  auto fetch = fetch_of(pack, 5, rollout);
  EXPECT_EQ(rig.fetch(device, fetch), Verdict::consume);
  rig.settle();
  std::vector<Bytes> got(5);
  for (const auto& piece : rig.pieces(device)) {
    ASSERT_EQ(piece.fault, wire::ChunkFault::none);
    ASSERT_EQ(piece.offset, got[piece.ordinal].size());
    got[piece.ordinal].insert(got[piece.ordinal].end(), piece.data.begin(), piece.data.end());
  }
  // 500 bytes and 4 × 100 000 in pieces of 32 KiB: 17 pieces, of which 16 may be out.
  EXPECT_EQ(rig.pieces(device).size(), 16U);
  fetch.pack.reset();
  fetch.ranges.clear();
  fetch.received_bytes = rig.transferred_bytes;
  EXPECT_EQ(rig.fetch(device, fetch), Verdict::consume);
  rig.settle();
  ASSERT_EQ(rig.pieces(device).size(), 17U);
  const auto last = rig.pieces(device).back();
  got[4].insert(got[4].end(), last.data.begin(), last.data.end());
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(got[i], pack.encoded[i]) << i;

  for (const auto step : {Step::fetching, Step::staging, Step::trying, Step::committed})
    rig.report(device, rollout, step);
  EXPECT_EQ(rig.acks(device).size(), 1U) << "an ack must wait for the store";
  rig.settle();
  ASSERT_EQ(rig.acks(device).size(), 2U) << "the four became durable together";
  EXPECT_EQ(rig.acks(device).back().sequence, 4U);
  rig.tick(1'000);
  rig.tick(5'000);
  rig.settle();
  rig.tick(1'000);
  rig.settle();
  const auto status = rig.status(rollout);
  EXPECT_EQ(status["state"], "complete");
  EXPECT_EQ(status["counts"]["committed"], 1);
  EXPECT_EQ(status["counts"]["waiting"], 0);
  EXPECT_EQ(status["bytes_sent"], 400'500);
  EXPECT_EQ(status["bytes_full"], 400'500);
}

// A stop is no crash: what was counted and not yet saved is.
TEST(ServiceLife, BytesThatWereCountedOutliveAStop) {
  ServiceFixture rig;
  ASSERT_TRUE(rig.start().has_value());
  const auto pack = make_pack(1);
  rig.upload(pack);
  FakeDevice device("gw-01");
  rig.hello(device);
  const auto manifest = make_manifest(pack, 1);
  rig.publish(manifest);
  rig.settle();
  const auto fetch = fetch_of(pack, 1, rollout_of(manifest));
  EXPECT_EQ(rig.fetch(device, fetch), Verdict::consume);
  rig.settle();
  ASSERT_EQ(rig.transferred_bytes, 500U);
  rig.service().on_stop();
  rig.store().flush();
  rig.store().poll();
  ASSERT_TRUE(rig.restart().has_value());
  rig.settle();
  rig.tick(1'000);
  EXPECT_EQ(rig.status(rollout_of(manifest))["bytes_sent"], 500);
}

}  // namespace
}  // namespace instar::broker

// docs/formats/device-state.md, held to its word.
#include "core/revision/state_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "core/base/testing/some_hash.hpp"
#include "core/trust/digest.hpp"

namespace instar::revision {
namespace {

SomeHash filled(std::uint8_t fill) {
  SomeHash hash;
  hash.bytes.fill(fill);
  return hash;
}

RevisionRecord record(std::uint32_t number, std::uint64_t sequence) {
  return {
      number,
      {"pump", "2." + std::to_string(sequence), sequence, filled(static_cast<std::uint8_t>(sequence)), {filled(0xa0)}}};
}

// The device of the worked example: release 2.4 runs, 2.5 is being fetched, one report is not acked yet.
DeviceState example() {
  DeviceState state;
  state.generation = 41;
  state.phase = Phase::fetching;
  state.revisions.current = record(3, 4);
  state.revisions.current_manifest = {0x49, 0x4e, 0x53, 0x45};
  state.revisions.candidate = record(4, 5);
  state.revisions.candidate_manifest = {0x49, 0x4e, 0x53, 0x45, 0x01};
  state.attempt.number = 1;
  state.attempt.first = 1;
  state.attempt.bytes_planned = 94'000;
  state.attempt.planned_exact = true;
  state.attempt.bytes_fetched = 40'000;
  state.attempt.bytes_full = 120'000;
  state.history.highest_sequence = 5;
  state.root = {0x52};
  state.history.outcomes = {{filled(4), 4, 1, 0, wire::Step::committed, Code::ok}};
  state.gates = {{filled(5), 2}};
  state.reports.pending = {{9, {0xde, 0xad}}};
  state.reports.last_report = 9;
  state.reports.acked_report = 8;
  state.boot = 7;
  state.revisions.next_number = 5;
  state.revisions.numbers = {3, 4};
  state.attempt.packs = {filled(0xb0)};
  return state;
}

DeviceState everything() {
  auto state = example();
  state.phase = Phase::rolling_back;
  state.revisions.previous = record(2, 3);
  state.revisions.previous_manifest = {1, 2, 3};
  state.attempt.retry_epoch = 3;
  state.trial.starts = 2;
  state.trial.reachable_before = true;
  state.trial.verdict_code = Code::unhealthy;
  state.trial.verdict_reason = "exit 3";
  state.attempt.pack_kind = 1;
  state.history.outcomes.back().step = wire::Step::rolled_back;
  state.history.outcomes.back().reason = "container 'web': its probe ended with 3";
  state.history.refused = {filled(0x11), filled(0x22)};
  state.history.refusal = "signed by a key that the root document does not name";
  state.attempt.bytes_spent = 12'345;
  state.attempt.fallback_reason = "etc/motd was changed";
  state.attempt.staging_reported = true;
  state.assignment = {0x49, 0x4e, 0x53, 0x45, 0x06};
  state.attempt.bytes_before = 94'000;
  state.permission.start_rollout = 0x0102'0304'0506'0708;
  state.permission.start_attempt = 2;
  state.permission.waits = "waits for its turn";
  state.permission.waits_manifest = filled(0x33);
  state.permission.waits_attempt = 3;
  state.permission.waits_asks = true;
  state.hearing = {WallMs{1'700'000'000'000}, WallMs{1'700'000'100'000}};
  return state;
}

Bytes fixture() {
  std::ifstream file(std::string(INSTAR_SOURCE_DIR) + "/tests/fixtures/device_state.hex");
  std::string hex;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::erase(line, ' ');
    hex += line;
  }
  Bytes bytes;
  EXPECT_TRUE(from_hex(hex, bytes));
  return bytes;
}

// Whole again after a change, so that the change itself is what is looked at.
Bytes with_checksum(Bytes body) {
  const auto checksum = trust::digest(body);
  body.insert(body.end(), checksum.bytes.begin(), checksum.bytes.end());
  return body;
}

TEST(StateCodec, ReadsWhatItWrote) {
  for (const auto& state : {example(), everything()}) {
    const auto decoded = decode_state(encode_state(state));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(*decoded, state);
  }
}

TEST(StateCodec, WritesTheExampleOfThePage) {
  EXPECT_EQ(to_hex(encode_state(example())), to_hex(fixture()));
}

TEST(StateCodec, ReadsTheExampleOfThePage) {
  const auto decoded = decode_state(fixture());
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(*decoded, example());
}

TEST(StateCodec, NoticesEveryFlippedByte) {
  const auto good = fixture();
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x10;
    const auto decoded = decode_state(bad);
    ASSERT_FALSE(decoded.has_value()) << "byte " << i;
    EXPECT_EQ(decoded.error().code, Code::corrupt);
  }
}

TEST(StateCodec, NoticesEveryWayToBeCutOff) {
  const auto good = fixture();
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto decoded = decode_state(ByteView(good).first(size));
    ASSERT_FALSE(decoded.has_value()) << size << " bytes";
    EXPECT_EQ(decoded.error().code, Code::corrupt);
  }
}

TEST(StateCodec, RefusesZeroesAsAFreshlyCutFileSystemLeavesThem) {
  EXPECT_EQ(decode_state(Bytes(fixture().size(), 0)).error().code, Code::corrupt);
}

TEST(StateCodec, RefusesOtherBytesWithAGoodChecksum) {
  EXPECT_EQ(decode_state(with_checksum(Bytes(64, 0x5a))).error().code, Code::malformed);
}

TEST(StateCodec, RefusesAPhaseWithoutItsCandidate) {
  for (const auto phase : {Phase::waiting, Phase::fetching, Phase::staging, Phase::trying, Phase::rolling_back}) {
    auto state = example();
    state.phase = phase;
    state.revisions.candidate.reset();
    EXPECT_EQ(decode_state(encode_state(state)).error().code, Code::malformed) << phase_name(phase);
  }
}

TEST(StateCodec, RefusesACurrentRevisionWithoutManifestAndAStateWithoutRoot) {
  auto state = example();
  state.revisions.current_manifest.clear();
  EXPECT_EQ(decode_state(encode_state(state)).error().code, Code::malformed);
  state = example();
  state.root.clear();
  EXPECT_EQ(decode_state(encode_state(state)).error().code, Code::malformed);
}

TEST(StateCodec, NamesEveryPhase) {
  for (std::size_t i = 0; i < kPhaseCount; ++i) EXPECT_NE(phase_name(static_cast<Phase>(i)), "unknown");
}

}  // namespace
}  // namespace instar::revision

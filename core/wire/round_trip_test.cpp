#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

// Decoding and encoding gives the same bytes, and so does encoding again. A message that is cut anywhere is refused,
// unless only padding was cut.
template <typename Encode, typename Decode, typename Value>
void expect_round_trip(const Value& value, Encode encode_value, Decode decode) {
  const Bytes bytes = encode_value(value);
  EXPECT_EQ(bytes, encode_value(value));
  const auto back = decode(bytes);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(encode_value(*back), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = decode(ByteView(bytes).first(size));
    if (cut.has_value()) {
      EXPECT_EQ(encode_value(*cut), bytes) << size;
      EXPECT_LT(bytes.size() - size, 8U);
    } else {
      EXPECT_EQ(cut.error().code, Code::malformed) << size << ": " << cut.error().message;
    }
  }
  // Another message's identifier.
  Bytes other = bytes;
  other[7] ^= 0x20;
  EXPECT_EQ(decode(other).error().code, Code::malformed);
  EXPECT_EQ(decode(Bytes(129 * 1024)).error().code, Code::too_large);
}

constexpr auto kEncode = [](const auto& value) { return encode(value); };

TEST(RoundTrip, Manifest) {
  expect_round_trip(examples::manifest(), encode_manifest, decode_manifest);
}
TEST(RoundTrip, Gate) {
  expect_round_trip(examples::gate(), kEncode, decode_gate);
}
TEST(RoundTrip, Hello) {
  expect_round_trip(examples::hello(), kEncode, decode_hello);
}
TEST(RoundTrip, Assignment) {
  expect_round_trip(examples::assignment(), kEncode, decode_assignment);
}
TEST(RoundTrip, Fetch) {
  expect_round_trip(examples::fetch(), kEncode, decode_fetch);
}
TEST(RoundTrip, Chunk) {
  expect_round_trip(examples::piece(), kEncode, decode_chunk_piece);
}
TEST(RoundTrip, Ack) {
  expect_round_trip(examples::ack(), kEncode, decode_ack);
  auto ack = examples::ack();
  ack.endings = {to_bytes("a gate"), to_bytes("another one")};
  expect_round_trip(ack, kEncode, decode_ack);
  EXPECT_EQ(decode_ack(encode(ack))->endings, ack.endings);
  ack.endings.push_back(to_bytes("one more than there may be"));
  EXPECT_EQ(decode_ack(encode(ack)).error().code, Code::too_large);
}
TEST(RoundTrip, Put) {
  expect_round_trip(examples::put(), kEncode, decode_put);
}
TEST(RoundTrip, Stored) {
  expect_round_trip(examples::stored(), kEncode, decode_stored);
}

// The smallest form of each message: optional fields are absent, and are read as their defaults.
TEST(RoundTrip, LeastManifest) {
  Manifest least;
  least.product = "p";
  least.release = "1";
  least.sequence = 1;
  least.groups = {examples::group("g")};
  least.artifacts = {{examples::hash("artifact 2"), ArtifactKind::tree, 0, 0, 0, {examples::full_pack()}}};
  least.containers.resize(1);
  least.containers[0].name = "c";
  least.containers[0].artifact = examples::hash("artifact 2");
  expect_round_trip(least, encode_manifest, decode_manifest);
  const auto back = decode_manifest(encode_manifest(least)).value();
  EXPECT_EQ(back.expires.value, 0);
  EXPECT_EQ(back.containers[0].health.settle_ms, 10'000U);
  EXPECT_FALSE(back.containers[0].health.probe.has_value());
  EXPECT_EQ(back.policy.attempts_max, 1U);
  EXPECT_TRUE(back.policy.waves.empty());
}

TEST(RoundTrip, ManifestOfAnImage) {
  Manifest manifest = examples::manifest();
  for (const auto format : {ImageFormat::squashfs, ImageFormat::erofs, ImageFormat::ext4}) {
    manifest.artifacts[0].kind = ArtifactKind::image;
    manifest.artifacts[0].image_format = format;
    manifest.artifacts[0].entry_count = 2;
    expect_round_trip(manifest, encode_manifest, decode_manifest);
    EXPECT_EQ(decode_manifest(encode_manifest(manifest)).value().artifacts[0].image_format, format);
    EXPECT_EQ(parse_image_format(image_format_name(format)), format);
  }
  EXPECT_EQ(parse_image_format("none"), std::nullopt);
}

TEST(RoundTrip, LeastOfTheOthers) {
  Gate gate;
  gate.group = examples::group("g");
  gate.product = "p";
  gate.manifest = examples::hash("m");
  expect_round_trip(gate, kEncode, decode_gate);
  Hello hello;
  hello.device = examples::device();
  hello.key = examples::key(1).public_key();
  hello.description.product = "p";
  expect_round_trip(hello, kEncode, decode_hello);
  EXPECT_FALSE(decode_hello(encode(hello)).value().description.running.has_value());
  hello.instance = 77;
  hello.token = to_bytes("secret");
  expect_round_trip(hello, kEncode, decode_hello);
  EXPECT_EQ(decode_hello(encode(hello)).value().instance, 77U);
  EXPECT_EQ(decode_hello(encode(hello)).value().token, to_bytes("secret"));
  hello.token.assign(limits::kTokenBytesMax + 1, 1);
  EXPECT_EQ(decode_hello(encode(hello)).error().code, Code::too_large);
  Fetch fetch;
  fetch.piece_bytes_max = 512;
  expect_round_trip(fetch, kEncode, decode_fetch);
  EXPECT_FALSE(decode_fetch(encode(fetch)).value().pack.has_value());
  ChunkPiece fault;
  fault.fault = ChunkFault::busy;
  expect_round_trip(fault, kEncode, decode_chunk_piece);
  fault.fault = ChunkFault::position;
  fault.ordinal = kNoOrdinal;
  expect_round_trip(fault, kEncode, decode_chunk_piece);
  expect_round_trip(Ack{}, kEncode, decode_ack);
  Ack stale;
  stale.code = Code::stale;
  stale.boot = 6;
  stale.instance = 77;
  expect_round_trip(stale, kEncode, decode_ack);
  EXPECT_EQ(decode_ack(encode(stale)).value().boot, 6U);
  EXPECT_EQ(decode_ack(encode(stale)).value().instance, 77U);
  Stored stored;
  stored.pack = examples::hash("p");
  expect_round_trip(stored, kEncode, decode_stored);
}

TEST(RoundTrip, AnEnrolmentHasAKeyOrATokenAndNotBoth) {
  Enrolment word;
  word.device = examples::device();
  word.product = "p";
  word.groups = {examples::group("g"), examples::group("lab")};
  word.issued = {1'760'000'000'000};
  word.expires = {1'790'000'000'000};
  EXPECT_EQ(decode_enrolment(encode(word)).error().code, Code::malformed) << "neither";
  word.key = examples::key(1).public_key();
  expect_round_trip(word, kEncode, decode_enrolment);
  const auto back = decode_enrolment(encode(word)).value();
  EXPECT_EQ(back.device, word.device);
  EXPECT_EQ(back.product, "p");
  EXPECT_EQ(back.groups, word.groups);
  EXPECT_EQ(back.key, word.key);
  EXPECT_EQ(back.issued, word.issued);
  EXPECT_EQ(back.expires, word.expires);
  word.token_hash = examples::hash("token");
  EXPECT_EQ(decode_enrolment(encode(word)).error().code, Code::malformed) << "both";
  word.key.reset();
  EXPECT_EQ(decode_enrolment(encode(word)).value().token_hash, word.token_hash);
  word.groups.clear();
  EXPECT_EQ(decode_enrolment(encode(word)).error().code, Code::malformed);
}

// Every value comes back in its own field.
TEST(RoundTrip, ManifestFields) {
  const auto back = decode_manifest(encode_manifest(examples::manifest())).value();
  EXPECT_EQ(back.product, "gateway-2");
  EXPECT_EQ(back.release, "2.4.1");
  EXPECT_EQ(back.sequence, 42U);
  EXPECT_EQ(back.issued.value, 1'760'000'000'000);
  EXPECT_EQ(back.expires.value, 1'790'000'000'000);
  EXPECT_EQ(back.groups[1].str(), "plant-9");
  EXPECT_EQ(back.notes, examples::manifest().notes);
  const Artifact& artifact = back.artifacts.at(0);
  EXPECT_EQ(artifact.id, examples::hash("artifact 2"));
  EXPECT_EQ(artifact.content_bytes, 12'000'000U);
  EXPECT_EQ(artifact.entry_count, 1'234U);
  EXPECT_EQ(artifact.index_bytes, 98'765U);
  EXPECT_EQ(artifact.packs.at(0).head, examples::full_pack().head);
  const Pack& delta = artifact.packs.at(1);
  EXPECT_EQ(delta.kind, artifact::PackKind::delta);
  EXPECT_EQ(delta.id, examples::hash("delta"));
  EXPECT_EQ(delta.base, examples::hash("artifact 1"));
  EXPECT_EQ(delta.body_count, 2U);
  EXPECT_EQ(delta.head_bytes, 700U);
  EXPECT_EQ(delta.body_bytes, 90'000U);
  EXPECT_EQ(delta.memory_bytes, 4'194'304U);
  EXPECT_EQ(delta.format, 2);
  EXPECT_EQ(delta.framing_bytes, 300U);
  EXPECT_EQ(back.requirements.architectures, (std::vector<std::string>{"aarch64", "x86_64"}));
  EXPECT_EQ(back.requirements.kernel_min, "5.10");
  EXPECT_EQ(back.requirements.client_min, "0.1.0");
  EXPECT_EQ(back.requirements.memory_bytes_min, 64'000'000U);
  EXPECT_EQ(back.requirements.free_bytes_min, 16'000'000U);
}

TEST(RoundTrip, ASharedVolumeStaysOne) {
  auto manifest = examples::manifest();
  for (const bool shared : {false, true}) {
    manifest.containers.at(0).volumes.at(0).shared = shared;
    EXPECT_EQ(decode_manifest(encode_manifest(manifest)).value().containers.at(0).volumes.at(0).shared, shared);
  }
}

TEST(RoundTrip, ContainerFields) {
  const auto back = decode_manifest(encode_manifest(examples::manifest())).value().containers.at(0);
  EXPECT_EQ(back.name, "web");
  EXPECT_EQ(back.artifact, examples::hash("artifact 2"));
  EXPECT_EQ(back.init, examples::container().init);
  EXPECT_EQ(back.settings.at(0).key, "lxc.cgroup2.memory.max");
  EXPECT_EQ(back.settings.at(0).value, "32M");
  const Volume& volume = back.volumes.at(0);
  EXPECT_EQ(volume.name, "certificates");
  EXPECT_EQ(volume.path, "/etc/ssl/site");
  EXPECT_EQ(volume.mode, 0750);
  EXPECT_EQ(volume.uid, 33U);
  EXPECT_EQ(volume.gid, 34U);
  EXPECT_EQ(back.health.settle_ms, 5'000U);
  EXPECT_EQ(back.health.ready_timeout_ms, 20'000U);
  ASSERT_TRUE(back.health.probe.has_value());
  EXPECT_EQ(back.health.probe->command, examples::container().health.probe->command);
  EXPECT_EQ(back.health.probe->timeout_ms, 3'000U);
  EXPECT_EQ(back.health.probe->interval_ms, 500U);
  EXPECT_EQ(back.health.probe->failures_max, 2U);
  EXPECT_EQ(back.start_order, 7U);
  EXPECT_EQ(back.handler, "lxc");
}

TEST(RoundTrip, PolicyFields) {
  const auto back = decode_manifest(encode_manifest(examples::manifest())).value().policy;
  const Wave& wave = back.waves.at(0);
  EXPECT_EQ(wave.share_bp, 100);
  EXPECT_EQ(wave.device_count, 5U);
  EXPECT_EQ(wave.devices, (std::vector<std::string>{"gw-01", "gw-02"}));
  EXPECT_EQ(wave.success_bp, 9'900);
  EXPECT_EQ(wave.soak_s, 3'600U);
  EXPECT_TRUE(wave.approval);
  EXPECT_EQ(wave.quorum_bp, 8'000);
  EXPECT_EQ(back.waves.at(1).share_bp, 10'000);
  EXPECT_EQ(back.failures_max, 3U);
  EXPECT_EQ(back.failures_bp, 200);
  EXPECT_EQ(back.budget_action, BudgetAction::abort);
  EXPECT_EQ(back.in_flight_max, 50U);
  EXPECT_EQ(back.starts_per_minute_max, 10U);
  EXPECT_EQ(back.attempts_max, 2U);
  EXPECT_EQ(back.backoff_s, 120U);
  EXPECT_EQ(back.deadline.value, 1'765'000'000'000);
  EXPECT_EQ(back.windows.at(0).days, 31);
  EXPECT_EQ(back.windows.at(0).start_minute, 120);
  EXPECT_EQ(back.windows.at(0).duration_minutes, 240);
  EXPECT_EQ(back.device_bytes_max, 5'000'000U);
  EXPECT_EQ(back.rollout_bytes_max, 500'000'000U);
  EXPECT_EQ(back.rate_bytes_per_s_max, 100'000U);
  EXPECT_TRUE(back.metered_fallback && back.consent && back.revert_allowed);
  EXPECT_EQ(back.silent_s, 7'200U);
  EXPECT_TRUE(back.download_any_time && back.unmetered_only);
  EXPECT_EQ(back.fall_back_stops, 5U);
  EXPECT_EQ(back.salt, examples::policy().salt);
}

TEST(RoundTrip, TheAgeOfAGateIsBoundedOnlyWhereThePolicySaysSo) {
  auto manifest = examples::manifest();
  EXPECT_EQ(decode_manifest(encode_manifest(manifest)).value().policy.stale_after_s, 0U);
  manifest.policy.stale_after_s = 30 * 86'400;
  EXPECT_EQ(decode_manifest(encode_manifest(manifest)).value().policy.stale_after_s, 30U * 86'400U);
}

TEST(RoundTrip, ADescriptionSaysWhatItsClockIs) {
  auto description = examples::hello().description;
  EXPECT_EQ(decode_description(encode_description(description)).value().clock, ClockState::unknown);
  description.time = WallMs{1'760'000'000'123};
  description.clock = ClockState::synchronized;
  const auto back = decode_description(encode_description(description));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, description);
}

TEST(RoundTrip, GateFields) {
  const auto back = decode_gate(encode(examples::gate())).value();
  EXPECT_EQ(back.group.str(), "plant-7/line-a");
  EXPECT_EQ(back.product, "gateway-2");
  EXPECT_EQ(back.manifest, examples::hash("manifest 42"));
  EXPECT_EQ(back.sequence, 42U);
  EXPECT_EQ(back.state, GateState::paused);
  EXPECT_EQ(back.admitted_bp, 2'500);
  EXPECT_EQ(back.wave, 1U);
  EXPECT_EQ(back.fresh.value, 1'760'000'100'000);
  EXPECT_EQ(back.wave_opened, examples::gate().wave_opened);
  EXPECT_EQ(back.issue, 9U);
  EXPECT_EQ(back.retry_epoch, 1U);
  EXPECT_EQ(back.admitted_point, std::uint64_t{1} << 30);
}

TEST(RoundTrip, HelloFields) {
  const auto back = decode_hello(encode(examples::hello())).value();
  EXPECT_EQ(back.device.str(), "gw-01");
  EXPECT_EQ(back.key, examples::key(examples::kDeviceKey).public_key());
  EXPECT_EQ(back.description.product, "gateway-2");
  EXPECT_EQ(back.description.groups, examples::hello().description.groups);
  EXPECT_EQ(back.description.architecture, "aarch64");
  EXPECT_EQ(back.description.kernel, "6.1.0-18-arm64");
  EXPECT_EQ(back.description.client_version, "0.1.0");
  EXPECT_EQ(back.description.memory_bytes, 67'108'864U);
  EXPECT_EQ(back.description.free_bytes, 12'345'678U);
  EXPECT_TRUE(back.description.metered);
  EXPECT_EQ(back.description.running, examples::hello().description.running);
  EXPECT_EQ(back.description.previous, examples::hello().description.previous);
  EXPECT_EQ(back.rollout, examples::hash("manifest 42"));
  EXPECT_EQ(back.step, Step::fetching);
  EXPECT_EQ(back.attempt, 1U);
  EXPECT_EQ(back.last_sequence, 17U);
  EXPECT_EQ(back.acked_sequence, 15U);
  EXPECT_EQ(back.boot, 6U);
  EXPECT_EQ(back.connect, 3U);
  EXPECT_EQ(back.description.pack_formats, std::vector<std::uint8_t>{1});
  EXPECT_EQ(back.description.root_version, 1U);
  EXPECT_EQ(back.description.degraded, examples::hello().description.degraded);
  EXPECT_EQ(back.description.image_formats, (std::vector{ImageFormat::squashfs, ImageFormat::ext4}));
  EXPECT_EQ(back.description.handlers, std::vector<std::string>{"kernel"});
  EXPECT_TRUE(back.asks_start);
}

TEST(RoundTrip, ReportFields) {
  const auto back = decode_report(encode(examples::report())).value();
  EXPECT_EQ(back.device.str(), "gw-01");
  EXPECT_EQ(back.sequence, 17U);
  EXPECT_EQ(back.rollout, examples::hash("manifest 42"));
  EXPECT_EQ(back.attempt, 1U);
  EXPECT_EQ(back.step, Step::rolled_back);
  EXPECT_EQ(back.code, Code::unhealthy);
  EXPECT_EQ(back.reason, examples::report().reason);
  EXPECT_EQ(back.bytes_planned, 91'000U);
  EXPECT_EQ(back.bytes_fetched, 90'700U);
  EXPECT_EQ(back.bytes_full, 3'001'500U);
  EXPECT_EQ(back.pack_kind, artifact::PackKind::delta);
  EXPECT_EQ(back.downtime_ms, 850U);
  EXPECT_EQ(back.switch_ms, 6'200U);
  EXPECT_EQ(back.device_time.value, 1'760'000'200'000);
  EXPECT_EQ(back.running, examples::running());
  EXPECT_TRUE(back.again && back.asks_start);
}

TEST(RoundTrip, AssignmentFields) {
  const auto back = decode_assignment(encode(examples::assignment())).value();
  EXPECT_EQ(back.device.str(), "gw-01");
  EXPECT_EQ(back.groups, examples::assignment().groups);
  EXPECT_EQ(back.issued.value, 1'760'000'300'000);
  const auto none = decode_assignment(encode(Assignment{examples::device(), {}, WallMs{1}})).value();
  EXPECT_TRUE(none.groups.empty()) << "the device's own configuration counts again";
}

TEST(RoundTrip, AckFields) {
  const auto back = decode_ack(encode(examples::ack())).value();
  EXPECT_EQ(back.sequence, 17U);
  EXPECT_EQ(back.code, Code::untrusted_key);
  EXPECT_EQ(back.reason, examples::ack().reason);
  EXPECT_EQ(back.start_rollout, examples::hash("manifest 42").prefix64());
  EXPECT_EQ(back.start_attempt, 2U);
}

TEST(RoundTrip, TransferFields) {
  const auto fetch = decode_fetch(encode(examples::fetch())).value();
  EXPECT_EQ(fetch.session, 0x00060003U);
  EXPECT_EQ(fetch.pack, examples::hash("full"));
  ASSERT_EQ(fetch.ranges.size(), 2U);
  EXPECT_EQ(fetch.ranges[1].first, 7U);
  EXPECT_EQ(fetch.ranges[1].count, 1U);
  EXPECT_EQ(fetch.ranges[1].offset, 4'096U);
  EXPECT_EQ(fetch.received_bytes, 123'456U);
  EXPECT_EQ(fetch.window_bytes, 65'536U);
  EXPECT_EQ(fetch.piece_bytes_max, 16'384U);
  EXPECT_EQ(fetch.rollout, examples::hash("manifest 42").prefix64());
  const auto piece = decode_chunk_piece(encode(examples::piece())).value();
  EXPECT_EQ(piece.session, 0x00060003U);
  EXPECT_EQ(piece.ordinal, 7U);
  EXPECT_EQ(piece.offset, 4'096U);
  EXPECT_EQ(as_text(piece.data), "0123456789abcdef");
  const auto ack = decode_ack(encode(examples::ack())).value();
  EXPECT_EQ(ack.sequence, 17U);
  EXPECT_EQ(ack.code, Code::untrusted_key);
  EXPECT_EQ(ack.reason, examples::ack().reason);
}

TEST(RoundTrip, UploadFields) {
  const auto put = decode_put(encode(examples::put())).value();
  EXPECT_EQ(put.kind, PutKind::chunk);
  EXPECT_EQ(put.pack, examples::hash("full"));
  EXPECT_EQ(put.ordinal, 7U);
  EXPECT_EQ(put.total_bytes, 20'000U);
  EXPECT_EQ(put.offset, 4'096U);
  EXPECT_EQ(as_text(put.data), "0123456789abcdef");
  const auto stored = decode_stored(encode(examples::stored())).value();
  EXPECT_EQ(stored.pack, examples::hash("full"));
  ASSERT_EQ(stored.missing.size(), 2U);
  EXPECT_EQ(stored.missing[1].first, 9U);
  EXPECT_EQ(stored.missing[1].count, 33U);
  ASSERT_EQ(stored.durable.size(), 1U);
  EXPECT_EQ(stored.durable[0].count, 3U);
  EXPECT_FALSE(stored.complete);
  EXPECT_TRUE(stored.directory);
  EXPECT_EQ(stored.code, Code::unavailable);
  EXPECT_EQ(stored.reason, examples::stored().reason);
}

}  // namespace
}  // namespace instar::wire

#include <gtest/gtest.h>

#include <functional>

#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/testing/codes.hpp"
#include "core/wire/testing/examples.hpp"
#include "schemas/gate_generated.h"
#include "schemas/hello_generated.h"
#include "schemas/put_generated.h"

namespace instar::wire {
namespace {

template <typename T>
std::string verdict(const Result<T>& decoded, Code code, std::string_view says) {
  if (!decoded.has_value()) {
    if (decoded.error().code != code) return "other code: " + decoded.error().message;
    if (decoded.error().message.find(says) == std::string::npos) return "says: " + decoded.error().message;
    return "";
  }
  return "was taken";
}

// Each case changes the example and encodes it. The decoder must refuse it with that code and name that place.
#define EXPECT_BROKEN(example, decode, change, code, says)              \
  do {                                                                  \
    auto broken = examples::example();                                  \
    [](auto& m) { change; }(broken);                                    \
    EXPECT_EQ(verdict(decode(encode(broken)), code, says), "") << says; \
  } while (false)

TEST(GateBroken, IsRefused) {
  EXPECT_BROKEN(gate, decode_gate, m.group = GroupPath{}, kBad, "gate: group");
  EXPECT_BROKEN(gate, decode_gate, m.product = "", kBad, "gate: product");
  EXPECT_BROKEN(gate, decode_gate, m.product = "a b", kBad, "gate: product");
  EXPECT_BROKEN(gate, decode_gate, m.product = "a.b", kBad, "gate: product must be 1 to 64");
  EXPECT_BROKEN(gate, decode_gate, m.product = std::string(65, 'x'), kLarge, "gate: product");
  EXPECT_BROKEN(gate, decode_gate, m.manifest = {}, kBad, "gate: manifest");
  EXPECT_BROKEN(gate, decode_gate, m.state = static_cast<GateState>(4), kNewer, "gate: state is 4");
  EXPECT_BROKEN(gate, decode_gate, m.admitted_bp = 10'001, kLarge, "gate: admitted_bp");
  EXPECT_BROKEN(gate, decode_gate, m.admitted_point = (std::uint64_t{1} << 32) + 1, kLarge, "gate: admitted_point");
  EXPECT_BROKEN(gate, decode_gate, m.wave = 32, kLarge, "gate: wave");
  EXPECT_BROKEN(gate, decode_gate, m.wave_opened.resize(33), kLarge, "gate: wave_opened_ms");
}

TEST(HelloBroken, IsRefused) {
  EXPECT_BROKEN(hello, decode_hello, m.device = DeviceId{}, kBad, "hello: device");
  EXPECT_BROKEN(hello, decode_hello, m.key = {}, kBad, "hello: public_key");
  EXPECT_BROKEN(hello, decode_hello, m.description.product = "../x", kBad, "hello: product");
  EXPECT_BROKEN(hello, decode_hello, m.description.running->product = "a.b", kBad, "hello: running: product");
  EXPECT_BROKEN(hello, decode_hello, m.description.groups[0] = GroupPath{}, kBad, "hello: groups[0]");
  EXPECT_BROKEN(hello, decode_hello, m.description.groups[0] = m.description.groups[1], kBad,
                "hello: groups names a group twice");
  EXPECT_BROKEN(hello, decode_hello, m.description.groups.resize(17, m.description.groups[0]), kLarge,
                "hello: groups is 17");
  EXPECT_BROKEN(hello, decode_hello, m.description.architecture = "a\nb", kBad, "hello: architecture");
  EXPECT_BROKEN(hello, decode_hello, m.description.running->product = "", kBad, "hello: running: product");
  EXPECT_BROKEN(hello, decode_hello, m.description.previous->release = "", kBad, "hello: previous: release");
  EXPECT_BROKEN(hello, decode_hello, m.description.running->artifacts.resize(17), kLarge, "hello: running: artifacts");
  EXPECT_BROKEN(hello, decode_hello, m.step = static_cast<Step>(9), kNewer, "hello: step is 9");
  EXPECT_BROKEN(hello, decode_hello, m.description.pack_formats.resize(17), kLarge, "hello: pack_formats");
  EXPECT_BROKEN(hello, decode_hello, m.description.image_formats.resize(17), kLarge, "hello: image_formats");
  EXPECT_BROKEN(hello, decode_hello, m.description.handlers[0] = "a b", kBad, "hello: handlers[0]");
}

TEST(FetchBroken, ACountOfBytesMayBeAnyNumber) {
  for (const std::uint64_t bytes :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32, std::uint64_t{1} << 63, UINT64_MAX}) {
    auto fetch = examples::fetch();
    fetch.received_bytes = fetch.rollout = bytes;
    const auto back = decode_fetch(encode(fetch)).value();
    EXPECT_EQ(back.received_bytes, bytes);
    EXPECT_EQ(back.rollout, bytes);
  }
}

TEST(AssignmentBroken, IsRefused) {
  EXPECT_BROKEN(assignment, decode_assignment, m.device = DeviceId{}, kBad, "assignment: device");
  EXPECT_BROKEN(assignment, decode_assignment, m.groups[1] = m.groups[0], kBad, "assignment: groups");
  EXPECT_BROKEN(assignment, decode_assignment, m.groups.resize(17), kLarge, "assignment: groups");
}

TEST(FetchBroken, IsRefused) {
  EXPECT_BROKEN(fetch, decode_fetch, m.pack = PackId{}, kBad, "fetch: pack");
  EXPECT_BROKEN(fetch, decode_fetch, m.pack.reset(), kBad, "fetch: ranges");
  EXPECT_BROKEN(fetch, decode_fetch, m.ranges[0].count = 0, kBad, "fetch: ranges[0]: count");
  EXPECT_BROKEN(fetch, decode_fetch, m.ranges[1].count = 400'001, kLarge, "fetch: ranges[1]: count");
  EXPECT_BROKEN(fetch, decode_fetch, m.ranges[1].first = 400'000, kLarge, "fetch: ranges[1]: first");
  EXPECT_BROKEN(fetch, decode_fetch, m.ranges[0].first = UINT32_MAX, kLarge, "fetch: ranges[0]: first");
  EXPECT_BROKEN(fetch, decode_fetch, m.ranges[1].offset = 263'168, kLarge, "fetch: ranges[1]: offset");
  EXPECT_BROKEN(fetch, decode_fetch, m.ranges.resize(65), kLarge, "fetch: ranges is 65");
}

TEST(ChunkBroken, IsRefused) {
  EXPECT_BROKEN(piece, decode_chunk_piece, m.ordinal = 400'000, kLarge, "chunk: ordinal");
  EXPECT_BROKEN(piece, decode_chunk_piece, m.data.clear(), kBad, "chunk: data (bytes) is 0");
  EXPECT_BROKEN(piece, decode_chunk_piece, m.data.resize(98'305), kLarge, "chunk: data");
  EXPECT_BROKEN(piece, decode_chunk_piece, m.offset = 263'168 - 15, kLarge, "chunk: offset");
  EXPECT_BROKEN(piece, decode_chunk_piece, m.offset = UINT32_MAX, kLarge, "chunk: offset");
  EXPECT_BROKEN(piece, decode_chunk_piece, m.fault = ChunkFault::busy, kBad, "chunk: data is there beside a fault");
  EXPECT_BROKEN(piece, decode_chunk_piece, m.fault = static_cast<ChunkFault>(7), kNewer, "chunk: fault is 7");
  EXPECT_BROKEN(piece, decode_chunk_piece, (m.fault = ChunkFault::position), kBad,
                "chunk: data is there beside a fault");
  EXPECT_BROKEN(piece, decode_chunk_piece, (m.ordinal = kNoOrdinal), Code::too_large, "ordinal");
}

TEST(PutBroken, IsRefused) {
  EXPECT_BROKEN(put, decode_put, m.kind = static_cast<PutKind>(2), kNewer, "put: kind is 2");
  EXPECT_BROKEN(put, decode_put, m.pack = {}, kBad, "put: pack");
  EXPECT_BROKEN(put, decode_put, m.ordinal = 400'000, kLarge, "put: ordinal");
  EXPECT_BROKEN(put, decode_put, m.kind = PutKind::directory, kLarge, "put: ordinal");
  EXPECT_BROKEN(put, decode_put, m.total_bytes = 0, kBad, "put: total_bytes");
  EXPECT_BROKEN(put, decode_put, m.total_bytes = 263'169, kLarge, "put: total_bytes");
  EXPECT_BROKEN(put, decode_put, m.total_bytes = 15, kBad, "put: data runs past");
  EXPECT_BROKEN(put, decode_put, m.offset = 20'000 - 15, kBad, "put: data runs past");
  EXPECT_BROKEN(put, decode_put, m.offset = UINT32_MAX, kBad, "put: data runs past");
  EXPECT_BROKEN(put, decode_put, m.data.clear(), kBad, "put: data (bytes) is 0");
  EXPECT_BROKEN(put, decode_put, m.data.resize(65'537), kLarge, "put: data");
}

TEST(StoredBroken, IsRefused) {
  EXPECT_BROKEN(stored, decode_stored, m.pack = {}, kBad, "stored: pack");
  EXPECT_BROKEN(stored, decode_stored, m.missing[1].count = 0, kBad, "stored: missing[1]: count");
  EXPECT_BROKEN(stored, decode_stored, m.durable[0].first = 399'998, kLarge, "stored: durable[0]: first");
  EXPECT_BROKEN(stored, decode_stored, m.missing.resize(4'097), kLarge, "stored: missing is 4097");
  EXPECT_BROKEN(stored, decode_stored, m.durable.resize(4'097), kLarge, "stored: durable is 4097");
  EXPECT_BROKEN(stored, decode_stored, m.complete = true, kBad, "stored: missing");
}

TEST(Put, ReachesTheEndExactly) {
  Put put = examples::put();
  put.offset = put.total_bytes - 16;
  EXPECT_TRUE(decode_put(encode(put)).has_value());
  put = {PutKind::directory, examples::hash("p"), 0, limits::kDirectoryBytesMax, 0, Bytes(limits::kPutPieceBytesMax)};
  EXPECT_TRUE(decode_put(encode(put)).has_value());
  ++put.total_bytes;
  EXPECT_EQ(decode_put(encode(put)).error().code, Code::too_large);
}

TEST(Chunk, ReachesTheEndExactly) {
  ChunkPiece piece = examples::piece();
  piece.data.resize(limits::kPieceBytesMax);
  piece.offset = static_cast<std::uint32_t>(limits::kChunkEncodedBytesMax - limits::kPieceBytesMax);
  EXPECT_TRUE(decode_chunk_piece(encode(piece)).has_value());
  ++piece.offset;
  EXPECT_FALSE(decode_chunk_piece(encode(piece)).has_value());
}

TEST(Stored, AcceptsAsManyRangesAsFitAMessage) {
  Stored stored = examples::stored();
  stored.missing.assign(limits::kStoredRangesMax, {0, 1});
  stored.durable.clear();
  const Bytes bytes = encode(stored);
  EXPECT_LE(bytes.size(), limits::kMessageBytesMax);
  EXPECT_TRUE(decode_stored(bytes).has_value());
}

// A device of a later version may ask for more than this version allows. It gets what this version allows.
TEST(Fetch, IsClampedToOurBounds) {
  Fetch fetch = examples::fetch();
  fetch.window_bytes = UINT32_MAX;
  fetch.piece_bytes_max = UINT32_MAX;
  auto back = decode_fetch(encode(fetch)).value();
  EXPECT_EQ(back.window_bytes, limits::kWindowBytesMax);
  EXPECT_EQ(back.piece_bytes_max, limits::kPieceBytesMax);
  fetch.window_bytes = 0;
  fetch.piece_bytes_max = 0;
  back = decode_fetch(encode(fetch)).value();
  EXPECT_EQ(back.window_bytes, 0U);
  EXPECT_EQ(back.piece_bytes_max, limits::kPieceBytesMin);
}

// A reason may be a probe's output. Whatever is in it, the receiver accepts the message.
TEST(Reasons, AreCutAndCleanedByTheSender) {
  const std::string wild = "\x1b[31mred\x1b[0m \xff " + std::string("nul\0", 4) + std::string(2'000, 'x');
  Report report = examples::report();
  report.reason = wild;
  const auto decoded = decode_report(encode(report));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->reason.size(), limits::kTextBytesMax);
  EXPECT_TRUE(decoded->reason.starts_with("?[31mred?[0m ? nul?x"));
  Ack ack = examples::ack();
  ack.reason = wild;
  EXPECT_TRUE(decode_ack(encode(ack)).has_value());
  Stored stored = examples::stored();
  stored.reason = wild;
  EXPECT_TRUE(decode_stored(encode(stored)).has_value());
  Hello hello = examples::hello();
  hello.description.kernel = wild;
  hello.description.client_version = std::string(100, 'v');
  hello.description.degraded.assign(20, wild);
  hello.description.degraded[0].clear();
  hello.description.handlers.assign(40, "kernel");
  const auto back = decode_hello(encode(hello));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(back->description.client_version.size(), limits::kNameBytesMax);
  EXPECT_EQ(back->description.degraded.size(), limits::kDegradedMax);
  EXPECT_EQ(back->description.handlers.size(), limits::kHandlersMax);
}

TEST(Times, OutsideTheRangeAreClampedByTheSender) {
  Report report = examples::report();
  report.device_time = {-5};
  EXPECT_EQ(decode_report(encode(report)).value().device_time.value, 0);
  report.device_time = {INT64_MAX};
  EXPECT_EQ(decode_report(encode(report)).value().device_time.value, limits::kWallMsMax);
}

// A later program may know more causes than this one. An unknown cause is kept as its number.
TEST(Codes, AreAnOpenList) {
  Report report = examples::report();
  report.code = static_cast<Code>(999);
  EXPECT_EQ(decode_report(encode(report)).value().code, static_cast<Code>(999));
}

// --- bytes that no encoder of ours writes ----------------------------------------------------------
template <typename Table>
Bytes finish(FlatBuilder& builder, flatbuffers::Offset<Table> table, const char* identifier) {
  builder.Finish(table, identifier);
  return flat::take(builder);
}

TEST(LaterFormats, AskForAnUpdate) {
  const auto gate = [](std::uint8_t format) {
    FlatBuilder builder;
    const auto text = builder.CreateString("g");
    const auto hash = flat_hash(examples::hash("m"));
    return finish(builder, fb::CreateGate(builder, format, text, text, &hash), fb::GateIdentifier());
  };
  const auto hello = [](std::uint8_t format) {
    FlatBuilder builder;
    const auto text = builder.CreateString("d");
    const auto key = builder.CreateVector(examples::key(1).public_key().bytes.data(), 32);
    const auto groups = write_groups(builder, {});
    return finish(builder, fb::CreateHello(builder, format, text, key, text, groups), fb::HelloIdentifier());
  };
  constexpr auto kUpdate = "format is 2: made by a newer version; update";
  EXPECT_TRUE(decode_gate(gate(1)).has_value());
  EXPECT_EQ(verdict(decode_gate(gate(2)), kNewer, kUpdate), "");
  EXPECT_EQ(verdict(decode_gate(gate(0)), kBad, "format"), "");
  EXPECT_TRUE(decode_hello(hello(1)).has_value());
  EXPECT_EQ(verdict(decode_hello(hello(2)), kNewer, kUpdate), "");
  EXPECT_EQ(verdict(decode_hello(hello(0)), kBad, "format"), "");
}

TEST(Hostile, AKeyOfAnotherSizeIsRefused) {
  FlatBuilder builder;
  const auto text = builder.CreateString("d");
  const auto key = builder.CreateVector(std::vector<std::uint8_t>(31));
  const auto groups = write_groups(builder, {});
  const Bytes bytes = finish(builder, fb::CreateHello(builder, 1, text, key, text, groups), fb::HelloIdentifier());
  EXPECT_EQ(verdict(decode_hello(bytes), kBad, "hello: public_key"), "");
}

// --- every bit -------------------------------------------------------------------------------------
// With any bit flipped a decoder refuses, or accepts a value that it would accept again. It never crashes.
void flip_every_bit(const Bytes& good, const std::function<bool(ByteView, Bytes&)>& again) {
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    Bytes written;
    Bytes ignored;
    if (again(bad, written)) {
      EXPECT_TRUE(again(written, ignored)) << "bit " << bit;
    }
  }
}

#define EXPECT_STANDS_FLIPS(example, decode, encode_value)                        \
  flip_every_bit(encode_value(examples::example()), [](ByteView in, Bytes& out) { \
    const auto decoded = decode(in);                                              \
    if (decoded.has_value()) out = encode_value(*decoded);                        \
    return decoded.has_value();                                                   \
  })

TEST(EveryBit, CanBeFlippedInBareMessages) {
  EXPECT_STANDS_FLIPS(fetch, decode_fetch, encode);
  EXPECT_STANDS_FLIPS(piece, decode_chunk_piece, encode);
  EXPECT_STANDS_FLIPS(ack, decode_ack, encode);
  EXPECT_STANDS_FLIPS(put, decode_put, encode);
  EXPECT_STANDS_FLIPS(stored, decode_stored, encode);
}

TEST(EveryBit, CanBeFlippedInPayloads) {
  EXPECT_STANDS_FLIPS(gate, decode_gate, encode);
  EXPECT_STANDS_FLIPS(hello, decode_hello, encode);
  EXPECT_STANDS_FLIPS(report, decode_report, encode);
  EXPECT_STANDS_FLIPS(assignment, decode_assignment, encode);
  EXPECT_STANDS_FLIPS(manifest, decode_manifest, encode_manifest);
}

TEST(Steps, HaveNamesAndEnds) {
  for (std::uint8_t number = 0; number <= 8; ++number) EXPECT_NE(step_name(static_cast<Step>(number)), "unknown");
  EXPECT_EQ(step_name(static_cast<Step>(9)), "unknown");
  EXPECT_FALSE(is_final(Step::trying));
  EXPECT_TRUE(is_final(Step::committed) && is_final(Step::rolled_back) && is_final(Step::refused) &&
              is_final(Step::failed));
}

}  // namespace
}  // namespace instar::wire

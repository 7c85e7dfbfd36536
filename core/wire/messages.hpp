// All other messages as values, with their codecs. decode_* run the FlatBuffers Verifier under limits.hpp, check the
// file identifier, and bound every string, vector, ordinal and time. Errors: malformed, too_large, unsupported (a
// format or an enum value of a later version); the message names the field. Error codes are an open list: an unknown
// one comes through as its number.
//
// encode() writes the same bytes for the same value. It cuts and cleans the free text of reasons, `degraded` and
// versions (a probe's output may hold anything, and the report of it must still be taken), and brings times into 1970 …
// 9999; all else is the caller's to keep within limits.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/base/error.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/description.hpp"

namespace instar::wire {

// Where an attempt is; the numbers of instar.fb.Step.
enum class Step : std::uint8_t {
  idle = 0,
  waiting = 1,
  fetching = 2,
  staging = 3,
  trying = 4,
  committed = 5,
  rolled_back = 6,
  refused = 7,
  failed = 8
};
inline constexpr std::size_t kStepCount = 9;
[[nodiscard]] std::string_view step_name(Step step) noexcept;
// committed, rolled_back, refused, failed: the attempt is over.
[[nodiscard]] constexpr bool is_final(Step step) noexcept {
  return step >= Step::committed;
}

enum class GateState : std::uint8_t { open = 0, paused = 1, aborted = 2, reverted = 3 };

struct Gate {
  GroupPath group;
  std::string product;
  ManifestId manifest;
  std::uint64_t sequence = 0;
  GateState state = GateState::open;
  std::uint16_t admitted_bp = 0;
  std::uint32_t wave = 0;
  WallMs fresh;
  std::vector<WallMs> wave_opened;
  std::uint64_t issue = 0;
  std::uint32_t retry_epoch = 0;
  std::uint64_t admitted_point = 0;  // 0 … 2^32
  Bytes approval;                    // envelope of the last signed one that `wave` needs; empty: none is asked for
};

struct Hello {
  DeviceId device;
  trust::PublicKey key;
  Description description;
  ManifestId rollout;  // of the attempt under way or last ended; zero if none yet
  Step step = Step::idle;
  std::uint32_t attempt = 0;
  bool asks_start = false;
  std::uint64_t last_sequence = 0;
  std::uint64_t acked_sequence = 0;
  std::uint32_t boot = 0;      // of the device's starts,
  std::uint32_t connect = 0;   // and of its hellos since: with each hello the two rise
  std::uint64_t instance = 0;  // random for each start of the client; 0: not said
  Bytes token;                 // the one-time token of an enrolment; empty: none
};

struct Report {
  DeviceId device;
  std::uint64_t sequence = 0;
  ManifestId rollout;  // payload hash of the manifest; zero in a report about a manifest that did not verify
  std::uint32_t attempt = 0;
  Step step = Step::idle;
  Code code = Code::ok;
  std::string reason;
  std::uint64_t bytes_planned = 0;
  std::uint64_t bytes_fetched = 0;
  std::uint64_t bytes_full = 0;
  artifact::PackKind pack_kind = artifact::PackKind::full;
  std::uint32_t downtime_ms = 0;
  std::uint32_t switch_ms = 0;
  WallMs device_time;
  std::optional<RevisionInfo> running;
  bool again = false;       // another attempt follows
  bool asks_start = false;  // waits for its turn
};

struct ChunkRange {
  std::uint32_t first = 0;
  std::uint32_t count = 1;
  std::uint32_t offset = 0;  // bytes of the first chunk that are held already
};

struct Fetch {
  std::uint32_t session = 0;
  std::optional<PackId> pack;  // absent: only returns credit
  std::vector<ChunkRange> ranges;
  std::uint64_t received_bytes = 0;
  std::uint32_t window_bytes = 0;
  std::uint32_t piece_bytes_max = 0;
  std::uint64_t rollout = 0;
};

// `position` is no fault: it answers a fetch that brings no credit, and says where the broker stands. Since a
// connection keeps the order, all pieces before that place have arrived when it does, or are lost.
enum class ChunkFault : std::uint8_t {
  none = 0,
  unknown_pack = 1,
  out_of_range = 2,
  over_budget = 3,
  busy = 4,
  position = 5,
  not_offered = 6  // the rollout that the fetch names does not bring this pack to this device
};
// Ordinal of a `position` when no further piece will come.
inline constexpr std::uint32_t kNoOrdinal = 0xffffffff;

struct ChunkPiece {
  std::uint32_t session = 0;
  std::uint32_t ordinal = 0;
  std::uint32_t offset = 0;
  Bytes data;
  ChunkFault fault = ChunkFault::none;
};

struct Ack {
  std::uint64_t sequence = 0;
  Code code = Code::ok;
  std::string reason;
  std::uint64_t start_rollout = 0;  // prefix64() of the rollout whose attempt `start_attempt` may begin; 0 = none
  std::uint32_t start_attempt = 0;
  // With code stale: of the last hello that was taken.
  std::uint32_t boot = 0;
  std::uint64_t instance = 0;
  // Envelopes of gates: of rollouts that have ended, and whose gate stands on no topic any more.
  std::vector<Bytes> endings = {};
};

enum class PutKind : std::uint8_t { directory = 0, chunk = 1 };

struct Put {
  PutKind kind = PutKind::directory;
  PackId pack;
  std::uint32_t ordinal = 0;
  std::uint32_t total_bytes = 0;
  std::uint32_t offset = 0;
  Bytes data;
};

struct OrdinalRange {
  std::uint32_t first = 0;
  std::uint32_t count = 1;
};

struct Stored {
  PackId pack;
  std::vector<OrdinalRange> missing;
  std::vector<OrdinalRange> durable;
  bool complete = false;
  bool directory = false;
  Code code = Code::ok;
  std::string reason;
};

// The groups of one device, said from afar.
struct Assignment {
  DeviceId device;
  std::vector<GroupPath> groups;  // none: the device's own configuration counts again
  WallMs issued;
};

// An operator's word that a device is one, with what it is. It has a key or the hash of a token, not both.
struct Enrolment {
  DeviceId device;
  std::string product;
  std::vector<GroupPath> groups;
  std::optional<trust::PublicKey> key;
  Hash256 token_hash;  // zero: none
  WallMs issued;
  WallMs expires;  // the first hello comes before; 0: at any time
};

// Payloads of envelopes: verify first, then decode.
[[nodiscard]] Bytes encode(const Enrolment& enrolment);
[[nodiscard]] Result<Enrolment> decode_enrolment(ByteView payload);
[[nodiscard]] Bytes encode(const Gate& gate);
[[nodiscard]] Result<Gate> decode_gate(ByteView payload);
[[nodiscard]] Bytes encode(const Hello& hello);
[[nodiscard]] Result<Hello> decode_hello(ByteView payload);
[[nodiscard]] Bytes encode(const Report& report);
[[nodiscard]] Result<Report> decode_report(ByteView payload);
[[nodiscard]] Bytes encode(const Assignment& assignment);
[[nodiscard]] Result<Assignment> decode_assignment(ByteView payload);

// Bare messages.
[[nodiscard]] Bytes encode(const Fetch& fetch);
// window_bytes and piece_bytes_max come back clamped to what limits.hpp allows: a later client may ask for more.
[[nodiscard]] Result<Fetch> decode_fetch(ByteView bytes);
[[nodiscard]] Bytes encode(const ChunkPiece& piece);
[[nodiscard]] Result<ChunkPiece> decode_chunk_piece(ByteView bytes);
[[nodiscard]] Bytes encode(const Ack& ack);
[[nodiscard]] Result<Ack> decode_ack(ByteView bytes);
[[nodiscard]] Bytes encode(const Put& put);
[[nodiscard]] Result<Put> decode_put(ByteView bytes);
[[nodiscard]] Bytes encode(const Stored& stored);
[[nodiscard]] Result<Stored> decode_stored(ByteView bytes);

}  // namespace instar::wire

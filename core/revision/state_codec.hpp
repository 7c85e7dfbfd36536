// What the device remembers of itself, and its form on disk: a FlatBuffer and a checksum after it
// (docs/formats/device-state.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

// The numbers of instar.fb.Phase.
enum class Phase : std::uint8_t {
  idle = 0,
  waiting = 1,
  fetching = 2,
  staging = 3,
  trying = 4,
  committing = 5,
  rolling_back = 6
};
inline constexpr std::size_t kPhaseCount = 7;
[[nodiscard]] std::string_view phase_name(Phase phase) noexcept;

struct RevisionRecord {
  std::uint32_t number = 0;
  wire::RevisionInfo info;
  friend bool operator==(const RevisionRecord&, const RevisionRecord&) = default;
};

struct Outcome {
  Hash256 manifest;
  std::uint64_t sequence = 0;
  std::uint32_t attempt = 0;
  std::uint32_t retry_epoch = 0;
  wire::Step step = wire::Step::idle;
  Code code = Code::ok;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

struct GateMark {
  Hash256 manifest;
  std::uint64_t issue = 0;
  friend bool operator==(const GateMark&, const GateMark&) = default;
};

struct PendingReport {
  std::uint64_t sequence = 0;
  Bytes envelope;
  friend bool operator==(const PendingReport&, const PendingReport&) = default;
};

// Field for field schemas/device_state.fbs, where each is explained.
struct DeviceState {
  std::uint64_t generation = 0;
  Phase phase = Phase::idle;
  std::optional<RevisionRecord> current;
  std::optional<RevisionRecord> previous;
  std::optional<RevisionRecord> candidate;
  Bytes current_manifest;
  Bytes previous_manifest;
  Bytes candidate_manifest;
  std::uint32_t attempt = 0;
  std::uint32_t attempt_first = 0;
  std::uint32_t retry_epoch = 0;
  std::uint32_t starts = 0;
  std::uint64_t machine_boot = 0;
  std::uint32_t client_starts = 0;
  bool reachable_before = false;
  Code verdict_code = Code::ok;
  std::string verdict_reason;
  std::uint64_t bytes_planned = 0;
  bool planned_exact = false;
  std::uint64_t bytes_fetched = 0;
  std::uint64_t bytes_full = 0;
  std::uint8_t pack_kind = 0;
  std::uint64_t highest_sequence = 0;
  WallMs verified;
  Bytes root;
  std::vector<Outcome> outcomes;
  std::vector<GateMark> gates;
  std::vector<Hash256> refused;
  std::vector<PendingReport> pending;
  std::uint64_t last_report = 0;
  std::uint64_t acked_report = 0;
  std::uint32_t boot = 0;
  std::uint32_t next_revision = 1;
  std::vector<std::uint32_t> revisions;
  std::vector<Hash256> packs;
  std::uint64_t bytes_spent = 0;
  std::string fallback_reason;
  bool staging_reported = false;
  Bytes assignment;
  std::uint64_t bytes_before = 0;
  std::uint64_t start_rollout = 0;
  std::uint32_t start_attempt = 0;
  std::string waits;
  Hash256 waits_manifest;  // zero: none
  std::uint32_t waits_attempt = 0;
  bool waits_asks = false;
  friend bool operator==(const DeviceState&, const DeviceState&) = default;
};

[[nodiscard]] Bytes encode_state(const DeviceState& state);

// Errors: corrupt (checksum: a torn or rotten file), malformed (whole, but not a state that this version wrote),
// unsupported (a later format).
[[nodiscard]] Result<DeviceState> decode_state(ByteView bytes);

}  // namespace instar::revision

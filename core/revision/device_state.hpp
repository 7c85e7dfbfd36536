// What the device remembers of itself over restarts, cut as the machine is: each part owns one of these structs.
// schemas/device_state.fbs explains each field; state_codec.hpp gives it its form on disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/error.hpp"
#include "core/base/hash.hpp"
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

// Of Revisions. A manifest here is a signed envelope.
struct RevisionsState {
  std::optional<RevisionRecord> current;
  std::optional<RevisionRecord> previous;
  std::optional<RevisionRecord> candidate;
  Bytes current_manifest;
  Bytes previous_manifest;
  Bytes candidate_manifest;
  std::uint32_t next_number = 1;
  std::vector<std::uint32_t> numbers;  // of every revision that may have a folder
  friend bool operator==(const RevisionsState&, const RevisionsState&) = default;
};

// Of Attempt.
struct AttemptState {
  std::uint32_t number = 0;
  std::uint32_t first = 0;  // of those that count against the policy's attempts
  std::uint32_t retry_epoch = 0;
  std::uint64_t bytes_planned = 0;
  bool planned_exact = false;
  std::uint64_t bytes_fetched = 0;
  std::uint64_t bytes_full = 0;
  std::uint64_t bytes_spent = 0;
  std::uint64_t bytes_before = 0;
  std::uint8_t pack_kind = 0;
  std::vector<PackId> packs;
  std::string fallback_reason;
  bool staging_reported = false;
  friend bool operator==(const AttemptState&, const AttemptState&) = default;
};

// Of Trial.
struct TrialState {
  std::uint32_t starts = 0;
  std::uint64_t machine_boot = 0;
  std::uint32_t client_starts = 0;
  bool reachable_before = false;
  Code verdict_code = Code::ok;
  std::string verdict_reason;
  friend bool operator==(const TrialState&, const TrialState&) = default;
};

// Of Permission.
struct PermissionState {
  std::uint64_t start_rollout = 0;
  std::uint32_t start_attempt = 0;
  std::string waits;
  ManifestId waits_manifest;  // zero: none
  std::uint32_t waits_attempt = 0;
  bool waits_asks = false;
  friend bool operator==(const PermissionState&, const PermissionState&) = default;
};

// Of Gates.
struct GateMark {
  ManifestId manifest;
  std::uint64_t issue = 0;
  friend bool operator==(const GateMark&, const GateMark&) = default;
};

// How a release ended here, or that it is committed.
struct Outcome {
  ManifestId manifest;
  std::uint64_t sequence = 0;
  std::uint32_t attempt = 0;
  std::uint32_t retry_epoch = 0;
  wire::Step step = wire::Step::idle;
  Code code = Code::ok;
  std::string reason = {};  // for people; the newest one has it
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Of History.
struct HistoryState {
  std::uint64_t highest_sequence = 0;
  std::vector<Outcome> outcomes;
  std::vector<Hash256> refused;  // digests of messages, and of things that are said once
  std::string refusal;           // for people: why something was refused last, before it was tried
  friend bool operator==(const HistoryState&, const HistoryState&) = default;
};

struct PendingReport {
  std::uint64_t sequence = 0;
  Bytes envelope;
  friend bool operator==(const PendingReport&, const PendingReport&) = default;
};

// Of Reporter.
struct ReportsState {
  std::vector<PendingReport> pending;
  std::uint64_t last_report = 0;
  std::uint64_t acked_report = 0;
  friend bool operator==(const ReportsState&, const ReportsState&) = default;
};

// Of Hearing.
struct HearingState {
  WallMs last_signed;  // `fresh` of the newest gate that was verified
  WallMs heard;        // by the device's own clock
  friend bool operator==(const HearingState&, const HearingState&) = default;
};

struct DeviceState {
  std::uint64_t generation = 0;
  Phase phase = Phase::idle;
  RevisionsState revisions;
  AttemptState attempt;
  TrialState trial;
  PermissionState permission;
  std::vector<GateMark> gates;
  HistoryState history;
  ReportsState reports;
  HearingState hearing;
  Bytes root;
  Bytes assignment;
  std::uint32_t boot = 0;
  std::string device;  // whose it is; empty: not known
  std::string product;
  friend bool operator==(const DeviceState&, const DeviceState&) = default;
};

}  // namespace instar::revision

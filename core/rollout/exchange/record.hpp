// What the broker remembers, as values and as the bytes of a store record. docs/formats/store.md
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

// Frozen numbers, the same as a gate's. (`complete` is not among them: it follows from the members.)
enum class RolloutState : std::uint8_t { active = 0, paused = 1, aborted = 2, reverted = 3 };
// Devices are to take it, at once or later.
[[nodiscard]] constexpr bool goes_on(RolloutState state) noexcept {
  return state == RolloutState::active || state == RolloutState::paused;
}

// The device's state in one rollout, as its last report about it says.
struct MemberRecord {
  wire::Step step = wire::Step::waiting;
  std::uint32_t attempt = 0;
  Code code = Code::ok;
  std::string reason;
  std::uint64_t bytes_planned = 0;
  std::uint64_t bytes_fetched = 0;  // as the device reports it
  std::uint64_t bytes_full = 0;
  std::uint64_t bytes_sent = 0;  // the broker's own account
  artifact::PackKind pack_kind = artifact::PackKind::full;
  std::uint32_t downtime_ms = 0;
  std::uint32_t switch_ms = 0;
  std::uint64_t report_sequence = 0;  // 0: the device has reported nothing about it
  WallMs updated;
  bool again = false;         // it has failed, and tries once more
  std::uint64_t asks = 0;     // its place in the queue for a turn; 0 = it does not ask
  std::uint32_t granted = 0;  // the attempt that has been given its turn
  friend bool operator==(const MemberRecord&, const MemberRecord&) = default;
};

// What a member's step comes to when members are counted.
enum class Standing : std::uint8_t {
  waiting,    // has not begun
  in_flight,  // fetches, stages or tries
  committed,
  failed,    // rolled back or failed, for good
  retrying,  // the same, and another attempt follows
  left_out,  // refused it, was overtaken by a newer release, was stopped or taken back: says nothing about the release
};
[[nodiscard]] Standing standing_of(const MemberRecord& member) noexcept;
// The device is done with the rollout, until somebody says otherwise.
[[nodiscard]] constexpr bool has_ended(Standing standing) noexcept {
  return standing == Standing::committed || standing == Standing::failed || standing == Standing::left_out;
}

// Sums over the members of a rollout.
using ReasonKey = std::pair<Code, std::string>;
struct Counts {
  std::array<std::uint64_t, wire::kStepCount> by_step{};
  std::uint64_t devices = 0;
  std::uint64_t retrying = 0;
  std::uint64_t failed = 0;  // for good
  std::uint64_t asking = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_full = 0;
  std::map<ReasonKey, std::uint64_t> reasons;  // of members whose code is not ok
  friend bool operator==(const Counts&, const Counts&) = default;
  [[nodiscard]] std::uint64_t at(wire::Step step) const noexcept { return by_step[static_cast<std::size_t>(step)]; }
  [[nodiscard]] bool all_ended() const noexcept;
  void add(const MemberRecord& member);
  void subtract(const MemberRecord& member);
};

struct RolloutRecord {
  std::string product;
  std::string release;
  std::uint64_t sequence = 0;
  std::vector<GroupPath> groups;
  RolloutState state = RolloutState::active;
  std::string cause;        // why it stands, when the broker itself has stopped it
  std::uint64_t issue = 0;  // of the last gate
  std::uint32_t wave = 0;
  std::vector<WallMs> wave_opened;         // of waves 0 … `wave`; empty: not even the first one has opened
  std::vector<std::uint64_t> wave_limits;  // of the same: devices placed below are admitted (core/wire/placement.hpp)
  std::uint32_t approved = 0;              // waves below this number need no more approval
  Bytes approval;                          // envelope of the last one that was signed; empty: none was
  WallMs settled;                          // since when the current wave's conditions hold; 0 = they do not
  std::int64_t soaked_ms = 0;              // how long they have held, as far as it was saved
  std::uint64_t forgiven = 0;              // failures in spite of which an operator went on
  bool stuck_forgiven = false;             // an operator went on though the current wave cannot reach its ratio
  std::uint32_t retry_epoch = 0;
  WallMs retried;           // when that last rose
  std::uint64_t order = 0;  // rises with each manifest taken: of two for one group, the higher is the group's
  WallMs started;
  WallMs updated;
  WallMs completed;                // 0 = not yet
  std::uint64_t starts = 0;        // turns given
  std::uint64_t bytes_leased = 0;  // of the rollout's byte budget: what may be sent before the next write
  std::uint64_t events = 0;        // history entries written so far
  std::optional<Counts> archived;  // the members are gone from the store, these are their sums
  friend bool operator==(const RolloutRecord&, const RolloutRecord&) = default;
};

// A report as the device's history keeps it.
struct ReportSummary {
  std::uint64_t sequence = 0;
  ManifestId rollout;
  std::uint32_t attempt = 0;
  wire::Step step = wire::Step::idle;
  Code code = Code::ok;
  std::string reason;
  std::uint64_t bytes_fetched = 0;
  WallMs received;
  friend bool operator==(const ReportSummary&, const ReportSummary&) = default;
};

// An entry of a rollout's history.
struct EventRecord {
  WallMs time;
  std::string who;   // "broker", or the operator: username, else client id
  std::string what;  // a sentence
  friend bool operator==(const EventRecord&, const EventRecord&) = default;
};

struct DeviceRecord {
  trust::PublicKey key;                // pinned at the first hello
  wire::Description description;       // of the last hello; what it runs, of the last hello or report
  WallMs described;                    // when the last hello came, by the broker's clock
  std::uint64_t applied_sequence = 0;  // of the last report applied
  std::uint32_t boot = 0;
  std::uint32_t connect = 0;
  std::uint64_t bytes_sent = 0;
  WallMs first_seen;
  WallMs last_seen;
  std::string login;           // who brought it: the user name of its first hello's connection, else its address
  bool took_part = false;      // it has had bytes of a rollout, or moved one by a report
  std::uint64_t instance = 0;  // of the last hello
  std::vector<std::uint64_t> instances_before;  // the last kInstancesKeptMax, newest first
  WallMs cloned;                                // when two devices last spoke under its name and key; 0 = never
  bool awaits_key = false;                      // the first hello by another key, or by `awaited_key`, pins that
  trust::KeyId awaited_key = 0;                 // 0 = any
  // nullopt: none yet.
  [[nodiscard]] std::optional<trust::PublicKey> pinned_key() const {
    return awaits_key ? std::nullopt : std::optional(key);
  }
  friend bool operator==(const DeviceRecord&, const DeviceRecord&) = default;
};

// Two devices have spoken under its name and key, within the last limits::kCloneShownMs.
[[nodiscard]] bool is_cloned(const DeviceRecord& record, WallMs now) noexcept;

// A key that was taken back.
struct Tombstone {
  Hash256 key;  // BLAKE2b-256 of it
  WallMs since;
  friend bool operator==(const Tombstone&, const Tombstone&) = default;
};

// Under which a key that was taken back, and a one-time token, are known.
[[nodiscard]] Hash256 hash_of(const trust::PublicKey& key);
[[nodiscard]] Hash256 hash_of_token(ByteView token);

[[nodiscard]] Bytes encode(const RolloutRecord& record);
[[nodiscard]] Bytes encode(const MemberRecord& record);
[[nodiscard]] Bytes encode(const DeviceRecord& record);
[[nodiscard]] Bytes encode(const ReportSummary& record);
[[nodiscard]] Bytes encode(const EventRecord& record);
// Of one device.
[[nodiscard]] Bytes encode(const std::vector<Tombstone>& record);
// Errors: corrupt (bytes that no version wrote), unsupported (a later version's).
[[nodiscard]] Result<RolloutRecord> decode_rollout_record(ByteView bytes);
[[nodiscard]] Result<MemberRecord> decode_member_record(ByteView bytes);
[[nodiscard]] Result<DeviceRecord> decode_device_record(ByteView bytes);
[[nodiscard]] Result<ReportSummary> decode_report_summary(ByteView bytes);
[[nodiscard]] Result<EventRecord> decode_event_record(ByteView bytes);
[[nodiscard]] Result<std::vector<Tombstone>> decode_tombstones(ByteView bytes);

}  // namespace instar::rollout

// What the broker remembers, as values and as the bytes of a store record. docs/formats/store.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/trust/keys.hpp"
#include "core/wire/messages.hpp"

namespace instar::rollout {

// What an operator has said. Frozen numbers. (`complete` is not among them: it follows from the members.)
enum class RolloutState : std::uint8_t { active = 0, paused = 1, aborted = 2 };

struct RolloutRecord {
  std::string product;
  std::string release;
  std::uint64_t sequence = 0;
  std::vector<GroupPath> groups;
  RolloutState state = RolloutState::active;
  std::uint64_t issue = 0;  // of the last gate
  std::uint32_t wave = 0;
  std::vector<WallMs> wave_opened;
  std::uint32_t retry_epoch = 0;
  std::uint64_t order = 0;  // rises with each manifest taken: of two for one group, the higher is the group's
  WallMs started;
  WallMs updated;
  friend bool operator==(const RolloutRecord&, const RolloutRecord&) = default;
};

// The device's state in one rollout, as its last report about it says.
struct MemberRecord {
  wire::Step step = wire::Step::waiting;
  std::uint32_t attempt = 0;
  Code code = Code::ok;
  std::string reason;
  std::uint64_t bytes_planned = 0;
  std::uint64_t bytes_fetched = 0;  // the device's word
  std::uint64_t bytes_full = 0;
  std::uint64_t bytes_sent = 0;  // the broker's own account
  artifact::PackKind pack_kind = artifact::PackKind::full;
  std::uint32_t downtime_ms = 0;
  std::uint32_t switch_ms = 0;
  std::uint64_t report_sequence = 0;  // 0: the device has reported nothing about it
  WallMs updated;
  friend bool operator==(const MemberRecord&, const MemberRecord&) = default;
};

struct ReportSummary {
  std::uint64_t sequence = 0;
  Hash256 rollout;
  std::uint32_t attempt = 0;
  wire::Step step = wire::Step::idle;
  Code code = Code::ok;
  std::string reason;
  std::uint64_t bytes_fetched = 0;
  WallMs received;
  friend bool operator==(const ReportSummary&, const ReportSummary&) = default;
};

inline constexpr std::size_t kLastReportsMax = 8;

struct DeviceRecord {
  trust::PublicKey key;  // pinned at the first hello
  std::string product;
  std::vector<GroupPath> groups;
  std::string architecture;
  std::string kernel;
  std::string client_version;
  std::uint64_t memory_bytes = 0;
  std::uint64_t free_bytes = 0;
  bool metered = false;
  std::optional<wire::RevisionInfo> running;
  std::optional<wire::RevisionInfo> previous;
  std::uint64_t applied_sequence = 0;  // of the last report applied
  std::uint32_t boot = 0;
  std::uint32_t connect = 0;
  std::uint32_t root_version = 0;
  std::vector<std::string> degraded;
  std::uint64_t bytes_sent = 0;
  WallMs first_seen;
  WallMs last_seen;
  std::vector<ReportSummary> last_reports;  // the newest last, at most kLastReportsMax
  friend bool operator==(const DeviceRecord&, const DeviceRecord&) = default;
};

[[nodiscard]] Bytes encode(const RolloutRecord& record);
[[nodiscard]] Bytes encode(const MemberRecord& record);
[[nodiscard]] Bytes encode(const DeviceRecord& record);
// Errors: corrupt (bytes that no version wrote), unsupported (a later version's).
[[nodiscard]] Result<RolloutRecord> decode_rollout_record(ByteView bytes);
[[nodiscard]] Result<MemberRecord> decode_member_record(ByteView bytes);
[[nodiscard]] Result<DeviceRecord> decode_device_record(ByteView bytes);

}  // namespace instar::rollout

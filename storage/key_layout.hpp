// Builders and parsers of the keys of each column. No other place knows their bytes. docs/formats/store.md
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/limits.hpp"
#include "core/base/time.hpp"
#include "storage/store.hpp"

namespace instar::storage {

// Goes up with each change that an older program could not read.
inline constexpr std::uint32_t kSchemaVersion = 5;

// Names on disk, by Column. Frozen.
inline constexpr std::array<std::string_view, kColumnCount> kColumnNames = {"meta",  "devices", "rollouts", "members",
                                                                            "packs", "chunks",  "history"};
[[nodiscard]] constexpr std::string_view column_name(Column column) noexcept {
  return kColumnNames[static_cast<std::size_t>(column)];
}

// meta: "schema" → u32, little-endian.
inline constexpr std::string_view kSchemaKey = "schema";
[[nodiscard]] Bytes schema_value(std::uint32_t version);
[[nodiscard]] std::optional<std::uint32_t> parse_schema_value(ByteView value);

// meta: "root/" ‖ version u32 big-endian → envelope of that root document.
inline constexpr std::string_view kRootPrefix = "root/";
[[nodiscard]] std::string root_key(std::uint32_t version);
[[nodiscard]] std::optional<std::uint32_t> parse_root_key(ByteView key);

// meta: "assign/" ‖ device id → envelope of the assignment of its groups.
inline constexpr std::string_view kAssignmentPrefix = "assign/";
[[nodiscard]] std::string assignment_key(const DeviceId& device);
[[nodiscard]] std::optional<DeviceId> parse_assignment_key(ByteView key);

// meta: "gone/" ‖ device id → keys of the device that were taken back.
inline constexpr std::string_view kTombstonePrefix = "gone/";
[[nodiscard]] std::string tombstone_key(const DeviceId& device);
[[nodiscard]] std::optional<DeviceId> parse_tombstone_key(ByteView key);

// meta: "enrol/" ‖ device id → the device's enrolment.
inline constexpr std::string_view kEnrolmentPrefix = "enrol/";
[[nodiscard]] std::string enrolment_key(const DeviceId& device);
[[nodiscard]] std::optional<DeviceId> parse_enrolment_key(ByteView key);

// meta: "spent/" ‖ device id → the hash of the device's one-time token that was used.
inline constexpr std::string_view kSpentPrefix = "spent/";
[[nodiscard]] std::string spent_key(const DeviceId& device);
[[nodiscard]] std::optional<DeviceId> parse_spent_key(ByteView key);

// meta: "clock" → u64, little-endian: the last time of the broker's clock that was saved, milliseconds since 1970 UTC.
inline constexpr std::string_view kClockKey = "clock";
[[nodiscard]] Bytes clock_value(WallMs time);
[[nodiscard]] std::optional<WallMs> parse_clock_value(ByteView value);

// devices: the device id.
[[nodiscard]] std::string device_key(const DeviceId& device);
[[nodiscard]] std::optional<DeviceId> parse_device_key(ByteView key);

// rollouts: "r" ‖ hash → record, "m" ‖ hash → envelope of the manifest.
inline constexpr std::string_view kRolloutPrefix = "r";
inline constexpr std::string_view kManifestPrefix = "m";
[[nodiscard]] std::string rollout_key(const ManifestId& rollout);
[[nodiscard]] std::string manifest_key(const ManifestId& rollout);
[[nodiscard]] std::optional<ManifestId> parse_rollout_key(ByteView key);
[[nodiscard]] std::optional<ManifestId> parse_manifest_key(ByteView key);

// members: rollout hash ‖ device id. The prefix of a rollout's members is its 32 bytes.
[[nodiscard]] std::string member_key(const ManifestId& rollout, const DeviceId& device);
[[nodiscard]] std::optional<std::pair<ManifestId, DeviceId>> parse_member_key(ByteView key);

// packs: "d" ‖ pack id → directory; "c" ‖ pack id → when it was last used, written once every chunk of the pack is
// durable; "x" ‖ pack id → an empty value: the pack is being removed.
inline constexpr std::string_view kDirectoryPrefix = "d";
inline constexpr std::string_view kCompletePrefix = "c";
inline constexpr std::string_view kRemovingPrefix = "x";
[[nodiscard]] std::string directory_key(const PackId& pack);
[[nodiscard]] std::string complete_key(const PackId& pack);
[[nodiscard]] std::string removing_key(const PackId& pack);
[[nodiscard]] std::optional<PackId> parse_directory_key(ByteView key);
[[nodiscard]] std::optional<PackId> parse_complete_key(ByteView key);
[[nodiscard]] std::optional<PackId> parse_removing_key(ByteView key);
// The value of "c": u64, little-endian.
[[nodiscard]] Bytes used_value(WallMs used);
// The beginning of time when the value is no time.
[[nodiscard]] WallMs parse_used_value(ByteView value);

// chunks: hash of the decoded bytes ‖ encoded size u32 big-endian.
[[nodiscard]] std::string chunk_key(const ChunkHash& chunk, std::uint32_t encoded_bytes);
[[nodiscard]] std::optional<std::pair<ChunkHash, std::uint32_t>> parse_chunk_key(ByteView key);

// history: "d" ‖ device id ‖ 0 ‖ (report sequence mod kHistoryReportsMax) u8 → report, which a later one overwrites;
// "r" ‖ rollout hash ‖ number u64 big-endian → event.
static_assert(limits::kHistoryReportsMax <= 256);
[[nodiscard]] std::string report_key(const DeviceId& device, std::uint64_t sequence);
[[nodiscard]] std::string event_key(const ManifestId& rollout, std::uint64_t number);

}  // namespace instar::storage

#include "storage/key_layout.hpp"

namespace instar::storage {
namespace {

constexpr std::size_t kHashBytes = 32;

void append_u32_be(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

void append_u64_be(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

std::uint32_t read_u32_be(ByteView bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | bytes[i];
  return value;
}

std::string prefixed(std::string_view prefix, const Hash256& hash) {
  std::string key(prefix);
  key.append(as_text(hash.bytes));
  return key;
}

template <typename Id>
std::optional<Id> parse_prefixed(std::string_view prefix, ByteView key) {
  if (key.size() != prefix.size() + kHashBytes || !as_text(key).starts_with(prefix)) return std::nullopt;
  return Id::from_bytes(key.subspan(prefix.size()));
}

std::optional<DeviceId> parse_prefixed_device(std::string_view prefix, ByteView key) {
  auto text = as_text(key);
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  return parse_device_key(as_bytes(text));
}

}  // namespace

Bytes schema_value(std::uint32_t version) {
  Bytes value;
  for (int shift = 0; shift < 32; shift += 8) value.push_back(static_cast<std::uint8_t>(version >> shift & 0xff));
  return value;
}

std::optional<std::uint32_t> parse_schema_value(ByteView value) {
  if (value.size() != 4) return std::nullopt;
  std::uint32_t version = 0;
  for (std::size_t i = 4; i-- > 0;) version = version << 8 | value[i];
  return version;
}

std::string root_key(std::uint32_t version) {
  std::string key(kRootPrefix);
  append_u32_be(key, version);
  return key;
}

std::optional<std::uint32_t> parse_root_key(ByteView key) {
  if (key.size() != kRootPrefix.size() + 4 || !as_text(key).starts_with(kRootPrefix)) return std::nullopt;
  return read_u32_be(key.subspan(kRootPrefix.size()));
}

std::string assignment_key(const DeviceId& device) {
  return std::string(kAssignmentPrefix) + device.str();
}

std::optional<DeviceId> parse_assignment_key(ByteView key) {
  return parse_prefixed_device(kAssignmentPrefix, key);
}

std::string tombstone_key(const DeviceId& device) {
  return std::string(kTombstonePrefix) + device.str();
}

std::optional<DeviceId> parse_tombstone_key(ByteView key) {
  return parse_prefixed_device(kTombstonePrefix, key);
}

std::string enrolment_key(const DeviceId& device) {
  return std::string(kEnrolmentPrefix) + device.str();
}

std::optional<DeviceId> parse_enrolment_key(ByteView key) {
  return parse_prefixed_device(kEnrolmentPrefix, key);
}

std::string spent_key(const DeviceId& device) {
  return std::string(kSpentPrefix) + device.str();
}

std::optional<DeviceId> parse_spent_key(ByteView key) {
  return parse_prefixed_device(kSpentPrefix, key);
}

std::string report_key(const DeviceId& device, std::uint64_t sequence) {
  std::string key = "d" + device.str();
  key.push_back('\0');
  key.push_back(static_cast<char>(sequence % limits::kHistoryReportsMax));
  return key;
}

std::string event_key(const ManifestId& rollout, std::uint64_t number) {
  auto key = prefixed("r", rollout);
  append_u64_be(key, number);
  return key;
}

Bytes clock_value(WallMs time) {
  Bytes value;
  const auto number = static_cast<std::uint64_t>(time.value);
  for (int shift = 0; shift < 64; shift += 8) value.push_back(static_cast<std::uint8_t>(number >> shift & 0xff));
  return value;
}

std::optional<WallMs> parse_clock_value(ByteView value) {
  if (value.size() != 8) return std::nullopt;
  std::uint64_t number = 0;
  for (std::size_t i = 8; i-- > 0;) number = number << 8 | value[i];
  if (number > static_cast<std::uint64_t>(limits::kWallMsMax)) return std::nullopt;
  return WallMs{static_cast<std::int64_t>(number)};
}

std::string device_key(const DeviceId& device) {
  return device.str();
}

std::optional<DeviceId> parse_device_key(ByteView key) {
  auto device = DeviceId::parse(as_text(key));
  if (!device.has_value()) return std::nullopt;
  return std::move(*device);
}

std::string rollout_key(const ManifestId& rollout) {
  return prefixed(kRolloutPrefix, rollout);
}

std::string manifest_key(const ManifestId& rollout) {
  return prefixed(kManifestPrefix, rollout);
}

std::optional<ManifestId> parse_rollout_key(ByteView key) {
  return parse_prefixed<ManifestId>(kRolloutPrefix, key);
}

std::optional<ManifestId> parse_manifest_key(ByteView key) {
  return parse_prefixed<ManifestId>(kManifestPrefix, key);
}

std::string member_key(const ManifestId& rollout, const DeviceId& device) {
  std::string key(as_text(rollout.bytes));
  key.append(device.str());
  return key;
}

std::optional<std::pair<ManifestId, DeviceId>> parse_member_key(ByteView key) {
  if (key.size() <= kHashBytes) return std::nullopt;
  const auto rollout = ManifestId::from_bytes(key.first(kHashBytes));
  auto device = parse_device_key(key.subspan(kHashBytes));
  if (!rollout.has_value() || !device.has_value()) return std::nullopt;
  return std::pair{*rollout, std::move(*device)};
}

std::string directory_key(const PackId& pack) {
  return prefixed(kDirectoryPrefix, pack);
}

std::string complete_key(const PackId& pack) {
  return prefixed(kCompletePrefix, pack);
}

std::string removing_key(const PackId& pack) {
  return prefixed(kRemovingPrefix, pack);
}

std::optional<PackId> parse_directory_key(ByteView key) {
  return parse_prefixed<PackId>(kDirectoryPrefix, key);
}

std::optional<PackId> parse_complete_key(ByteView key) {
  return parse_prefixed<PackId>(kCompletePrefix, key);
}

std::optional<PackId> parse_removing_key(ByteView key) {
  return parse_prefixed<PackId>(kRemovingPrefix, key);
}

Bytes used_value(WallMs used) {
  Bytes value;
  for (int shift = 0; shift < 64; shift += 8)
    value.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(used.value) >> shift & 0xff));
  return value;
}

WallMs parse_used_value(ByteView value) {
  if (value.size() != 8) return {};
  std::uint64_t used = 0;
  for (std::size_t i = 8; i-- > 0;) used = used << 8 | value[i];
  if (used > static_cast<std::uint64_t>(limits::kWallMsMax)) return {};
  return {static_cast<std::int64_t>(used)};
}

std::string chunk_key(const ChunkHash& chunk, std::uint32_t encoded_bytes) {
  std::string key(as_text(chunk.bytes));
  append_u32_be(key, encoded_bytes);
  return key;
}

std::optional<std::pair<ChunkHash, std::uint32_t>> parse_chunk_key(ByteView key) {
  if (key.size() != kHashBytes + 4) return std::nullopt;
  const auto chunk = ChunkHash::from_bytes(key.first(kHashBytes));
  if (!chunk.has_value()) return std::nullopt;
  return std::pair{*chunk, read_u32_be(key.subspan(kHashBytes))};
}

}  // namespace instar::storage

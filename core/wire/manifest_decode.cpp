#include <algorithm>
#include <set>

#include "core/artifact/codec.hpp"
#include "core/artifact/image.hpp"
#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/volume_paths.hpp"
#include "schemas/manifest_generated.h"

namespace instar::wire {
namespace {

constexpr std::uint16_t kMinutesOfADay = 24 * 60;

// The first of `values` whose `key` another one has too, or nullptr.
template <typename T, typename Key>
const T* find_twice(const std::vector<T>& values, Key key) {
  std::set<std::remove_cvref_t<decltype(std::invoke(key, values[0]))>> seen;
  for (const T& value : values) {
    if (!seen.insert(std::invoke(key, value)).second) return &value;
  }
  return nullptr;
}

// --- artifacts -----------------------------------------------------------------------------------
Result<artifact::ChunkRef> read_chunk(const fb::ChunkRef* from) {
  artifact::ChunkRef ref;
  ref.hash = ChunkHash(read_hash(from->hash()));
  INSTAR_CHECK(check_range(from->encoded_bytes(), 1, limits::kChunkEncodedBytesMax, "encoded_bytes"));
  INSTAR_CHECK(check_range(from->decoded_bytes(), 1, limits::kChunkDecodedBytesMax, "decoded_bytes"));
  ref.encoded_bytes = from->encoded_bytes();
  ref.decoded_bytes = from->decoded_bytes();
  INSTAR_TRY(ref.codec, read_enum(from->codec(), artifact::Codec::zstd, "codec"));
  if (ref.codec == artifact::Codec::raw && ref.encoded_bytes != ref.decoded_bytes) {
    return bad_field("encoded_bytes", "differs from decoded_bytes in a raw chunk");
  }
  return ref;
}

Status check_pack(const Pack& pack) {
  std::uint64_t head_bytes = 0;
  for (const auto& ref : pack.head) head_bytes += ref.encoded_bytes;
  if (head_bytes != pack.head_bytes) {
    return bad_field("head_bytes",
                     "is " + std::to_string(pack.head_bytes) + ", its chunks have " + std::to_string(head_bytes));
  }
  INSTAR_CHECK(check_range(pack.body_count, 0, limits::kPackChunksMax - pack.head.size(), "body_count"));
  INSTAR_CHECK(check_range(pack.body_bytes, pack.body_count,
                           std::uint64_t{pack.body_count} * limits::kChunkEncodedBytesMax, "body_bytes"));
  if ((pack.kind == artifact::PackKind::delta) == pack.base.is_zero()) {
    return bad_field("base", "must be there for delta, and for nothing else");
  }
  return {};
}

Result<Pack> read_pack(const fb::Pack* from) {
  Pack pack;
  INSTAR_TRY(pack.kind, read_enum(from->kind(), artifact::PackKind::delta, "kind"));
  INSTAR_TRY(pack.id, read_id<PackId>(from->id(), "id"));
  pack.base = ArtifactId(read_hash(from->base()));
  INSTAR_TRY(pack.head, read_each<artifact::ChunkRef>(from->head(), "head", 1, limits::kHeadChunksMax, read_chunk));
  pack.body_count = from->body_count();
  pack.head_bytes = from->head_bytes();
  pack.body_bytes = from->body_bytes();
  pack.memory_bytes = from->memory_bytes();
  // A later format is kept. A device ignores packs that it does not know, and uses another one.
  if (from->format() == 0) return bad_field("format", "is 0");
  pack.format = from->format();
  pack.framing_bytes = from->framing_bytes();
  INSTAR_CHECK(check_pack(pack));
  return pack;
}

Status check_image(const Artifact& artifact) {
  const bool is_image = artifact.kind == ArtifactKind::image;
  if (is_image == (artifact.image_format == ImageFormat::none)) {
    return bad_field("image_format", "must be there for an image, and for nothing else");
  }
  if (is_image && artifact.entry_count != artifact::kImageEntries) {
    return bad_field("entry_count", "is " + std::to_string(artifact.entry_count) + ", of an image it is " +
                                        std::to_string(artifact::kImageEntries) + ": the root folder and the file");
  }
  return {};
}

Result<Artifact> read_artifact(const fb::Artifact* from) {
  Artifact artifact;
  INSTAR_TRY(artifact.id, read_id<ArtifactId>(from->id(), "id"));
  INSTAR_TRY(artifact.kind, read_enum(from->kind(), ArtifactKind::image, "kind"));
  INSTAR_CHECK(check_range(from->content_bytes(), 0, limits::kContentBytesMax, "content_bytes"));
  INSTAR_CHECK(check_range(from->entry_count(), 0, limits::kEntriesMax, "entry_count"));
  INSTAR_CHECK(check_range(from->index_bytes(), 0, limits::kIndexBytesMax, "index_bytes"));
  INSTAR_CHECK(check_range(from->hole_bytes(), 0, from->content_bytes(), "hole_bytes"));
  artifact.content_bytes = from->content_bytes();
  artifact.hole_bytes = from->hole_bytes();
  artifact.entry_count = from->entry_count();
  artifact.index_bytes = from->index_bytes();
  INSTAR_TRY(artifact.packs, read_each<Pack>(from->packs(), "packs", 1, limits::kPacksMax, read_pack));
  INSTAR_TRY(artifact.image_format, read_enum(from->image_format(), ImageFormat::ext4, "image_format"));
  INSTAR_CHECK(check_image(artifact));
  if (find_twice(artifact.packs, &Pack::id) != nullptr) return bad_field("packs", "has the same id twice");
  if (std::ranges::none_of(artifact.packs, [](const Pack& pack) { return pack.kind == artifact::PackKind::full; })) {
    return bad_field("packs", "has no full pack, the one that every device can use");
  }
  if (std::ranges::find(artifact.packs, artifact.id, &Pack::base) != artifact.packs.end()) {
    return bad_field("packs", "has a delta against the artifact itself");
  }
  return artifact;
}

// --- containers ----------------------------------------------------------------------------------
Result<std::string> read_argument(const flatbuffers::String* text) {
  return read_text(text, "argument", limits::kTextBytesMax);
}

Result<Setting> read_setting(const fb::Setting* from) {
  Setting setting;
  INSTAR_TRY(setting.key, read_name(from->key(), "key"));
  INSTAR_TRY(setting.value, read_line(from->value(), "value", limits::kSettingValueBytesMax));
  return setting;
}

Result<Volume> read_volume(const fb::Volume* from) {
  Volume volume;
  INSTAR_TRY(volume.name, read_name(from->name(), "name"));
  INSTAR_TRY(volume.path, read_line(from->path(), "path", limits::kPathBytesMax));
  if (!is_volume_path(volume.path))
    return bad_field("path", "must be absolute, below '/', without empty, '.' or '..' components");
  INSTAR_CHECK(check_range(from->mode(), 0, 07777, "mode"));
  volume.mode = from->mode();
  volume.uid = from->uid();
  volume.gid = from->gid();
  volume.shared = from->shared();
  return volume;
}

Result<Probe> read_probe(const fb::Probe& from) {
  Probe probe;
  INSTAR_TRY(probe.command, read_each<std::string>(from.command(), "command", 1, limits::kArgumentsMax, read_argument));
  if (probe.command.front().empty()) return bad_field("command", "starts with an empty word");
  INSTAR_CHECK(check_range(from.timeout_ms(), 1, limits::kHealthMsMax, "timeout_ms"));
  INSTAR_CHECK(check_range(from.interval_ms(), 1, limits::kHealthMsMax, "interval_ms"));
  INSTAR_CHECK(check_range(from.failures_max(), 1, UINT32_MAX, "failures_max"));
  probe.timeout_ms = from.timeout_ms();
  probe.interval_ms = from.interval_ms();
  probe.failures_max = from.failures_max();
  return probe;
}

// Absent reads as the defaults.
Result<Health> read_health(const fb::Health* from) {
  Health health;
  if (from == nullptr) return health;
  INSTAR_CHECK(check_range(from->settle_ms(), 0, limits::kHealthMsMax, "settle_ms"));
  INSTAR_CHECK(check_range(from->ready_timeout_ms(), 0, limits::kHealthMsMax, "ready_timeout_ms"));
  health.settle_ms = from->settle_ms();
  health.ready_timeout_ms = from->ready_timeout_ms();
  if (from->probe() != nullptr) {
    INSTAR_TRY(health.probe, read_in("probe", read_probe(*from->probe())));
  }
  return health;
}

Result<Container> read_container(const fb::Container* from) {
  Container container;
  INSTAR_TRY(container.name, read_name(from->name(), "name"));
  INSTAR_TRY(container.artifact, read_id<ArtifactId>(from->artifact(), "artifact"));
  INSTAR_TRY(container.init, read_each<std::string>(from->init(), "init", 0, limits::kArgumentsMax, read_argument));
  if (!container.init.empty() && container.init.front().empty()) return bad_field("init", "starts with an empty word");
  INSTAR_TRY(container.settings,
             read_each<Setting>(from->settings(), "settings", 0, limits::kSettingsMax, read_setting));
  INSTAR_TRY(container.volumes, read_each<Volume>(from->volumes(), "volumes", 0, limits::kVolumesMax, read_volume));
  if (find_twice(container.volumes, &Volume::name) != nullptr) return bad_field("volumes", "has the same name twice");
  if (find_twice(container.volumes, &Volume::path) != nullptr) return bad_field("volumes", "has the same path twice");
  INSTAR_TRY(container.health, read_in("health", read_health(from->health())));
  container.start_order = from->start_order();
  if (!flat::view(from->handler()).empty()) {
    INSTAR_TRY(container.handler, read_name(from->handler(), "handler"));
  }
  return container;
}

// --- requirements and policy ---------------------------------------------------------------------
Result<Requirements> read_requirements(const fb::Requirements* from) {
  Requirements requirements;
  if (from == nullptr) return requirements;
  const auto read_architecture = [](const flatbuffers::String* text) { return read_name(text, "architecture"); };
  INSTAR_TRY(requirements.architectures, read_each<std::string>(from->architectures(), "architectures", 0,
                                                                limits::kArchitecturesMax, read_architecture));
  INSTAR_TRY(requirements.kernel_min, read_line(from->kernel_min(), "kernel_min", limits::kNameBytesMax));
  INSTAR_TRY(requirements.client_min, read_line(from->client_min(), "client_min", limits::kNameBytesMax));
  requirements.memory_bytes_min = from->memory_bytes_min();
  requirements.free_bytes_min = from->free_bytes_min();
  return requirements;
}

Result<Wave> read_wave(const fb::Wave* from) {
  Wave wave;
  INSTAR_CHECK(check_range(from->share_bp(), 0, kWholeBp, "share_bp"));
  INSTAR_CHECK(check_range(from->device_count(), 0, limits::kDevicesMax, "device_count"));
  INSTAR_CHECK(check_range(from->success_bp(), 0, kWholeBp, "success_bp"));
  const auto read_id = [](const flatbuffers::String* text) -> Result<std::string> {
    INSTAR_TRY(const auto id, read_device(text, "device id"));
    return id.str();
  };
  INSTAR_TRY(wave.devices, read_each<std::string>(from->devices(), "devices", 0, limits::kNamedDevicesMax, read_id));
  wave.share_bp = from->share_bp();
  wave.device_count = from->device_count();
  wave.success_bp = from->success_bp();
  wave.soak_s = from->soak_s();
  wave.approval = from->approval();
  INSTAR_CHECK(check_range(from->quorum_bp(), 0, kWholeBp, "quorum_bp"));
  wave.quorum_bp = from->quorum_bp();
  if (wave.share_bp == 0 && wave.device_count == 0 && wave.devices.empty()) {
    return fail(Code::malformed, "admits no device: give share_bp, device_count or devices");
  }
  return wave;
}

Result<MaintenanceWindow> read_window(const fb::MaintenanceWindow* from) {
  INSTAR_CHECK(check_range(from->days(), 1, 127, "days"));
  INSTAR_CHECK(check_range(from->start_minute(), 0, kMinutesOfADay - 1, "start_minute"));
  INSTAR_CHECK(check_range(from->duration_minutes(), 1, kMinutesOfADay, "duration_minutes"));
  return MaintenanceWindow{from->days(), from->start_minute(), from->duration_minutes()};
}

Status read_budget(const fb::ErrorBudget* from, Policy& policy) {
  if (from == nullptr) return {};
  INSTAR_CHECK(check_range(from->failures_bp(), 0, kWholeBp, "failures_bp"));
  policy.failures_max = from->failures_max();
  policy.failures_bp = from->failures_bp();
  INSTAR_TRY(policy.budget_action, read_enum(from->action(), BudgetAction::revert, "action"));
  return {};
}

Result<Policy> read_policy(const fb::Policy* from) {
  Policy policy;
  if (from == nullptr) return policy;
  INSTAR_TRY(policy.waves, read_each<Wave>(from->waves(), "waves", 0, limits::kWavesMax, read_wave));
  INSTAR_CHECK(read_in("error_budget", read_budget(from->error_budget(), policy)));
  policy.in_flight_max = from->in_flight_max();
  policy.starts_per_minute_max = from->starts_per_minute_max();
  INSTAR_CHECK(check_range(from->attempts_max(), 1, UINT32_MAX, "attempts_max"));
  policy.attempts_max = from->attempts_max();
  policy.backoff_s = from->backoff_s();
  INSTAR_TRY(policy.deadline, read_time(from->deadline_ms(), "deadline_ms"));
  INSTAR_TRY(policy.windows,
             read_each<MaintenanceWindow>(from->windows(), "windows", 0, limits::kWindowsMax, read_window));
  policy.device_bytes_max = from->device_bytes_max();
  policy.rollout_bytes_max = from->rollout_bytes_max();
  policy.rate_bytes_per_s_max = from->rate_bytes_per_s_max();
  policy.metered_fallback = from->metered_fallback();
  policy.consent = from->consent();
  policy.revert_allowed = from->revert_allowed();
  policy.silent_s = from->silent_s();
  policy.download_any_time = from->download_any_time();
  policy.unmetered_only = from->unmetered_only();
  policy.approval_signed = from->approval_signed();
  policy.fall_back_stops = from->fall_back_stops();
  if (policy.fall_back_stops > limits::kFallBackStopsMax) {
    return fail(Code::malformed, "fall_back_stops is " + std::to_string(policy.fall_back_stops) + "; at most " +
                                     std::to_string(limits::kFallBackStopsMax));
  }
  policy.stale_after_s = from->stale_after_s();
  INSTAR_CHECK(check_range(count_of(from->salt()), 0, limits::kSaltBytesMax, "salt (bytes)"));
  if (from->salt() != nullptr) policy.salt.assign(from->salt()->begin(), from->salt()->end());
  return policy;
}

// --- the whole -----------------------------------------------------------------------------------
Status check_containers(const Manifest& manifest) {
  if (const auto* twice = find_twice(manifest.containers, &Container::name)) {
    return bad_field("containers", "has the name " + twice->name + " twice");
  }
  for (const Container& container : manifest.containers) {
    if (manifest.artifact(container.artifact) == nullptr) {
      return bad_field("containers", "names artifact " + container.artifact.short_hex() + "… for " + container.name +
                                         ", which is not among the artifacts");
    }
  }
  return {};
}

Result<Manifest> read_manifest(const fb::Manifest& from) {
  INSTAR_CHECK(check_format(from.format()));
  Manifest manifest;
  INSTAR_TRY(manifest.product, read_product(from.product()));
  INSTAR_TRY(manifest.release, read_name(from.release(), "release"));
  INSTAR_CHECK(check_range(from.sequence(), 1, UINT64_MAX, "sequence"));
  manifest.sequence = from.sequence();
  INSTAR_TRY(manifest.issued, read_time(from.issued_ms(), "issued_ms"));
  INSTAR_TRY(manifest.expires, read_time(from.expires_ms(), "expires_ms"));
  if (manifest.expires.value != 0 && manifest.expires < manifest.issued)
    return bad_field("expires_ms", "is before issued_ms");
  INSTAR_TRY(manifest.groups, read_groups(from.groups(), "groups", 1));
  INSTAR_TRY(manifest.artifacts,
             read_each<Artifact>(from.artifacts(), "artifacts", 1, limits::kArtifactsMax, read_artifact));
  if (find_twice(manifest.artifacts, &Artifact::id) != nullptr) return bad_field("artifacts", "has the same id twice");
  INSTAR_TRY(manifest.containers,
             read_each<Container>(from.containers(), "containers", 1, limits::kContainersMax, read_container));
  INSTAR_CHECK(check_containers(manifest));
  INSTAR_TRY(manifest.requirements, read_in("requirements", read_requirements(from.requirements())));
  INSTAR_TRY(manifest.policy, read_in("policy", read_policy(from.policy())));
  INSTAR_TRY(manifest.notes, read_text(from.notes(), "notes", limits::kTextBytesMax));
  return manifest;
}

Result<Manifest> decode_flat_manifest(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Manifest>(payload, "manifest", fb::ManifestIdentifier()));
  return read_in("manifest", read_manifest(*from));
}

}  // namespace

Result<Manifest> decode_manifest(ByteView payload) {
  if (artifact::is_zstd_frame(payload)) {
    const auto unpacked = artifact::decode_frame(payload, limits::kMessageBytesMax);
    if (unpacked) return decode_flat_manifest(*unpacked);
    const auto code = unpacked.error().code == Code::too_large ? Code::too_large : Code::malformed;
    return fail(code, "manifest: " + unpacked.error().message);
  }
  return decode_flat_manifest(payload);
}

}  // namespace instar::wire

#include "core/artifact/codec.hpp"
#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/manifest.hpp"
#include "schemas/manifest_generated.h"

namespace instar::wire {
namespace {

// Writes each of `values` by `write`; absent when there are none.
template <typename T, typename Write>
auto write_each(FlatBuilder& builder, const std::vector<T>& values, Write write) {
  std::vector<decltype(write(builder, values[0]))> offsets;
  offsets.reserve(values.size());
  for (const T& value : values) offsets.push_back(write(builder, value));
  using Written = decltype(builder.CreateVector(offsets));
  return offsets.empty() ? Written{} : builder.CreateVector(offsets);
}

flatbuffers::Offset<FlatStrings> write_optional_strings(FlatBuilder& builder, const std::vector<std::string>& texts) {
  return texts.empty() ? flatbuffers::Offset<FlatStrings>{} : write_strings(builder, texts);
}

flatbuffers::Offset<fb::ChunkRef> write_chunk(FlatBuilder& builder, const artifact::ChunkRef& ref) {
  const auto hash = flat_hash(ref.hash);
  return fb::CreateChunkRef(builder, &hash, ref.encoded_bytes, ref.decoded_bytes, static_cast<fb::Codec>(ref.codec));
}

flatbuffers::Offset<fb::Pack> write_pack(FlatBuilder& builder, const Pack& pack) {
  std::vector<flatbuffers::Offset<fb::ChunkRef>> chunks;
  for (const auto& ref : pack.head) chunks.push_back(write_chunk(builder, ref));
  const auto head = builder.CreateVector(chunks);
  const auto id = flat_hash(pack.id);
  const auto base = flat_hash(pack.base);
  return fb::CreatePack(builder, static_cast<fb::PackKind>(pack.kind), &id, pack.base.is_zero() ? nullptr : &base, head,
                        pack.body_count, pack.head_bytes, pack.body_bytes, pack.memory_bytes, pack.format,
                        pack.framing_bytes);
}

flatbuffers::Offset<fb::Artifact> write_artifact(FlatBuilder& builder, const Artifact& artifact) {
  std::vector<flatbuffers::Offset<fb::Pack>> offsets;
  for (const Pack& pack : artifact.packs) offsets.push_back(write_pack(builder, pack));
  const auto packs = builder.CreateVector(offsets);
  const auto id = flat_hash(artifact.id);
  return fb::CreateArtifact(builder, &id, static_cast<fb::ArtifactKind>(artifact.kind), artifact.content_bytes,
                            artifact.entry_count, artifact.index_bytes, packs,
                            static_cast<fb::ImageFormat>(artifact.image_format), artifact.hole_bytes);
}

flatbuffers::Offset<fb::Setting> write_setting(FlatBuilder& builder, const Setting& setting) {
  const auto key = builder.CreateString(setting.key);
  const auto value = builder.CreateString(setting.value);
  return fb::CreateSetting(builder, key, value);
}

flatbuffers::Offset<fb::Volume> write_volume(FlatBuilder& builder, const Volume& volume) {
  const auto name = builder.CreateString(volume.name);
  const auto path = builder.CreateString(volume.path);
  return fb::CreateVolume(builder, name, path, volume.mode, volume.uid, volume.gid, volume.shared);
}

flatbuffers::Offset<fb::Health> write_health(FlatBuilder& builder, const Health& health) {
  flatbuffers::Offset<fb::Probe> probe;
  if (health.probe) {
    const auto command = write_strings(builder, health.probe->command);
    probe = fb::CreateProbe(builder, command, health.probe->timeout_ms, health.probe->interval_ms,
                            health.probe->failures_max);
  }
  return fb::CreateHealth(builder, health.settle_ms, probe, health.ready_timeout_ms);
}

flatbuffers::Offset<fb::Container> write_container(FlatBuilder& builder, const Container& container) {
  const auto name = builder.CreateString(container.name);
  const auto init = write_optional_strings(builder, container.init);
  const auto settings = write_each(builder, container.settings, write_setting);
  const auto volumes = write_each(builder, container.volumes, write_volume);
  const auto health = write_health(builder, container.health);
  const auto handler = write_optional(builder, container.handler);
  const auto artifact = flat_hash(container.artifact);
  return fb::CreateContainer(builder, name, &artifact, init, settings, volumes, health, container.start_order, handler);
}

flatbuffers::Offset<fb::Requirements> write_requirements(FlatBuilder& builder, const Requirements& requirements) {
  const auto architectures = write_optional_strings(builder, requirements.architectures);
  const auto kernel_min = write_optional(builder, requirements.kernel_min);
  const auto client_min = write_optional(builder, requirements.client_min);
  return fb::CreateRequirements(builder, architectures, kernel_min, client_min, requirements.memory_bytes_min,
                                requirements.free_bytes_min);
}

flatbuffers::Offset<fb::Wave> write_wave(FlatBuilder& builder, const Wave& wave) {
  const auto devices = write_optional_strings(builder, wave.devices);
  return fb::CreateWave(builder, wave.share_bp, wave.device_count, devices, wave.success_bp, wave.soak_s, wave.approval,
                        wave.quorum_bp);
}

flatbuffers::Offset<fb::MaintenanceWindow> write_window(FlatBuilder& builder, const MaintenanceWindow& window) {
  return fb::CreateMaintenanceWindow(builder, window.days, window.start_minute, window.duration_minutes);
}

flatbuffers::Offset<fb::Policy> write_policy(FlatBuilder& builder, const Policy& policy) {
  const auto waves = write_each(builder, policy.waves, write_wave);
  const auto budget = fb::CreateErrorBudget(builder, policy.failures_max, policy.failures_bp,
                                            static_cast<fb::BudgetAction>(policy.budget_action));
  const auto windows = write_each(builder, policy.windows, write_window);
  const auto salt = policy.salt.empty() ? 0 : builder.CreateVector(policy.salt);
  return fb::CreatePolicy(builder, waves, budget, policy.in_flight_max, policy.starts_per_minute_max,
                          policy.attempts_max, policy.backoff_s, flat_time(policy.deadline), windows,
                          policy.device_bytes_max, policy.rollout_bytes_max, policy.rate_bytes_per_s_max,
                          policy.metered_fallback, policy.consent, salt, policy.revert_allowed, policy.silent_s,
                          policy.download_any_time, policy.unmetered_only, policy.fall_back_stops,
                          policy.approval_signed, policy.stale_after_s);
}

}  // namespace

Bytes encode_manifest(const Manifest& manifest) {
  FlatBuilder builder(8 * 1024);
  const auto product = builder.CreateString(manifest.product);
  const auto release = builder.CreateString(manifest.release);
  const auto groups = write_groups(builder, manifest.groups);
  std::vector<flatbuffers::Offset<fb::Artifact>> artifact_offsets;
  for (const Artifact& artifact : manifest.artifacts) artifact_offsets.push_back(write_artifact(builder, artifact));
  const auto artifacts = builder.CreateVector(artifact_offsets);
  std::vector<flatbuffers::Offset<fb::Container>> container_offsets;
  for (const Container& container : manifest.containers)
    container_offsets.push_back(write_container(builder, container));
  const auto containers = builder.CreateVector(container_offsets);
  const auto requirements = write_requirements(builder, manifest.requirements);
  const auto policy = write_policy(builder, manifest.policy);
  const auto notes = write_optional(builder, manifest.notes);
  const auto table =
      fb::CreateManifest(builder, 1, product, release, manifest.sequence, flat_time(manifest.issued),
                         flat_time(manifest.expires), groups, artifacts, containers, requirements, policy, notes);
  builder.Finish(table, fb::ManifestIdentifier());
  return flat::take(builder);
}

Bytes manifest_payload(const Manifest& manifest) {
  const auto flat = encode_manifest(manifest);
  // One that is too large for a message even so is refused when it is sealed.
  if (flat.size() > limits::kMessageBytesMax) return flat;
  return artifact::encode_chunk(flat).bytes;
}

}  // namespace instar::wire

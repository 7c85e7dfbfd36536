// The manifest as a value. decode_manifest() is only called with a payload whose signatures have been checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/wire/image_format.hpp"

namespace instar::wire {

// All of something, in basis points.
inline constexpr std::uint64_t kWholeBp = 10'000;

enum class ArtifactKind : std::uint8_t { tree = 0, image = 1 };
enum class BudgetAction : std::uint8_t { pause = 0, abort = 1, revert = 2 };

struct Pack {
  artifact::PackKind kind = artifact::PackKind::full;
  PackId id;
  ArtifactId base;  // zero if none
  std::vector<artifact::ChunkRef> head;
  std::uint32_t body_count = 0;
  std::uint64_t head_bytes = 0;
  std::uint64_t body_bytes = 0;
  std::uint32_t memory_bytes = 0;
  std::uint8_t format = artifact::kPackFormat;
  std::uint32_t framing_bytes = 0;
};

struct Artifact {
  ArtifactId id;
  ArtifactKind kind = ArtifactKind::tree;
  std::uint64_t content_bytes = 0;
  std::uint32_t entry_count = 0;
  std::uint32_t index_bytes = 0;
  std::vector<Pack> packs;
  ImageFormat image_format = ImageFormat::none;  // of an image
  std::uint64_t hole_bytes = 0;                  // of content_bytes: zeros that take up no space
};

struct Setting {
  std::string key;
  std::string value;
};

struct Volume {
  std::string name;
  std::string path;
  std::uint16_t mode = 0755;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool shared = false;  // by several containers, each of which says so
};

struct Probe {
  std::vector<std::string> command;
  std::uint32_t timeout_ms = 10'000;
  std::uint32_t interval_ms = 1'000;
  std::uint32_t failures_max = 3;
};

struct Health {
  std::uint32_t settle_ms = 10'000;
  std::optional<Probe> probe;
  std::uint32_t ready_timeout_ms = 0;
};

struct Container {
  std::string name;
  ArtifactId artifact;
  std::vector<std::string> init;  // empty = /sbin/init of the tree
  std::vector<Setting> settings;
  std::vector<Volume> volumes;
  Health health;
  std::uint32_t start_order = 0;
  std::string handler;
};

struct Requirements {
  std::vector<std::string> architectures;  // uname -m; empty = any
  std::string kernel_min;
  std::string client_min;
  std::uint64_t memory_bytes_min = 0;
  std::uint64_t free_bytes_min = 0;
};

struct Wave {
  std::uint16_t share_bp = 0;
  std::uint32_t device_count = 0;
  std::vector<std::string> devices = {};
  std::uint16_t success_bp = 10'000;
  std::uint32_t soak_s = 0;
  bool approval = false;
  std::uint16_t quorum_bp = 5'000;
};

struct MaintenanceWindow {
  std::uint8_t days = 127;
  std::uint16_t start_minute = 0;
  std::uint16_t duration_minutes = 0;
};

struct Policy {
  std::vector<Wave> waves;         // empty = one wave of all
  std::uint32_t failures_max = 0;  // error budget; 0 and 0 = none
  std::uint16_t failures_bp = 0;
  BudgetAction budget_action = BudgetAction::pause;
  std::uint32_t in_flight_max = 0;
  std::uint32_t starts_per_minute_max = 0;
  std::uint32_t attempts_max = 1;
  std::uint32_t backoff_s = 60;
  WallMs deadline;  // 0 = none
  std::vector<MaintenanceWindow> windows;
  std::uint64_t device_bytes_max = 0;
  std::uint64_t rollout_bytes_max = 0;
  std::uint32_t rate_bytes_per_s_max = 0;
  bool metered_fallback = false;
  bool consent = false;
  bool revert_allowed = false;
  std::uint32_t silent_s = 3'600;
  bool download_any_time = false;
  bool unmetered_only = false;
  std::uint32_t fall_back_stops =
      0;                         // of one container within an hour, of a committed release; 0 = it is never given up
  bool approval_signed = false;  // an approval that a wave asks for must be signed, and devices demand it of the gate
  std::uint32_t stale_after_s = 0;  // a gate that was signed longer ago lets nobody begin; 0 = any age
  Bytes salt;
};

struct Manifest {
  std::string product;
  std::string release;
  std::uint64_t sequence = 0;
  WallMs issued;
  WallMs expires;  // 0 = never
  std::vector<GroupPath> groups;
  std::vector<Artifact> artifacts;
  std::vector<Container> containers;
  Requirements requirements;
  Policy policy;
  std::string notes;

  [[nodiscard]] const Artifact* artifact(const ArtifactId& id) const noexcept;
  [[nodiscard]] bool is_for(const GroupPath& group) const noexcept;  // one of `groups` covers it
};

// Same manifest, same bytes.
[[nodiscard]] Bytes encode_manifest(const Manifest& manifest);
// The payload that travels: what encode_manifest() gives, as a zstd frame where that is smaller. Each version of zstd
// may make other bytes of it.
[[nodiscard]] Bytes manifest_payload(const Manifest& manifest);
// Of what a device comes to run by it: two manifests with the same one differ only in how, when and to whom they go
// out.
[[nodiscard]] Hash256 content_hash(const Manifest& manifest);
// Takes what encode_manifest() and manifest_payload() give. Errors: malformed, too_large, unsupported (a format or an
// enum value of a later version; the message says which). Checks what can be checked with the manifest alone: bounds,
// names, at least one group, artifact and container, sequence not 0, every container's artifact present, every artifact
// with a `full` pack, images with a format and the index of an image, head sizes that add up, container names unique,
// paths of volumes absolute and clean, texts clean (settings on one line), no wave that admits nobody. The device
// decides whether a setting is safe, and the broker whether the policy can be carried out.
[[nodiscard]] Result<Manifest> decode_manifest(ByteView payload);

}  // namespace instar::wire

#include "publisher/release/release.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/artifact/index.hpp"
#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/volume_paths.hpp"
#include "files/files.hpp"
#include "publisher/archive/origin.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/release/policy_spec.hpp"

namespace instar::publisher {
namespace {

Result<std::uint32_t> millis32(JsonObject& object, std::string_view key, std::uint32_t fallback) {
  INSTAR_TRY(const auto ms, object.duration_ms_or(key, fallback));
  if (ms > std::int64_t{std::numeric_limits<std::uint32_t>::max()})
    return fail(Code::malformed, object.where(key) + " is too long");
  return static_cast<std::uint32_t>(ms);
}

// "0750", as for chmod.
Result<std::uint16_t> parse_mode(const std::string& text, const std::string& where) {
  std::uint32_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || mode > 07777)
      return fail(Code::malformed, where + " must be octal digits, like \"0750\"");
    mode = mode * 8 + static_cast<std::uint32_t>(c - '0');
  }
  if (text.empty() || mode > 07777) return fail(Code::malformed, where + " must be octal digits, like \"0750\"");
  return static_cast<std::uint16_t>(mode);
}

Result<std::vector<wire::Setting>> parse_settings(JsonObject& object) {
  std::vector<wire::Setting> settings;
  const Json* value = object.find("settings");
  if (value == nullptr) return settings;
  const std::string where = object.where("settings");
  if (!value->is_object()) return fail(Code::malformed, where + " must be an object of LXC keys");
  for (const auto& [key, item] : value->items()) {
    // The value of a key that LXC allows several times is an array.
    const Json values = item.is_array() ? item : Json::array({item});
    for (const auto& one : values) {
      if (!one.is_string()) return fail(Code::malformed, where + ": " + key + " must be a text or an array of texts");
      settings.push_back({key, one.get<std::string>()});
    }
  }
  return settings;
}

Result<std::vector<wire::Volume>> parse_volumes(JsonObject& object) {
  std::vector<wire::Volume> volumes;
  const Json* value = object.find("volumes");
  if (value == nullptr) return volumes;
  if (!value->is_array()) return fail(Code::malformed, object.where("volumes") + " must be an array");
  for (std::size_t i = 0; i < value->size(); ++i) {
    INSTAR_TRY(auto item, JsonObject::of((*value)[i], object.where("volumes[" + std::to_string(i) + "]"),
                                         {"name", "path", "mode", "uid", "gid", "shared"}));
    wire::Volume volume;
    INSTAR_TRY(volume.name, item.text("name"));
    INSTAR_TRY(volume.path, item.text("path"));
    INSTAR_TRY(const auto mode, item.text_or("mode", "0755"));
    INSTAR_TRY(volume.mode, parse_mode(mode, item.where("mode")));
    INSTAR_TRY(volume.uid, item.number32_or("uid", 0));
    INSTAR_TRY(volume.gid, item.number32_or("gid", 0));
    INSTAR_TRY(volume.shared, item.flag_or("shared", false));
    volumes.push_back(std::move(volume));
  }
  return volumes;
}

Result<wire::Health> parse_health(JsonObject& object) {
  wire::Health health;
  const Json* value = object.find("health");
  if (value == nullptr) return health;
  INSTAR_TRY(auto fields, JsonObject::of(*value, object.where("health"), {"settle", "ready_timeout", "probe"}));
  INSTAR_TRY(health.settle_ms, millis32(fields, "settle", health.settle_ms));
  INSTAR_TRY(health.ready_timeout_ms, millis32(fields, "ready_timeout", 0));
  if (const Json* probe_value = fields.find("probe")) {
    INSTAR_TRY(auto probe_fields,
               JsonObject::of(*probe_value, fields.where("probe"), {"command", "timeout", "interval", "failures_max"}));
    wire::Probe probe;
    INSTAR_TRY(probe.command, probe_fields.texts("command"));
    if (probe.command.empty()) return fail(Code::malformed, probe_fields.where("command") + " must name what to run");
    INSTAR_TRY(probe.timeout_ms, millis32(probe_fields, "timeout", probe.timeout_ms));
    INSTAR_TRY(probe.interval_ms, millis32(probe_fields, "interval", probe.interval_ms));
    INSTAR_TRY(probe.failures_max, probe_fields.number32_or("failures_max", probe.failures_max));
    health.probe = std::move(probe);
  }
  return health;
}

Result<ContainerSpec> parse_container(const Json& json, const std::string& where, const std::string& folder) {
  INSTAR_TRY(auto object,
             JsonObject::of(json, where,
                            {"name", "artifact", "init", "settings", "volumes", "health", "start_order", "handler"}));
  ContainerSpec spec;
  INSTAR_TRY(spec.container.name, object.text("name"));
  INSTAR_TRY(spec.artifact_path, object.text("artifact"));
  if (!spec.artifact_path.starts_with('/')) spec.artifact_path = folder + "/" + spec.artifact_path;
  INSTAR_TRY(spec.container.init, object.texts("init"));
  INSTAR_TRY(spec.container.settings, parse_settings(object));
  INSTAR_TRY(spec.container.volumes, parse_volumes(object));
  INSTAR_TRY(spec.container.health, parse_health(object));
  INSTAR_TRY(spec.container.start_order, object.number32_or("start_order", 0));
  INSTAR_TRY(spec.container.handler, object.text_or("handler", ""));
  const auto& made = spec.container;
  const bool has_more = !made.init.empty() || !made.settings.empty() || !made.volumes.empty() || made.health.probe;
  if (!made.handler.empty() && has_more)
    return fail(
        Code::malformed,
        where + ": a payload of a handler has no init, settings, volumes or probe: its handler knows what to do");
  return spec;
}

Result<wire::Requirements> parse_requirements(JsonObject& object) {
  wire::Requirements requirements;
  const Json* value = object.find("requirements");
  if (value == nullptr) return requirements;
  INSTAR_TRY(auto fields, JsonObject::of(*value, object.where("requirements"),
                                         {"architectures", "kernel_min", "client_min", "memory_min", "free_min"}));
  INSTAR_TRY(requirements.architectures, fields.texts("architectures"));
  INSTAR_TRY(requirements.kernel_min, fields.text_or("kernel_min", ""));
  INSTAR_TRY(requirements.client_min, fields.text_or("client_min", ""));
  INSTAR_TRY(requirements.memory_bytes_min, fields.size_or("memory_min", 0));
  INSTAR_TRY(requirements.free_bytes_min, fields.size_or("free_min", 0));
  return requirements;
}

Result<std::optional<std::uint64_t>> parse_sequence(JsonObject& object) {
  const Json* value = object.find("sequence");
  if (value == nullptr || (value->is_string() && value->get<std::string>() == "auto")) return std::nullopt;
  INSTAR_TRY(const auto sequence, object.number_or("sequence", 0, std::numeric_limits<std::uint64_t>::max()));
  if (sequence == 0) return fail(Code::malformed, object.where("sequence") + " must be \"auto\" or a number from 1");
  return sequence;
}

}  // namespace

Result<ReleaseSpec> parse_release(std::string_view text, const std::string& where, const std::string& folder) {
  INSTAR_TRY(const auto json, parse_json(text, where));
  INSTAR_TRY(auto object, JsonObject::of(json, where,
                                         {"product", "release", "sequence", "groups", "expires", "notes", "containers",
                                          "requirements", "start_within", "policy"}));
  ReleaseSpec spec;
  INSTAR_TRY(spec.product, object.text_or("product", ""));
  INSTAR_TRY(spec.release, object.text_or("release", ""));
  INSTAR_TRY(spec.sequence, parse_sequence(object));
  INSTAR_TRY(const auto groups, object.texts("groups"));
  for (const auto& name : groups) {
    auto group = GroupPath::parse(name);
    if (!group) return fail(with_context(group.error(), object.where("groups")));
    spec.groups.push_back(std::move(*group));
  }
  INSTAR_TRY(spec.expires_after_ms, object.duration_ms_or("expires", 0));
  INSTAR_TRY(spec.notes, object.text_or("notes", ""));
  const Json* containers = object.find("containers");
  if (containers == nullptr || !containers->is_array())
    return fail(Code::malformed, where + ": containers must be an array");
  for (std::size_t i = 0; i < containers->size(); ++i) {
    INSTAR_TRY(auto container,
               parse_container((*containers)[i], where + ": containers[" + std::to_string(i) + "]", folder));
    spec.containers.push_back(std::move(container));
  }
  INSTAR_TRY(spec.requirements, parse_requirements(object));
  INSTAR_TRY(spec.deadline_after_ms, object.duration_ms_or("start_within", 0));
  INSTAR_TRY(spec.policy, parse_policy(object));
  return spec;
}

Result<ReleaseSpec> load_release(const std::string& path) {
  INSTAR_TRY(const auto text, files::read_file(path, limits::kReleaseFileBytesMax));
  const auto slash = path.rfind('/');
  return parse_release(as_text(text), path, slash == std::string::npos ? "." : path.substr(0, slash));
}

Result<wire::Setting> parse_setting(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(Code::invalid_argument,
                "setting '" + std::string(text) + "' must be KEY=VALUE, like lxc.environment=LANG=C");
  }
  return wire::Setting{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<wire::Volume> parse_volume(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || !is_name(text.substr(0, colon)) || !text.substr(colon + 1).starts_with('/')) {
    return fail(Code::invalid_argument,
                "volume '" + std::string(text) + "' must be NAME:/PATH, like data:/var/lib/app");
  }
  wire::Volume volume;
  volume.name = text.substr(0, colon);
  volume.path = text.substr(colon + 1);
  return volume;
}

namespace {

Status as_published(const Status& checked) {
  if (checked || checked.error().code != Code::refused) return checked;
  return fail(Code::invalid_argument, "this release cannot be published: " + checked.error().message);
}

// From the images that artifacts were made of.
void complete_containers(const ArtifactFolders& folders, ReleaseSpec& spec) {
  for (auto& each : spec.containers) {
    const auto& origin = folders.at(each.artifact_path).origin;
    if (!origin || !origin->is_image()) continue;
    complete_container(origin->container, each.container);
    if (spec.notes.empty()) spec.notes = notes_of(*origin);
  }
}

// Reads the index of each tree that has volumes over it.
Status check_volumes(const ReleaseSpec& spec, const ArtifactFolders& folders) {
  std::map<std::string, wire::VolumePaths> volumes;
  std::vector<const wire::Container*> containers;
  for (const auto& each : spec.containers) containers.push_back(&each.container);
  INSTAR_CHECK(as_published(wire::check_shared_volumes(containers)));
  for (const auto& each : spec.containers) {
    INSTAR_CHECK(as_published(wire::check_volume_paths(each.container)));
    const auto folder = folders.find(each.artifact_path);
    const bool is_tree = folder != folders.end() && folder->second.image_format == wire::ImageFormat::none;
    if (is_tree && !each.container.volumes.empty()) volumes[each.artifact_path].add(each.container);
  }
  for (const auto& of_tree : volumes) {
    const wire::VolumePaths& paths = of_tree.second;
    const std::string file = of_tree.first + "/" + std::string(kIndexFile);
    INSTAR_TRY(const auto index, files::read_file(file, limits::kIndexBytesMax));
    artifact::IndexReader reader([&](const artifact::Entry& entry) { return paths.check(entry); },
                                 {.devices_allowed = true, .hardlinks_looked_up = false});
    INSTAR_CHECK(as_published(reader.feed(index)));
    INSTAR_TRY([[maybe_unused]] const auto id, reader.finish());
  }
  return {};
}

}  // namespace

Result<ArtifactFolders> open_artifacts(ReleaseSpec& spec) {
  ArtifactFolders folders;
  for (const auto& container : spec.containers) {
    if (folders.contains(container.artifact_path)) continue;
    INSTAR_TRY(auto folder, open_artifact(container.artifact_path));
    folders.emplace(container.artifact_path, std::move(folder));
  }
  complete_containers(folders, spec);
  INSTAR_CHECK(check_volumes(spec, folders));
  return folders;
}

Result<wire::Manifest> make_manifest(const ReleaseSpec& spec, const ArtifactFolders& artifacts, std::uint64_t sequence,
                                     WallMs now, Bytes salt) {
  wire::Manifest manifest;
  manifest.product = spec.product;
  manifest.release = spec.release;
  manifest.sequence = sequence;
  manifest.issued = now;
  if (spec.expires_after_ms != 0) manifest.expires = now + spec.expires_after_ms;
  manifest.groups = spec.groups;
  manifest.requirements = spec.requirements;
  manifest.policy = spec.policy;
  manifest.policy.salt = std::move(salt);
  if (spec.deadline_after_ms != 0) manifest.policy.deadline = now + spec.deadline_after_ms;
  INSTAR_CHECK(complete_policy(manifest.policy));
  manifest.notes = spec.notes;
  for (const auto& each : spec.containers) {
    const auto found = artifacts.find(each.artifact_path);
    if (found == artifacts.end()) return fail(Code::internal, "artifact " + each.artifact_path + " was not opened");
    auto container = each.container;
    container.artifact = found->second.id;
    manifest.containers.push_back(std::move(container));
    // Two folders may hold the same artifact, but a manifest names it once.
    if (manifest.artifact(found->second.id) == nullptr) manifest.artifacts.push_back(manifest_artifact(found->second));
  }
  // The receiver's own check runs here, before anything is sent.
  const auto check = wire::decode_manifest(wire::encode_manifest(manifest));
  if (!check) return fail(Code::invalid_argument, "this release cannot be published: " + check.error().message);
  return manifest;
}

Result<Bytes> sign_manifest(const wire::Manifest& manifest, std::span<const trust::SecretKey> keys,
                            const trust::TrustStore& root) {
  if (keys.empty())
    return fail(Code::invalid_argument, "a manifest needs a signature: give a release key with --key FILE");
  Bytes envelope = trust::seal(trust::Kind::manifest, wire::manifest_payload(manifest), keys);
  if (envelope.size() > limits::kMessageBytesMax) {
    return fail(Code::too_large, "the manifest has " + std::to_string(envelope.size()) +
                                     " bytes, one message carries " + std::to_string(limits::kMessageBytesMax) +
                                     ": use fewer containers or shorter settings");
  }
  for (const auto& group : manifest.groups) {
    const auto opened = root.open_manifest(envelope, group);
    if (opened) continue;
    return fail(with_context(opened.error(), "devices of group " + group.str() +
                                                 " would refuse this signature (root version " +
                                                 std::to_string(root.root().version) + ")"));
  }
  return envelope;
}

}  // namespace instar::publisher

// Shows a manifest as JSON and as text: manifest_json() and manifest_text().
#include <utility>

#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"
#include "publisher/release/policy_spec.hpp"
#include "publisher/release/release.hpp"

namespace instar::publisher {
namespace {

Json pack_json(const wire::Pack& pack) {
  return {{"kind", std::string(artifact::pack_kind_name(pack.kind))},
          {"id", pack.id.hex()},
          {"base", pack.base.is_zero() ? Json() : Json(pack.base.hex())},
          {"head_chunks", pack.head.size()},
          {"body_chunks", pack.body_count},
          {"head_bytes", pack.head_bytes},
          {"body_bytes", pack.body_bytes},
          {"wire_bytes", pack.head_bytes + pack.body_bytes},
          {"framing_bytes", pack.framing_bytes},
          {"memory_bytes", pack.memory_bytes},
          {"format", pack.format}};
}

Json artifact_entry_json(const wire::Artifact& artifact) {
  Json packs = Json::array();
  for (const auto& pack : artifact.packs) packs.push_back(pack_json(pack));
  return {{"id", artifact.id.hex()},
          {"kind", artifact.kind == wire::ArtifactKind::tree ? "tree" : "image"},
          {"image_format", artifact.kind == wire::ArtifactKind::tree
                               ? Json()
                               : Json(std::string(wire::image_format_name(artifact.image_format)))},
          {"content_bytes", artifact.content_bytes},
          {"entry_count", artifact.entry_count},
          {"index_bytes", artifact.index_bytes},
          {"packs", std::move(packs)}};
}

Json health_json(const wire::Health& health) {
  Json json{{"settle_ms", health.settle_ms}, {"ready_timeout_ms", health.ready_timeout_ms}};
  if (health.probe) {
    json["probe"] = {{"command", health.probe->command},
                     {"timeout_ms", health.probe->timeout_ms},
                     {"interval_ms", health.probe->interval_ms},
                     {"failures_max", health.probe->failures_max}};
  }
  return json;
}

Json container_json(const wire::Container& container) {
  Json settings = Json::array();
  for (const auto& setting : container.settings) settings.push_back({{"key", setting.key}, {"value", setting.value}});
  Json volumes = Json::array();
  for (const auto& volume : container.volumes) {
    volumes.push_back({{"name", volume.name},
                       {"path", volume.path},
                       {"mode", volume.mode},
                       {"uid", volume.uid},
                       {"gid", volume.gid},
                       {"shared", volume.shared}});
  }
  return {{"name", container.name},
          {"artifact", container.artifact.hex()},
          {"init", container.init},
          {"settings", std::move(settings)},
          {"volumes", std::move(volumes)},
          {"health", health_json(container.health)},
          {"start_order", container.start_order},
          {"handler", container.handler}};
}

void add_container(Fields& fields, const wire::Container& container) {
  if (!container.handler.empty()) {
    fields.add("payload " + container.name, "artifact " + container.artifact.short_hex());
    fields.add("  handler", container.handler);
    fields.add("  healthy if", "its handler's verify exits 0, for " + human_duration(container.health.settle_ms));
    return;
  }
  fields.add("container " + container.name, "artifact " + container.artifact.short_hex());
  fields.add("  init", container.init.empty() ? "/sbin/init" : joined(container.init, " "));
  for (const auto& setting : container.settings) fields.add("  setting", setting.key + " = " + setting.value);
  for (const auto& volume : container.volumes) fields.add("  volume", volume.name + " at " + volume.path);
  std::string health = "runs for " + human_duration(container.health.settle_ms);
  if (container.health.probe) {
    health += "; probe '" + joined(container.health.probe->command, " ") + "' exits 0 (every " +
              human_duration(container.health.probe->interval_ms) + ", within " +
              human_duration(container.health.probe->timeout_ms) + ", fails after " +
              std::to_string(container.health.probe->failures_max) + ")";
  }
  if (container.health.ready_timeout_ms != 0)
    health += "; says ready within " + human_duration(container.health.ready_timeout_ms);
  fields.add("  healthy if", health);
}

void add_requirements(Fields& fields, const wire::Requirements& requirements) {
  if (!requirements.architectures.empty()) fields.add("needs", joined(requirements.architectures, " "));
  if (!requirements.kernel_min.empty()) fields.add("needs kernel", requirements.kernel_min);
  if (!requirements.client_min.empty()) fields.add("needs client", requirements.client_min);
  if (requirements.memory_bytes_min != 0) fields.add("needs memory", human_bytes(requirements.memory_bytes_min));
  if (requirements.free_bytes_min != 0) fields.add("needs free space", human_bytes(requirements.free_bytes_min));
}

}  // namespace

Json manifest_json(const wire::Manifest& manifest) {
  Json groups = Json::array();
  for (const auto& group : manifest.groups) groups.push_back(group.str());
  Json artifacts = Json::array();
  for (const auto& artifact : manifest.artifacts) artifacts.push_back(artifact_entry_json(artifact));
  Json containers = Json::array();
  for (const auto& container : manifest.containers) containers.push_back(container_json(container));
  return {{"product", manifest.product},
          {"release", manifest.release},
          {"sequence", manifest.sequence},
          {"issued_ms", manifest.issued.value},
          {"expires_ms", manifest.expires.value},
          {"groups", std::move(groups)},
          {"artifacts", std::move(artifacts)},
          {"containers", std::move(containers)},
          {"requirements",
           {{"architectures", manifest.requirements.architectures},
            {"kernel_min", manifest.requirements.kernel_min},
            {"client_min", manifest.requirements.client_min},
            {"memory_bytes_min", manifest.requirements.memory_bytes_min},
            {"free_bytes_min", manifest.requirements.free_bytes_min}}},
          {"policy", policy_json(manifest.policy)},
          {"notes", manifest.notes}};
}

std::string manifest_text(const wire::Manifest& manifest, WallMs now) {
  Fields fields;
  std::vector<std::string> groups;
  for (const auto& group : manifest.groups) groups.push_back(group.str());
  fields.add("product", manifest.product);
  fields.add("release", manifest.release);
  fields.add("sequence", std::to_string(manifest.sequence));
  fields.add("groups", joined(groups, " "));
  fields.add("issued", local_time(manifest.issued) + " (" + relative_time(manifest.issued, now) + ")");
  fields.add("expires", manifest.expires.value == 0
                            ? "never"
                            : local_time(manifest.expires) + " (" + relative_time(manifest.expires, now) + ")");
  for (const auto& container : manifest.containers) add_container(fields, container);
  add_requirements(fields, manifest.requirements);
  for (const auto& [name, text] : policy_lines(manifest.policy)) fields.add(name, text);
  if (!manifest.notes.empty()) fields.add("notes", manifest.notes);
  Table table;
  table.column("ARTIFACT");
  table.column("KIND");
  table.column("CONTENT", Align::right);
  table.column("FILES", Align::right);
  table.column("PACK");
  table.column("HEAD", Align::right);
  table.column("BODY", Align::right);
  table.column("BYTES TO FETCH", Align::right);
  for (const auto& artifact : manifest.artifacts) {
    for (const auto& pack : artifact.packs) {
      const bool is_tree = artifact.kind == wire::ArtifactKind::tree;
      table.row({artifact.id.short_hex(),
                 is_tree ? "tree" : std::string(wire::image_format_name(artifact.image_format)),
                 human_bytes(artifact.content_bytes), std::to_string(artifact.entry_count),
                 std::string(artifact::pack_kind_name(pack.kind)), human_bytes(pack.head_bytes),
                 human_bytes(pack.body_bytes), std::to_string(pack.head_bytes + pack.body_bytes)});
    }
  }
  return fields.str() + "\n" + table.str();
}

}  // namespace instar::publisher

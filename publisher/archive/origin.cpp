#include "publisher/archive/origin.hpp"

#include <algorithm>
#include <iterator>

#include "core/base/limits.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

// The texts of an origin, by their names in artifact.json.
constexpr std::pair<const char*, std::string Origin::*> kTexts[] = {
    {"file", &Origin::file},
    {"format", &Origin::format},
    {"reference", &Origin::reference},
    {"index_digest", &Origin::index_digest},
    {"manifest_digest", &Origin::manifest_digest},
    {"config_digest", &Origin::config_digest},
    {"platform", &Origin::platform},
    {"created", &Origin::created},
};

Json container_json(const ImageContainer& container) {
  Json settings = Json::array();
  for (const auto& setting : container.settings) settings.push_back({{"key", setting.key}, {"value", setting.value}});
  Json volumes = Json::array();
  for (const auto& volume : container.volumes)
    volumes.push_back({{"name", volume.name},
                       {"path", volume.path},
                       {"mode", volume.mode},
                       {"uid", volume.uid},
                       {"gid", volume.gid}});
  Json json{{"init", container.init}, {"settings", std::move(settings)}, {"volumes", std::move(volumes)}};
  if (container.probe) {
    json["probe"] = {{"command", container.probe->command},
                     {"timeout_ms", container.probe->timeout_ms},
                     {"interval_ms", container.probe->interval_ms},
                     {"failures_max", container.probe->failures_max}};
  }
  return json;
}

// The objects of an array; an absent one is empty.
template <typename Take>
Status each_of(const JsonObject& object, std::string_view key, std::size_t most, const Take& take) {
  const Json* const list = object.find(key);
  if (list == nullptr) return {};
  if (!list->is_array() || list->size() > most)
    return fail(Code::malformed, object.where(key) + " must be an array of at most " + std::to_string(most));
  for (const Json& each : *list) {
    INSTAR_TRY(auto item, JsonObject::of(each, object.where(key)));
    INSTAR_CHECK(take(item));
  }
  return {};
}

Result<ImageContainer> parse_container(const Json& json, const std::string& where) {
  INSTAR_TRY(auto object, JsonObject::of(json, where));
  ImageContainer container;
  INSTAR_TRY(container.init, object.texts("init"));
  INSTAR_CHECK(each_of(object, "settings", limits::kSettingsMax, [&](JsonObject& item) -> Status {
    wire::Setting setting;
    INSTAR_TRY(setting.key, item.text("key"));
    INSTAR_TRY(setting.value, item.text("value"));
    container.settings.push_back(std::move(setting));
    return {};
  }));
  INSTAR_CHECK(each_of(object, "volumes", limits::kVolumesMax, [&](JsonObject& item) -> Status {
    wire::Volume volume;
    INSTAR_TRY(volume.name, item.text("name"));
    INSTAR_TRY(volume.path, item.text("path"));
    INSTAR_TRY(const auto mode, item.number_or("mode", volume.mode, 07777));
    volume.mode = static_cast<std::uint16_t>(mode);
    INSTAR_TRY(volume.uid, item.number32_or("uid", 0));
    INSTAR_TRY(volume.gid, item.number32_or("gid", 0));
    container.volumes.push_back(std::move(volume));
    return {};
  }));
  if (const Json* const found = object.find("probe")) {
    INSTAR_TRY(auto item, JsonObject::of(*found, object.where("probe")));
    wire::Probe probe;
    INSTAR_TRY(probe.command, item.texts("command"));
    INSTAR_TRY(probe.timeout_ms, item.number32_or("timeout_ms", probe.timeout_ms));
    INSTAR_TRY(probe.interval_ms, item.number32_or("interval_ms", probe.interval_ms));
    INSTAR_TRY(probe.failures_max, item.number32_or("failures_max", probe.failures_max));
    container.probe = std::move(probe);
  }
  return container;
}

// "lxc.environment" and its NAME=; of another key the key alone.
std::string said_by(const wire::Setting& setting) {
  if (setting.key != "lxc.environment") return setting.key;
  return setting.key + " " + setting.value.substr(0, setting.value.find('='));
}

std::string label_of(const Origin& origin, std::string_view name) {
  const auto found = std::ranges::find(origin.labels, name, &std::pair<std::string, std::string>::first);
  return found == origin.labels.end() ? std::string() : found->second;
}

}  // namespace

Json origin_json(const Origin& origin) {
  Json json = Json::object();
  for (const auto& [name, member] : kTexts)
    if (!(origin.*member).empty()) json[name] = origin.*member;
  if (!origin.labels.empty()) {
    json["labels"] = Json::object();
    for (const auto& [name, value] : origin.labels) json["labels"][name] = value;
  }
  if (origin.is_image()) json["container"] = container_json(origin.container);
  if (!origin.remarks.empty()) json["remarks"] = origin.remarks;
  return json;
}

Result<Origin> parse_origin(const Json& json, const std::string& where) {
  INSTAR_TRY(auto object, JsonObject::of(json, where));
  Origin origin;
  for (const auto& [name, member] : kTexts) {
    INSTAR_TRY(origin.*member, object.text_or(name, ""));
  }
  if (const Json* const labels = object.find("labels")) {
    if (!labels->is_object() || labels->size() > limits::kImageLabelsMax)
      return fail(Code::malformed, object.where("labels") + " must be an object of texts");
    for (const auto& [name, value] : labels->items()) {
      if (!value.is_string()) return fail(Code::malformed, object.where("labels") + " must be an object of texts");
      origin.labels.emplace_back(name, value.get<std::string>());
    }
  }
  if (const Json* const container = object.find("container")) {
    INSTAR_TRY(origin.container, parse_container(*container, object.where("container")));
  }
  INSTAR_TRY(origin.remarks, object.texts("remarks"));
  return origin;
}

void complete_container(const ImageContainer& image, wire::Container& container) {
  if (!container.handler.empty()) return;
  if (container.init.empty()) container.init = image.init;
  std::vector<wire::Setting> settings;
  std::ranges::copy_if(image.settings, std::back_inserter(settings), [&](const wire::Setting& setting) {
    return std::ranges::find(container.settings, said_by(setting), said_by) == container.settings.end();
  });
  container.settings.insert(container.settings.begin(), settings.begin(), settings.end());
  for (const auto& volume : image.volumes) {
    const bool is_said = std::ranges::any_of(container.volumes, [&](const wire::Volume& said) {
      return said.path == volume.path || said.name == volume.name;
    });
    if (!is_said) container.volumes.push_back(volume);
  }
  if (!container.health.probe) container.health.probe = image.probe;
}

std::string remarks_text(const Origin& origin) {
  const std::string before = origin.is_image() ? "of the image: " : "of the archive: ";
  std::string text;
  for (const auto& remark : origin.remarks) text += before + remark + "\n";
  return text;
}

std::vector<std::pair<std::string, std::string>> origin_fields(const Origin& origin) {
  std::vector<std::pair<std::string, std::string>> fields;
  if (!origin.is_image()) {
    fields.emplace_back("made from", origin.file + " (" + origin.format + ")");
    return fields;
  }
  fields.emplace_back("image", (origin.reference.empty() ? "without a name" : origin.reference) + ", " +
                                   origin.platform + ", from " + origin.file + " (" + origin.format + ")");
  if (!origin.manifest_digest.empty()) fields.emplace_back("image digest", origin.manifest_digest);
  if (!origin.index_digest.empty()) fields.emplace_back("image index", origin.index_digest);
  fields.emplace_back("image id", origin.config_digest);
  if (!origin.container.init.empty()) fields.emplace_back("init", joined(origin.container.init, " "));
  return fields;
}

std::string notes_of(const Origin& origin) {
  std::string text;
  const auto add = [&](std::string_view label, std::string_view before) {
    const auto value = label_of(origin, "org.opencontainers.image." + std::string(label));
    if (!value.empty()) text += (text.empty() ? "" : std::string(before)) + value;
  };
  add("title", "");
  add("version", " ");
  add("revision", ", revision ");
  add("source", ", ");
  if (text.empty()) return text;
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  if (text.size() <= limits::kTextBytesMax) return text;
  std::size_t end = limits::kTextBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end);
}

}  // namespace instar::publisher

#include "publisher/broker/device_view.hpp"

#include <vector>

#include "publisher/broker/rollout_view.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

std::optional<wire::RevisionInfo> read_revision(const Json& row) {
  if (get_text(row, "release").empty()) return std::nullopt;
  wire::RevisionInfo revision{get_text(row, "product"), get_text(row, "release"), get_number(row, "sequence"), {}, {}};
  for (const auto& text : get_texts(row, "artifacts")) {
    if (const auto artifact = ArtifactId::from_hex(text)) revision.artifacts.push_back(*artifact);
  }
  return revision;
}

wire::Description read_description(const Json& row) {
  wire::Description out;
  out.product = get_text(row, "product");
  for (const auto& text : get_texts(row, "groups")) {
    if (auto group = GroupPath::parse(text)) out.groups.push_back(std::move(*group));
  }
  out.running = read_revision(get(row, "running"));
  out.previous = read_revision(get(row, "previous"));
  out.architecture = get_text(row, "architecture");
  out.kernel = get_text(row, "kernel");
  out.client_version = get_text(row, "client_version");
  out.memory_bytes = get_number(row, "memory_bytes");
  out.free_bytes = get_number(row, "free_bytes");
  out.metered = get_flag(row, "metered");
  out.highest_sequence = get_number(row, "highest_sequence");
  out.degraded = get_texts(row, "degraded");
  for (const auto& name : get_texts(row, "image_formats")) {
    if (const auto format = wire::parse_image_format(name)) out.image_formats.push_back(*format);
  }
  out.handlers = get_texts(row, "handlers");
  return out;
}

// "2.4.1 (sequence 7)", "-" when there is none.
std::string revision_text(const std::optional<wire::RevisionInfo>& revision) {
  if (!revision) return "-";
  return revision->release + " (sequence " + std::to_string(revision->sequence) + ")";
}

std::vector<std::string> texts_of(const std::vector<GroupPath>& groups) {
  std::vector<std::string> texts;
  for (const auto& group : groups) texts.push_back(group.str());
  return texts;
}

std::string reports_text(const Json& reports, WallMs now) {
  Table table;
  table.column("REPORT", Align::right);
  table.column("ROLLOUT");
  table.column("STATE");
  table.column("ATTEMPT", Align::right);
  table.column("FETCHED", Align::right);
  table.column("WHEN");
  table.column("REASON");
  for (const auto& report : reports) {
    table.row({std::to_string(get_number(report, "sequence")), get_text(report, "rollout"), get_text(report, "step"),
               std::to_string(get_number(report, "attempt")), human_bytes(get_number(report, "bytes_fetched")),
               relative_time(get_time(report, "received_ms"), now), code_text(report)});
  }
  return table.empty() ? std::string() : "\n" + table.str();
}

std::string taken_text(const Json& rows, WallMs now) {
  Table table;
  table.column("ROLLOUT");
  table.column("RELEASE");
  table.column("STATE");
  table.column("PACK");
  table.column("FETCHED", Align::right);
  table.column("FULL", Align::right);
  table.column("DOWN", Align::right);
  table.column("CHANGED");
  for (const auto& row : rows) {
    table.row({get_text(row, "rollout"), get_text(row, "release"), get_text(row, "step"), get_text(row, "pack_kind"),
               human_bytes(get_number(row, "bytes_fetched")), human_bytes(get_number(row, "bytes_full")),
               human_duration(static_cast<std::int64_t>(get_number(row, "downtime_ms"))),
               relative_time(get_time(row, "updated_ms"), now)});
  }
  return table.empty() ? std::string() : "\n" + table.str();
}

}  // namespace

KnownDevice read_device(const Json& row) {
  return {get_text(row, "device"), get_flag(row, "online"), get_time(row, "last_seen_ms"), read_description(row)};
}

std::string devices_text(const Json& rows, WallMs now) {
  Table table;
  table.column("DEVICE");
  table.column("ONLINE");
  table.column("PRODUCT");
  table.column("RELEASE");
  table.column("SEQ", Align::right);
  table.column("TARGET");
  table.column("SEEN");
  table.column("GROUPS");
  for (const auto& row : rows) {
    const Json& running = get(row, "running");
    const auto release = get_text(running, "release");
    table.row({get_text(row, "device"), get_flag(row, "online") ? "yes" : "no", get_text(row, "product"),
               release.empty() ? "-" : release, release.empty() ? "-" : std::to_string(get_number(running, "sequence")),
               get_text(row, "target", "-"), relative_time(get_time(row, "last_seen_ms"), now),
               joined(get_texts(row, "groups"))});
  }
  return table.empty() ? "no devices known here; one appears when its instar-device connects\n" : table.str();
}

std::string device_text(const Json& json, WallMs now) {
  const auto device = read_device(json);
  const auto& description = device.description;
  Fields fields;
  fields.add("device", device.device);
  fields.add("online", device.online ? "yes" : "no");
  fields.add("last seen", with_age(device.last_seen, now));
  fields.add("product", description.product);
  fields.add("groups", joined(texts_of(description.groups)));
  fields.add("key", get_text(json, "public_key"));
  fields.add("machine", description.architecture + ", kernel " + description.kernel);
  fields.add("client", description.client_version);
  fields.add("free", human_bytes(description.free_bytes) + " of storage, " + human_bytes(description.memory_bytes) +
                         " of memory in all");
  std::vector<std::string> formats;
  for (const auto format : description.image_formats) formats.emplace_back(wire::image_format_name(format));
  fields.add("mounts images", formats.empty() ? "none" : joined(formats));
  fields.add("has handlers", description.handlers.empty() ? "none" : joined(description.handlers));
  fields.add("link", description.metered ? "metered" : "not metered");
  fields.add("running", revision_text(description.running));
  fields.add("previous", revision_text(description.previous));
  fields.add("takes", "releases above sequence " + std::to_string(description.highest_sequence));
  fields.add("bytes sent", human_bytes(get_number(json, "bytes_sent")));
  if (!description.degraded.empty()) fields.add("degraded", joined(description.degraded));
  std::string out = fields.str();
  out += reports_text(get(json, "last_reports"), now);
  return out + taken_text(get(json, "rollouts"), now);
}

}  // namespace instar::publisher

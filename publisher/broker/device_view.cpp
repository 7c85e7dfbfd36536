#include "publisher/broker/device_view.hpp"

#include <cstdlib>
#include <vector>

#include "publisher/broker/rollout_view.hpp"
#include "publisher/console/json_fields.hpp"
#include "publisher/console/table.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

// A hello takes its time too.
constexpr std::int64_t kSameTimeMs = 5'000;

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
  out.time = get_time(row, "time_ms");
  for (const auto state : {wire::ClockState::none, wire::ClockState::free, wire::ClockState::synchronized}) {
    if (get_text(row, "clock") == wire::clock_state_name(state)) out.clock = state;
  }
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

// "synchronized; at its last hello 2026-11-23 07:01:22, as the broker's"
std::string device_clock_text(const wire::Description& description, const Json& json) {
  std::string text = "it does not say";
  switch (description.clock) {
    case wire::ClockState::unknown: break;
    case wire::ClockState::none: text = "keeps no time while it is off"; break;
    case wire::ClockState::free: text = "not synchronized"; break;
    case wire::ClockState::synchronized: text = "synchronized"; break;
  }
  const auto offset = json.find("clock_offset_ms");
  if (description.time.value == 0 || offset == json.end() || !offset->is_number_integer()) return text;
  const auto behind_ms = offset->get<std::int64_t>();
  text += "; at its last hello " + local_time(description.time);
  if (std::abs(behind_ms) < kSameTimeMs) return text + ", as the broker's";
  return text + ", " + span_text(std::abs(behind_ms)) + (behind_ms > 0 ? " behind" : " ahead of") + " the broker's";
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
    const std::string online = get_flag(row, "online") ? "yes" : "no";
    const auto* const doubt = get_flag(row, "cloned")                    ? ", cloned?"
                              : get_time(row, "other_key_ms").value != 0 ? ", other key"
                                                                         : "";
    table.row({get_text(row, "device"), online + doubt, get_text(row, "product"), release.empty() ? "-" : release,
               release.empty() ? "-" : std::to_string(get_number(running, "sequence")),
               get_text(row, "target_release", "-"), relative_time(get_time(row, "last_seen_ms"), now),
               joined(get_texts(row, "groups"))});
  }
  return table.empty() ? "no devices known here; one appears when its instar-device connects\n" : table.str();
}

std::string refused_text(const Json& rows, WallMs now) {
  Table table;
  table.column("NOT ENROLLED");
  table.column("LOGIN");
  table.column("HELLOS", Align::right);
  table.column("LAST");
  table.column("REASON");
  for (const auto& row : rows) {
    table.row({get_text(row, "device"), get_text(row, "login"), std::to_string(get_number(row, "hellos")),
               relative_time(get_time(row, "last_ms"), now), get_text(row, "reason")});
  }
  return table.empty() ? std::string() : "\n" + table.str();
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
  const auto key = get_text(json, "public_key");
  fields.add("key", key.empty() ? "none: the device is replaced, and its new key has not come yet" : key);
  if (get_flag(json, "cloned")) {
    fields.add("cloned?",
               "two devices have spoken with this name and key, " + relative_time(get_time(json, "cloned_ms"), now));
  }
  if (const auto came = get_time(json, "other_key_ms"); came.value != 0) {
    fields.add("other key", "another key says hello as " + device.device + " and is refused, " +
                                relative_time(came, now) +
                                ": if that is new hardware, or the client was installed again, take it in with: instar "
                                "devices replace " +
                                device.device + " --key-id " + get_text(json, "other_key_id"));
  }
  fields.add("machine", description.architecture + ", kernel " + description.kernel);
  fields.add("client", description.client_version);
  fields.add("clock", device_clock_text(description, json));
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

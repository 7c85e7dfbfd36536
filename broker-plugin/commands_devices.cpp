// Commands on devices, and on what they run.
#include <algorithm>
#include <map>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/filters.hpp"
#include "broker-plugin/history.hpp"
#include "broker-plugin/reply.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

// Of a device's reports, without being asked for its history.
constexpr std::uint64_t kLastReports = 8;

// `groups`, or none for all.
Result<std::vector<GroupPath>> read_groups(const Json& command) {
  std::vector<GroupPath> groups;
  const auto found = command.find("groups");
  if (found == command.end()) return groups;
  if (!found->is_array() || found->empty() || found->size() > limits::kGroupsMax) {
    return fail(Code::invalid_argument,
                "`groups` must be an array of 1 to " + std::to_string(limits::kGroupsMax) + " texts");
  }
  for (const auto& item : *found) {
    if (!item.is_string()) return fail(Code::invalid_argument, "`groups` must be an array of texts");
    INSTAR_TRY(auto group, GroupPath::parse(item.get<std::string>()));
    groups.push_back(std::move(group));
  }
  return groups;
}

// What is known of one artifact that devices run.
struct RunningArtifact {
  std::uint64_t devices = 0;
  std::uint64_t metered = 0;
  std::string release;  // of the highest sequence that has it
  std::uint64_t sequence = 0;
};
using RunningArtifacts = std::map<ArtifactId, RunningArtifact>;

void count_artifacts(const wire::Description& device, RunningArtifacts& running) {
  if (!device.running) return;
  for (const auto& artifact : std::set(device.running->artifacts.begin(), device.running->artifacts.end())) {
    auto& row = running[artifact];
    ++row.devices;
    row.metered += device.metered ? 1 : 0;
    if (row.devices > 1 && device.running->sequence <= row.sequence) continue;
    row.release = device.running->release;
    row.sequence = device.running->sequence;
  }
}

// Of those that said hello and are not enrolled: the last ones, by name.
Json refused_json(const rollout::Tracker& tracker) {
  Json out = Json::array();
  for (const auto& [id, refused] : tracker.enrolments().refused()) {
    out.push_back({{"device", id.str()},
                   {"login", refused.login},
                   {"hellos", refused.hellos},
                   {"last_ms", refused.last.value},
                   {"reason", refused.why}});
  }
  return out;
}

// Who is known of the product: in each of `groups` and below, and in which groups they are, those with the most devices
// first; and of which products devices are. So a group or a product that nobody has shows as mistyped.
void add_known(const rollout::Tracker& tracker, const std::string& product, const std::vector<GroupPath>& groups,
               Json& out) {
  std::map<std::string, std::uint64_t> by_group;
  std::map<std::string, std::uint64_t> by_product;
  std::vector<std::uint64_t> inside(groups.size());
  for (const auto& [id, device] : tracker.devices()) {
    const auto& said = device.record.description;
    ++by_product[said.product];
    if (said.product != product) continue;
    for (const auto& group : said.groups) ++by_group[group.str()];
    for (std::size_t i = 0; i < groups.size(); ++i) inside[i] += is_in({groups[i]}, said) ? 1 : 0;
  }
  const auto rows = [](const std::map<std::string, std::uint64_t>& counts, const char* key) {
    std::vector<std::pair<std::string, std::uint64_t>> most_first(counts.begin(), counts.end());
    std::ranges::stable_sort(most_first, [](const auto& one, const auto& two) { return one.second > two.second; });
    if (most_first.size() > limits::kKnownNamesMax) most_first.resize(limits::kKnownNamesMax);
    Json list = Json::array();
    for (const auto& [name, devices] : most_first) list.push_back({{key, name}, {"devices", devices}});
    return list;
  };
  out["by_group"] = Json::array();
  for (std::size_t i = 0; i < groups.size(); ++i)
    out["by_group"].push_back({{"group", groups[i].str()}, {"devices", inside[i]}});
  out["groups_known"] = rows(by_group, "group");
  out["products_known"] = rows(by_product, "product");
}

Json rollouts_of(const rollout::Tracker& tracker, const DeviceId& device) {
  Json out = Json::array();
  for (const auto& [id, rollout] : tracker.rollouts()) {
    const auto member = rollout.members.find(device);
    if (member == rollout.members.end()) continue;
    Json row{{"rollout", id.short_hex()}, {"release", rollout.record.release}, {"sequence", rollout.record.sequence}};
    row.update(member_json(member->second.record));
    row["wave"] = member->second.wave < 0 ? Json() : Json(member->second.wave + 1);
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace

bool is_in(const std::vector<GroupPath>& groups, const wire::Description& device) {
  return groups.empty() || std::ranges::any_of(device.groups, [&](const GroupPath& own) {
           return std::ranges::any_of(groups, [&](const GroupPath& group) { return group.covers(own); });
         });
}

Result<Json> list_devices(const CommandContext& context, const Json& command, const Slot& slot) {
  std::vector<GroupPath> groups;
  if (command.contains("group")) {
    INSTAR_TRY(const auto text, read_string(command, "group"));
    INSTAR_TRY(auto group, GroupPath::parse(text));
    groups.push_back(std::move(group));
  }
  INSTAR_TRY(const auto filter, read_device_filter(command));
  const bool verbose = read_flag(command, "verbose");
  const bool unknown = read_flag(command, "unknown");
  PageOfRows page(command, slot.reply());
  for (const auto& [id, device] : context.tracker.devices()) {
    if (!is_in(groups, device.record.description) || (unknown && device.record.took_part)) continue;
    if (!filter.takes(id, device)) continue;
    page.offer([&, &id = id] { return device_json(id, context.tracker, context.now.wall, verbose); });
  }
  Json out;
  page.put_into(out, "devices");
  if (unknown && context.tracker.enrolments().is_demanded()) out["refused"] = refused_json(context.tracker);
  return out;
}

// Time: once through the devices. Memory: a row for each artifact that one of them runs.
Result<Json> list_artifacts(const CommandContext& context, const Json& command, const Slot& slot) {
  INSTAR_TRY(const auto groups, read_groups(command));
  std::string product;
  if (command.contains("product")) {
    INSTAR_TRY(product, read_string(command, "product"));
  }
  RunningArtifacts running;
  std::uint64_t devices = 0;
  std::uint64_t without = 0;
  for (const auto& [id, device] : context.tracker.devices()) {
    const auto& record = device.record;
    if (!is_in(groups, record.description) || (!product.empty() && record.description.product != product)) continue;
    ++devices;
    if (!record.description.running || record.description.running->artifacts.empty()) ++without;
    count_artifacts(record.description, running);
  }
  std::vector<std::pair<ArtifactId, RunningArtifact>> most_first(running.begin(), running.end());
  std::ranges::stable_sort(
      most_first, [](const auto& one, const auto& other) { return one.second.devices > other.second.devices; });
  PageOfRows page(command, slot.reply());
  for (const auto& [artifact, row] : most_first) {
    page.offer([&artifact = artifact, &row = row] {
      return Json{{"artifact", artifact.hex()},
                  {"release", row.release},
                  {"sequence", row.sequence},
                  {"devices", row.devices},
                  {"metered", row.metered}};
    });
  }
  Json out;
  out["devices"] = devices;
  out["devices_without"] = without;
  page.put_into(out, "artifacts");
  return out;
}

// Time: twice through the devices.
Result<Json> next_sequence(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  INSTAR_TRY(const auto product, read_string(command, "product"));
  INSTAR_TRY(const auto groups, read_groups(command));
  if (groups.empty()) return fail(Code::invalid_argument, "`groups` must name those that the release is for");
  const auto next = context.tracker.next_sequence(product, groups);
  Json out;
  out["sequence"] = next.sequence;
  out["devices"] = next.devices;
  out["devices_refusing"] = next.devices - next.takers;
  add_known(context.tracker, product, groups, out);
  return out;
}

Result<Json> get_device(const CommandContext& context, const Json& command, const Slot& slot) {
  INSTAR_TRY(const auto text, read_string(command, "device"));
  INSTAR_TRY(const auto id, DeviceId::parse(text));
  const auto* device = context.tracker.device(id);
  if (device == nullptr) return fail(Code::not_found, "no device " + text + " is known here");
  Json out = device_json(id, context.tracker, context.now.wall, true);
  out["rollouts"] = rollouts_of(context.tracker, id);
  out["last_reports"] = Json::array();
  const auto reports_max = read_flag(command, "history") ? limits::kHistoryReportsMax : kLastReports;
  read_reports(context.store, id, device->record.applied_sequence, reports_max, slot);
  return out;
}

bool is_silent(const rollout::Device& device, std::int64_t silent_ms, WallMs now) noexcept {
  return !device.online && now - device.record.last_seen >= silent_ms;
}

// Time: once through the devices.
Result<Json> forget_devices(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  const auto older = command.find("older_than_s");
  constexpr auto kLastSecond = static_cast<std::uint64_t>(limits::kWallMsMax / 1'000);
  if (older == command.end() || !older->is_number_unsigned() || older->get<std::uint64_t>() > kLastSecond)
    return fail(Code::invalid_argument, "the command needs a whole number `older_than_s`: seconds of silence");
  const auto silent_ms = static_cast<std::int64_t>(older->get<std::uint64_t>()) * 1'000;
  const bool unknown = read_flag(command, "unknown");
  std::vector<DeviceId> silent;
  bool more = false;
  for (const auto& [id, device] : context.tracker.devices()) {
    if (!is_silent(device, silent_ms, context.now.wall) || (unknown && device.record.took_part)) continue;
    more = silent.size() == limits::kForgetDevicesMax;
    if (more) break;
    silent.push_back(id);
  }
  for (const auto& device : silent) {
    // What never took part may have been made up: its key is worth as little as another.
    const bool took_part = context.tracker.device(device)->record.took_part;
    INSTAR_CHECK(context.tracker.forget(device, took_part ? rollout::OldKey::taken_back : rollout::OldKey::untouched,
                                        context.now.wall, context.effects));
    context.chunks.drop(device);
  }
  return Json{{"forgotten", silent.size()}, {"more", more}};
}

}  // namespace instar::broker

// The groups as a tree: who is in them, and what they run.
#include <algorithm>
#include <map>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/reply.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

struct Group {
  std::uint64_t devices = 0;
  std::uint64_t online = 0;
  std::map<std::pair<std::uint64_t, std::string>, std::uint64_t> releases;  // (sequence, name) → devices
};

Json releases_json(const Group& group) {
  std::vector<std::pair<std::pair<std::uint64_t, std::string>, std::uint64_t>> most_first(group.releases.begin(),
                                                                                          group.releases.end());
  std::ranges::stable_sort(most_first, [](const auto& one, const auto& other) { return one.second > other.second; });
  if (most_first.size() > limits::kGroupReleasesMax) most_first.resize(limits::kGroupReleasesMax);
  Json rows = Json::array();
  for (const auto& [release, devices] : most_first) {
    rows.push_back({{"release", release.second}, {"sequence", release.first}, {"devices", devices}});
  }
  return rows;
}

// Time: once through the devices. A device counts in each of its groups and in the parents of those, once each.
std::map<GroupPath, Group> count_groups(const rollout::Tracker& tracker) {
  std::map<GroupPath, Group> groups;
  for (const auto& [path, rollout] : tracker.group_rollouts()) groups.try_emplace(path);
  for (const auto& [id, device] : tracker.devices()) {
    std::set<GroupPath> own;
    for (const auto& group : device.record.description.groups) {
      for (auto& path : group.with_parents()) own.insert(std::move(path));
    }
    const auto& running = device.record.description.running;
    for (const auto& path : own) {
      auto& group = groups[path];
      ++group.devices;
      group.online += device.online ? 1 : 0;
      ++group.releases[running.has_value() ? std::pair(running->sequence, running->release)
                                           : std::pair(std::uint64_t{0}, std::string())];
    }
  }
  return groups;
}

Json group_row(const rollout::Tracker& tracker, const GroupPath& path, const Group& group) {
  const auto current = tracker.group_rollouts().find(path);
  const auto rollout = current == tracker.group_rollouts().end() ? std::nullopt : tracker.rollout(current->second);
  Json row{
      {"group", path.str()}, {"devices", group.devices}, {"online", group.online}, {"releases", releases_json(group)}};
  row["rollout"] = !rollout ? Json() : Json(current->second.short_hex());
  row["rollout_release"] = !rollout ? Json() : Json(rollout->record.release);
  row["rollout_state"] = !rollout ? Json() : Json(rollout->state_name());
  return row;
}

}  // namespace

Result<Json> list_groups(const CommandContext& context, const Json& command, const Slot& slot) {
  std::optional<GroupPath> prefix;
  if (command.contains("prefix")) {
    INSTAR_TRY(const auto text, read_string(command, "prefix"));
    INSTAR_TRY(prefix, GroupPath::parse(text));
  }
  PageOfRows page(command, slot.reply());
  for (const auto& [path, group] : count_groups(context.tracker)) {
    if (prefix.has_value() && !prefix->covers(path)) continue;
    page.offer([&, &path = path, &group = group] { return group_row(context.tracker, path, group); });
  }
  Json out;
  page.put_into(out, "groups");
  return out;
}

}  // namespace instar::broker

// The groups as a tree: who is in them, and what they run.
#include <algorithm>
#include <map>

#include "broker-plugin/service_reply.hpp"

namespace instar::broker {
namespace {

// Releases named in one row: the most frequent ones.
constexpr std::size_t kReleasesMax = 8;

struct Group {
  std::uint64_t devices = 0;
  std::uint64_t online = 0;
  std::map<std::pair<std::uint64_t, std::string>, std::uint64_t> releases;  // (sequence, name) → devices
};

Json releases_json(const Group& group) {
  std::vector<std::pair<std::pair<std::uint64_t, std::string>, std::uint64_t>> most_first(group.releases.begin(),
                                                                                          group.releases.end());
  std::ranges::stable_sort(most_first, [](const auto& one, const auto& other) { return one.second > other.second; });
  if (most_first.size() > kReleasesMax) most_first.resize(kReleasesMax);
  Json rows = Json::array();
  for (const auto& [release, devices] : most_first) {
    rows.push_back({{"release", release.second}, {"sequence", release.first}, {"devices", devices}});
  }
  return rows;
}

}  // namespace

// Time: once through the devices. A device counts in each of its groups and in the parents of those, once each.
Result<Json> ServiceImpl::list_groups(const Json& command, Reply& reply) const {
  std::optional<GroupPath> prefix;
  if (command.contains("prefix")) {
    INSTAR_TRY(const auto text, read_string(command, "prefix"));
    INSTAR_TRY(prefix, GroupPath::parse(text));
  }
  std::map<GroupPath, Group> groups;
  for (const auto& [path, rollout] : tracker_.group_rollouts()) groups.try_emplace(path);
  for (const auto& [id, device] : tracker_.devices()) {
    std::set<GroupPath> own;
    for (const auto& group : device.record.groups) {
      for (auto& path : group.with_parents()) own.insert(std::move(path));
    }
    const auto& running = device.record.running;
    for (const auto& path : own) {
      auto& group = groups[path];
      ++group.devices;
      group.online += device.online ? 1 : 0;
      ++group.releases[running.has_value() ? std::pair(running->sequence, running->release)
                                           : std::pair(std::uint64_t{0}, std::string())];
    }
  }
  const auto page = read_page(command);
  Json rows = Json::array();
  std::uint64_t total = 0;
  bool full = false;
  for (const auto& [path, group] : groups) {
    if (prefix.has_value() && !prefix->covers(path)) continue;
    if (total++ < page.offset || rows.size() >= page.count || full) continue;
    const auto current = tracker_.group_rollouts().find(path);
    const auto rollout = current == tracker_.group_rollouts().end() ? std::nullopt : tracker_.rollout(current->second);
    Json row{{"group", path.str()},
             {"devices", group.devices},
             {"online", group.online},
             {"releases", releases_json(group)}};
    row["rollout"] = !rollout ? Json() : Json(current->second.short_hex());
    row["rollout_release"] = !rollout ? Json() : Json(rollout->record.release);
    row["rollout_state"] = !rollout ? Json() : Json(rollout->state_name());
    full = !reply.add_row(rows, std::move(row));
  }
  return Json{{"totalCount", total}, {"count", rows.size()}, {"offset", page.offset}, {"groups", std::move(rows)}};
}

bool ServiceImpl::is_online(const DeviceId& id) const {
  const auto* device = tracker_.device(id);
  return device != nullptr && device->online;
}

}  // namespace instar::broker

// The groups as a tree: who is in them, and what they run.
#include <algorithm>
#include <map>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/reply.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

// Of one product.
struct Running {
  std::string product;
  std::uint64_t sequence = 0;
  std::string release;  // empty: nothing
  friend auto operator<=>(const Running&, const Running&) = default;
};

struct Group {
  std::uint64_t devices = 0;
  std::uint64_t online = 0;
  std::map<Running, std::uint64_t> releases;                 // → devices
  std::vector<std::pair<std::string, ManifestId>> rollouts;  // product, its current one
};

Json releases_json(const Group& group) {
  std::vector<std::pair<Running, std::uint64_t>> most_first(group.releases.begin(), group.releases.end());
  std::ranges::stable_sort(most_first, [](const auto& one, const auto& other) { return one.second > other.second; });
  if (most_first.size() > limits::kGroupReleasesMax) most_first.resize(limits::kGroupReleasesMax);
  Json rows = Json::array();
  for (const auto& [running, devices] : most_first) {
    rows.push_back({{"product", running.product},
                    {"release", running.release},
                    {"sequence", running.sequence},
                    {"devices", devices}});
  }
  return rows;
}

// Time: once through the devices. A device counts in each of its groups and in the parents of those, once each.
std::map<GroupPath, Group> count_groups(const rollout::Tracker& tracker) {
  std::map<GroupPath, Group> groups;
  for (const auto& [audience, rollout] : tracker.current_rollouts())
    groups[audience.group].rollouts.emplace_back(audience.product, rollout);
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
      Running what{device.record.description.product, 0, ""};
      if (running.has_value()) what = {running->product, running->sequence, running->release};
      ++group.releases[what];
    }
  }
  return groups;
}

Json group_row(const rollout::Tracker& tracker, const GroupPath& path, const Group& group) {
  Json row{
      {"group", path.str()}, {"devices", group.devices}, {"online", group.online}, {"releases", releases_json(group)}};
  row["rollouts"] = Json::array();
  for (const auto& [product, id] : group.rollouts) {
    const auto rollout = tracker.rollout(id);
    row["rollouts"].push_back({{"product", product},
                               {"rollout", id.short_hex()},
                               {"release", rollout->record.release},
                               {"state", rollout->state_name()}});
  }
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

// What operators ask for: rollouts, devices, packs.
#include <algorithm>
#include <map>

#include "broker-plugin/service_reply.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

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

bool is_in(const std::vector<GroupPath>& groups, const rollout::DeviceRecord& device) {
  return groups.empty() || std::ranges::any_of(device.groups, [&](const GroupPath& own) {
           return std::ranges::any_of(groups, [&](const GroupPath& group) { return group.covers(own); });
         });
}

// What is known of one artifact that devices run.
struct RunningArtifact {
  std::uint64_t devices = 0;
  std::uint64_t metered = 0;
  std::string release;  // of the highest sequence that has it
  std::uint64_t sequence = 0;
};

}  // namespace

Json ServiceImpl::list_rollouts(const Json& command, Reply& reply) const {
  std::vector<std::pair<std::uint64_t, Hash256>> newest_first;
  for (const auto& [hash, rollout] : tracker_.rollouts()) newest_first.emplace_back(rollout.record.order, hash);
  std::sort(newest_first.rbegin(), newest_first.rend());
  const auto page = read_page(command);
  Json rows = Json::array();
  for (std::size_t i = page.offset; i < newest_first.size() && rows.size() < page.count; ++i) {
    const auto& hash = newest_first[i].second;
    if (!reply.add_row(rows, rollout_json(hash))) break;
  }
  return {{"totalCount", newest_first.size()},
          {"count", rows.size()},
          {"offset", page.offset},
          {"rollouts", std::move(rows)}};
}

Result<Json> ServiceImpl::get_rollout(const Json& command, Reply& reply) const {
  INSTAR_TRY(const auto hash, find_rollout(command));
  const auto rollout = *tracker_.rollout(hash);
  Json out = rollout_json(hash);
  out["manifest"] = hash.hex();
  out["issue"] = rollout.record.issue;
  out["by_group"] = Json::array();
  for (const auto& group : rollout.record.groups) {
    rollout::Counts counts;
    for (const auto& [id, member] : rollout.members) {
      const auto* device = tracker_.device(id);
      const bool inside = device != nullptr && std::any_of(device->record.groups.begin(), device->record.groups.end(),
                                                           [&](const GroupPath& own) { return group.covers(own); });
      if (inside) counts.add(member.record);
    }
    out["by_group"].push_back({{"group", group.str()}, {"devices", counts.devices}, {"counts", counts_json(counts)}});
  }
  if (!read_flag(command, "devices")) return out;
  const auto page = read_page(command);
  Json rows = Json::array();
  std::uint64_t at = 0;
  for (const auto& [id, member] : rollout.members) {
    if (at++ < page.offset) continue;
    if (rows.size() >= page.count) break;
    Json row{{"device", id.str()}, {"online", is_online(id)}};
    row.update(member_json(member.record));
    if (!reply.add_row(rows, std::move(row))) break;
  }
  out["totalCount"] = rollout.members.size();
  out["count"] = rows.size();
  out["offset"] = page.offset;
  out["members"] = std::move(rows);
  return out;
}

Result<Json> ServiceImpl::list_devices(const Json& command, Reply& reply) const {
  std::optional<GroupPath> group;
  if (command.contains("group")) {
    INSTAR_TRY(const auto text, read_string(command, "group"));
    INSTAR_TRY(group, GroupPath::parse(text));
  }
  const auto page = read_page(command);
  const bool verbose = read_flag(command, "verbose");
  const bool plan = command.contains("view") && command["view"] == "plan";
  Json rows = Json::array();
  std::uint64_t total = 0;
  bool full = false;
  for (const auto& [id, device] : tracker_.devices()) {
    const auto& own = device.record.groups;
    const auto inside = [&](const GroupPath& candidate) { return group->covers(candidate); };
    if (group.has_value() && std::none_of(own.begin(), own.end(), inside)) continue;
    const bool on_page = total++ >= page.offset && rows.size() < page.count && !full;
    if (on_page) full = !reply.add_row(rows, plan ? plan_json(id, device) : device_json(id, device, verbose));
  }
  Json out;
  out["totalCount"] = total;
  out["count"] = rows.size();
  out["offset"] = page.offset;
  out["devices"] = std::move(rows);
  return out;
}

// Time: once through the devices. Memory: a row for each artifact that one of them runs.
Result<Json> ServiceImpl::list_artifacts(const Json& command, Reply& reply) const {
  INSTAR_TRY(const auto groups, read_groups(command));
  std::string product;
  if (command.contains("product")) {
    INSTAR_TRY(product, read_string(command, "product"));
  }
  std::map<Hash256, RunningArtifact> running;
  std::uint64_t devices = 0;
  std::uint64_t without = 0;
  for (const auto& [id, device] : tracker_.devices()) {
    const auto& record = device.record;
    if (!is_in(groups, record) || (!product.empty() && record.product != product)) continue;
    ++devices;
    if (!record.running || record.running->artifacts.empty()) ++without;
    if (!record.running) continue;
    for (const auto& artifact : std::set(record.running->artifacts.begin(), record.running->artifacts.end())) {
      auto& row = running[artifact];
      ++row.devices;
      row.metered += record.metered ? 1 : 0;
      if (row.devices > 1 && record.running->sequence <= row.sequence) continue;
      row.release = record.running->release;
      row.sequence = record.running->sequence;
    }
  }
  std::vector<std::pair<Hash256, RunningArtifact>> most_first(running.begin(), running.end());
  std::ranges::stable_sort(
      most_first, [](const auto& one, const auto& other) { return one.second.devices > other.second.devices; });
  const auto page = read_page(command);
  Json rows = Json::array();
  for (std::size_t i = page.offset; i < most_first.size() && rows.size() < page.count; ++i) {
    const auto& [artifact, row] = most_first[i];
    if (!reply.add_row(rows, {{"artifact", artifact.hex()},
                              {"release", row.release},
                              {"sequence", row.sequence},
                              {"devices", row.devices},
                              {"metered", row.metered}})) {
      break;
    }
  }
  Json out;
  out["devices"] = devices;
  out["devices_without"] = without;
  out["totalCount"] = most_first.size();
  out["count"] = rows.size();
  out["offset"] = page.offset;
  out["artifacts"] = std::move(rows);
  return out;
}

// --- packs: the store must be asked -------------------------------------------------------------------

void ServiceImpl::get_pack(const Json& command, const std::shared_ptr<Reply>& reply, std::size_t at) {
  const auto refuse_it = [&](const Error& error) {
    reply->responses[at]["error"] = std::string(code_name(error.code)) + ": " + error.message;
    finish(reply);
  };
  const auto text = read_string(command, "pack");
  if (!text.has_value()) return refuse_it(text.error());
  const auto id = Hash256::from_hex(*text);
  if (!id.has_value()) return refuse_it({Code::invalid_argument, "`pack` must be 64 hex digits"});
  if (complete_packs_.contains(*id)) {
    reply->responses[at]["data"] = {
        {"pack", id->hex()}, {"complete", true}, {"missing_count", 0}, {"missing", Json::array()}};
    return finish(reply);
  }
  store_.read(storage::Column::packs, storage::directory_key(*id),
              [id = *id, reply, at, self = std::weak_ptr(self_)](Result<std::optional<Bytes>> value) {
                const auto service = self.lock();
                if (service == nullptr) return;
                if (value.has_value() && value->has_value()) return (*service)->look_for_chunks(id, reply, at, **value);
                const Error unknown{Code::not_found, "no pack " + id.hex() + " has been uploaded"};
                const auto& error = value.has_value() ? unknown : value.error();
                reply->responses[at]["error"] = std::string(code_name(error.code)) + ": " + error.message;
                (*service)->finish(reply);
              });
}

void ServiceImpl::look_for_chunks(const Hash256& id, const std::shared_ptr<Reply>& reply, std::size_t at,
                                  const Bytes& bytes) {
  const auto directory = artifact::decode_directory(bytes);
  if (!directory.has_value()) {
    reply->responses[at]["error"] = std::string(code_name(directory.error().code)) + ": " + directory.error().message;
    return finish(reply);
  }
  std::vector<std::string> keys;
  keys.reserve(directory->chunks.size());
  for (const auto& ref : directory->chunks) keys.push_back(storage::chunk_key(ref.hash, ref.encoded_bytes));
  store_.contains(
      storage::Column::chunks, std::move(keys),
      [id, reply, at, self = std::weak_ptr(self_)](Result<std::vector<bool>> found) {
        const auto service = self.lock();
        if (service == nullptr) return;
        auto& response = reply->responses[at];
        if (!found.has_value()) {
          response["error"] = std::string(code_name(found.error().code)) + ": " + found.error().message;
          return (*service)->finish(reply);
        }
        std::vector<std::uint32_t> missing;
        for (std::uint32_t i = 0; i < found->size(); ++i) {
          if (!(*found)[i]) missing.push_back(i);
        }
        Json ranges = Json::array();
        for (const auto& range : coarsen(to_ranges(missing), limits::kStoredRangesMax)) {
          if (!reply->add_row(ranges, {{"first", range.first}, {"count", range.count}})) break;
        }
        // `complete` is what manifests are checked by: durable, and said once.
        response["data"] = {
            {"pack", id.hex()}, {"complete", false}, {"missing_count", missing.size()}, {"missing", std::move(ranges)}};
        (*service)->finish(reply);
      });
}

}  // namespace instar::broker

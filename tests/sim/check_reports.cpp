#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"
#include "tests/sim/checks.hpp"

namespace instar::sim {
namespace {

std::map<std::string, rollout::DeviceRecord> devices_in(storage::Store& store) {
  std::map<std::string, rollout::DeviceRecord> out;
  const auto scanned = store.scan(storage::Column::devices, "", [&](ByteView key, ByteView value) {
    if (auto record = rollout::decode_device_record(value)) out[std::string(as_text(key))] = std::move(*record);
    return true;
  });
  static_cast<void>(scanned);
  return out;
}

std::map<std::pair<ManifestId, std::string>, rollout::MemberRecord> members_in(storage::Store& store) {
  std::map<std::pair<ManifestId, std::string>, rollout::MemberRecord> out;
  const auto scanned = store.scan(storage::Column::members, "", [&](ByteView key, ByteView value) {
    const auto parsed = storage::parse_member_key(key);
    auto record = rollout::decode_member_record(value);
    if (parsed && record) out[{parsed->first, parsed->second.str()}] = std::move(*record);
    return true;
  });
  static_cast<void>(scanned);
  return out;
}

std::string tell(wire::Step step, std::uint32_t attempt) {
  return std::string(wire::step_name(step)) + " in attempt " + std::to_string(attempt);
}

// An attempt that was to follow, and was given up before it began, leaves no outcome on the device.
bool was_given_up(const rollout::MemberRecord& member, const revision::Outcome& outcome) {
  return member.attempt == outcome.attempt + 1 && member.step == wire::Step::failed &&
         (member.code == Code::stale || member.code == Code::refused || member.code == Code::expired);
}

}  // namespace

void ReportCheck::acked(const std::string& device, std::uint64_t sequence) {
  auto& highest = acked_[device];
  highest = std::max(highest, sequence);
}

void ReportCheck::broker_crashed(storage::Store& store) {
  const auto devices = devices_in(store);
  for (const auto& [name, sequence] : acked_) {
    const auto found = devices.find(name);
    const auto applied = found == devices.end() ? 0 : found->second.applied_sequence;
    if (applied < sequence) {
      world_.found("the broker acked report " + std::to_string(sequence) + " of " + name +
                   ", and after a crash knows of " + std::to_string(applied));
    }
  }
}

void ReportCheck::at_end(storage::Store& store, const std::map<std::string, revision::DeviceState>& states,
                         const std::set<std::string>& twins) {
  const auto devices = devices_in(store);
  const auto members = members_in(store);
  for (const auto& [name, state] : states) {
    const auto found = devices.find(name);
    if (found == devices.end()) {
      world_.found("the broker does not know " + name);
      continue;
    }
    const auto& record = found->second;
    if (!state.reports.pending.empty())
      world_.found(name + " still has " + std::to_string(state.reports.pending.size()) + " reports to be acked");
    if (record.applied_sequence != state.reports.last_report) {
      world_.found(name + " has sent " + std::to_string(state.reports.last_report) +
                   " reports, the broker has applied " + std::to_string(record.applied_sequence));
    }
    if (record.description.running !=
        (state.revisions.current ? std::optional(state.revisions.current->info) : std::nullopt)) {
      world_.found(name + " runs something else than the broker thinks");
    }
    if (twins.contains(name)) continue;
    for (const auto& outcome : state.history.outcomes) {
      const auto member = members.find({outcome.manifest, name});
      if (member == members.end()) {
        world_.found("the broker has no record of " + name + " in rollout " + outcome.manifest.short_hex());
      } else if (was_given_up(member->second, outcome)) {
        continue;
      } else if (member->second.step != outcome.step || member->second.attempt != outcome.attempt) {
        world_.found(name + " in rollout " + outcome.manifest.short_hex() + " is " +
                     tell(outcome.step, outcome.attempt) + ", the broker says " +
                     tell(member->second.step, member->second.attempt));
      }
    }
  }
}

void ReportCheck::status_at_end(const Release& release, storage::Store& store, const Bytes& status) {
  const auto json = nlohmann::json::parse(as_text(status), nullptr, false);
  if (!json.is_object() || !json.contains("counts"))
    return world_.found("the status of " + release.manifest.release + " cannot be read");
  std::map<std::string, std::uint64_t> counts;
  for (const auto& [key, record] : members_in(store)) {
    if (key.first == release.rollout) ++counts[std::string(wire::step_name(record.step))];
  }
  for (const auto& [step, count] : json["counts"].items()) {
    if (step == "waiting") continue;  // follows from groups, not from a record
    if (count.get<std::uint64_t>() != counts[step]) {
      world_.found("the status of " + release.manifest.release + " counts " + count.dump() + " " + step +
                   ", its members are " + std::to_string(counts[step]));
    }
  }
}

}  // namespace instar::sim

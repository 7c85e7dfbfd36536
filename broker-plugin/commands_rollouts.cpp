// Commands on rollouts.
#include <algorithm>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/filters.hpp"
#include "broker-plugin/history.hpp"
#include "broker-plugin/reply.hpp"
#include "core/base/limits.hpp"
#include "core/wire/approval.hpp"

namespace instar::broker {
namespace {

// 16 hex digits as in topics, or all 64.
Result<ManifestId> find_rollout(const rollout::Tracker& tracker, const Json& command) {
  INSTAR_TRY(const auto text, read_string(command, "rollout"));
  Bytes bytes;
  if ((text.size() == 16 || text.size() == 64) && from_hex(text, bytes)) {
    ManifestId start;
    std::copy_n(bytes.begin(), 8, start.bytes.begin());
    const auto id = tracker.by_prefix(start.prefix64());
    if (id.has_value() && (bytes.size() == 8 || id == ManifestId::from_bytes(bytes))) return *id;
    return fail(Code::not_found, "no rollout " + text + " is known here (listRollouts names those that are)");
  }
  return fail(Code::invalid_argument, "`rollout` must be 16 or 64 hex digits");
}

Json row_of(const CommandContext& context, const ManifestId& id) {
  return rollout_json(context.tracker, id, context.now);
}

Result<Json> act_on_rollout(const CommandContext& context, const Json& command, rollout::Action action) {
  INSTAR_TRY(const auto id, find_rollout(context.tracker, command));
  INSTAR_CHECK(context.tracker.act(id, action, context.who, context.now, context.effects));
  return row_of(context, id);
}

Json by_group_json(const rollout::Tracker& tracker, const rollout::RolloutView& rollout) {
  Json out = Json::array();
  for (const auto& group : rollout.record.groups) {
    rollout::Counts counts;
    for (const auto& [id, member] : rollout.members) {
      const auto* device = tracker.device(id);
      const bool inside = device != nullptr && std::any_of(device->record.description.groups.begin(),
                                                           device->record.description.groups.end(),
                                                           [&](const GroupPath& own) { return group.covers(own); });
      if (inside) counts.add(member.record);
    }
    out.push_back({{"group", group.str()}, {"devices", counts.devices}, {"counts", counts_json(counts)}});
  }
  return out;
}

// The signed approval of a command: verified as devices do, and of the wave that the command names, if it names one.
Status read_approval(const CommandContext& context, const ManifestId& id, const Json& command, rollout::Yes& yes) {
  INSTAR_TRY(const auto text, read_string(command, "approval"));
  if (text.size() > 2 * limits::kApprovalBytesMax || !from_hex(text, yes.approval))
    return fail(Code::invalid_argument, "`approval` must be a signed envelope in hex digits");
  const auto* trust = context.roots.trust();
  if (trust == nullptr) return fail(Code::untrusted_key, "no root document is known here");
  const auto& record = context.tracker.rollout(id)->record;
  INSTAR_TRY(const auto approval, wire::open_approval(*trust, yes.approval, id, record.product, record.groups));
  if (yes.wave.has_value() && *yes.wave != approval.wave) {
    return fail(Code::invalid_argument, "`wave` is " + std::to_string(*yes.wave + 1) +
                                            ", and the approval is of wave " + std::to_string(approval.wave + 1));
  }
  yes.wave = approval.wave;
  return {};
}

// Devices of the rollout's groups that have obeyed a sequence as high as its own, and not this release: they refuse it.
// So it is after the store was lost, or an older one was put back. Time: once through the devices.
Json ahead_json(const rollout::Tracker& tracker, const ManifestId& id, const rollout::RolloutView& rollout) {
  std::uint64_t devices = 0;
  std::uint64_t highest = 0;
  for (const auto& [name, device] : tracker.devices()) {
    const auto& said = device.record.description;
    const bool runs_it = said.running.has_value() && said.running->manifest == id;
    if (said.product != rollout.record.product || runs_it) continue;
    const bool runs_product = said.running.has_value() && said.running->product == said.product;
    const auto obeyed = std::max(said.highest_sequence, runs_product ? said.running->sequence : 0);
    if (obeyed < rollout.record.sequence) continue;
    const auto member = rollout.members.find(name);
    const bool has_reported = member != rollout.members.end() && member->second.record.report_sequence != 0;
    if (has_reported || !is_in(rollout.record.groups, said)) continue;
    ++devices;
    highest = std::max(highest, obeyed);
  }
  return devices == 0 ? Json() : Json{{"devices", devices}, {"highest_sequence", highest}};
}

void add_members(const rollout::Tracker& tracker, const rollout::RolloutView& rollout, const MemberFilter& filter,
                 PageOfRows page, Json& out) {
  for (const auto& [id, member] : rollout.members) {
    if (!filter.takes(id, member.record)) continue;
    page.offer([&, &id = id, &member = member] {
      const auto* device = tracker.device(id);
      Json row{{"device", id.str()}, {"online", device != nullptr && device->online}};
      row.update(member_json(member.record));
      return row;
    });
  }
  page.put_into(out, "members");
}

}  // namespace

Result<Json> list_rollouts(const CommandContext& context, const Json& command, const Slot& slot) {
  std::vector<std::pair<std::uint64_t, ManifestId>> newest_first;
  for (const auto& [id, rollout] : context.tracker.rollouts()) newest_first.emplace_back(rollout.record.order, id);
  std::sort(newest_first.rbegin(), newest_first.rend());
  PageOfRows page(command, slot.reply());
  for (const auto& [order, id] : newest_first) {
    page.offer([&, &id = id] { return row_of(context, id); });
  }
  Json out;
  page.put_into(out, "rollouts");
  add_clock(out, context.clock, context.now);
  add_roots(out, context.roots, context.tracker);
  return out;
}

Result<Json> get_rollout(const CommandContext& context, const Json& command, const Slot& slot) {
  INSTAR_TRY(const auto id, find_rollout(context.tracker, command));
  INSTAR_TRY(const auto filter, read_member_filter(command));
  const auto rollout = *context.tracker.rollout(id);
  Json out = row_of(context, id);
  out["manifest"] = id.hex();
  out["issue"] = rollout.record.issue;
  add_clock(out, context.clock, context.now);
  out["by_group"] = by_group_json(context.tracker, rollout);
  // Of one that has ended they are those of the next.
  out["devices_ahead"] = rollout.outcome().empty() ? ahead_json(context.tracker, id, rollout) : Json();
  if (read_flag(command, "devices"))
    add_members(context.tracker, rollout, filter, PageOfRows(command, slot.reply()), out);
  if (read_flag(command, "history")) {
    out["events"] = Json::array();
    read_events(context.store, id, rollout.record.events, slot);
  }
  return out;
}

Result<Json> pause_rollout(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  return act_on_rollout(context, command, rollout::Action::pause);
}

Result<Json> resume_rollout(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  return act_on_rollout(context, command, rollout::Action::resume);
}

Result<Json> abort_rollout(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  return act_on_rollout(context, command, rollout::Action::abort);
}

Result<Json> revert_rollout(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  return act_on_rollout(context, command, rollout::Action::revert);
}

// `wave` counts from 1, as people do; absent: the one that is open, or that the signed `approval` names.
Result<Json> approve_rollout(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  INSTAR_TRY(const auto id, find_rollout(context.tracker, command));
  rollout::Yes yes;
  if (const auto given = command.find("wave"); given != command.end()) {
    if (!given->is_number_unsigned() || given->get<std::uint64_t>() < 1 ||
        given->get<std::uint64_t>() > limits::kWavesMax) {
      return fail(Code::invalid_argument, "`wave` must be a number from 1 to " + std::to_string(limits::kWavesMax));
    }
    yes.wave = given->get<std::uint32_t>() - 1;
  }
  if (command.contains("approval")) INSTAR_CHECK(read_approval(context, id, command, yes));
  INSTAR_CHECK(context.tracker.approve(id, yes, context.who, context.now, context.effects));
  return row_of(context, id);
}

Result<Json> retry_rollout(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  INSTAR_TRY(const auto id, find_rollout(context.tracker, command));
  INSTAR_CHECK(context.tracker.retry(id, context.who, context.now, context.effects));
  return row_of(context, id);
}

}  // namespace instar::broker

#include "broker-plugin/commands.hpp"

#include <algorithm>
#include <array>

#include "broker-plugin/reply.hpp"
#include "broker-plugin/status_json.hpp"
#include "core/base/limits.hpp"
#include "json/read.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

constexpr std::array<Command, 22> kCommands{{
    {"listRollouts", "offset count", Answer::list, list_rollouts},
    {"getRollout", "rollout devices steps match offset count history", Answer::object, get_rollout},
    {"pauseRollout", "rollout", Answer::object, pause_rollout},
    {"resumeRollout", "rollout", Answer::object, resume_rollout},
    {"abortRollout", "rollout", Answer::object, abort_rollout},
    {"approveRollout", "rollout wave approval", Answer::object, approve_rollout},
    {"revertRollout", "rollout", Answer::object, revert_rollout},
    {"retryRollout", "rollout", Answer::object, retry_rollout},
    {"listDevices", "group match online degraded unknown offset count verbose", Answer::list, list_devices},
    {"listGroups", "prefix offset count", Answer::list, list_groups},
    {"listArtifacts", "groups product offset count", Answer::list, list_artifacts},
    {"nextSequence", "product groups", Answer::object, next_sequence},
    {"getDevice", "device history", Answer::object, get_device},
    {"forgetDevice", "device allow_key", Answer::nothing, forget_device},
    {"replaceDevice", "device key_id", Answer::nothing, replace_device},
    {"enrolDevice", "enrolment", Answer::object, enrol_device},
    {"forgetDevices", "older_than_s unknown", Answer::object, forget_devices},
    {"listPacks", "offset count", Answer::list, list_packs},
    {"getPack", "pack", Answer::object, get_pack},
    {"removePack", "pack", Answer::object, remove_pack},
    {"prunePacks", "unused_s dry_run", Answer::object, prune_packs},
    {"getVersion", "", Answer::object, get_version},
}};

Error unknown_command(const std::string& name) {
  std::string names;
  for (const auto& command : kCommands) names += (names.empty() ? "" : ", ") + std::string(command.name);
  return {Code::unsupported, "no command '" + name.substr(0, 64) + "'; there are " + names};
}

Result<Json> run_named(const CommandContext& context, const std::string& name, const Json& command, bool is_down,
                       const Slot& slot) {
  if (is_down) return fail(Code::unavailable, "the store is down: try again later");
  const auto* const found = std::ranges::find(kCommands, name, &Command::name);
  if (found == kCommands.end()) return fail(unknown_command(name));
  // Of a list. An answer to another question than the one asked would be taken for the whole.
  for (const char* field : {"offset", "count"}) {
    const auto given = command.find(field);
    if (given != command.end() && !given->is_number_unsigned())
      return fail(Code::invalid_argument, "`" + std::string(field) + "` must be a whole number from 0 on");
  }
  return found->run(context, command, slot);
}

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

Result<Json> read_request(std::string_view payload) {
  if (payload.size() > limits::kMessageBytesMax) return fail(Code::too_large, "the message is over the limit");
  const auto request = json::read(payload);
  if (!request) return fail(request.error().code, "the message " + request.error().message);
  const auto found = request->is_object() ? request->find("commands") : request->end();
  if (!request->is_object() || found == request->end() || !found->is_array() || found->empty()) {
    return fail(Code::malformed, R"(expected {"commands":[{"command":"…"}]})");
  }
  if (found->size() > limits::kCommandsMax) {
    return fail(Code::too_large, "at most " + std::to_string(limits::kCommandsMax) + " commands in one message");
  }
  return *found;
}

void run_command(const CommandContext& context, const Json& command, bool is_down,
                 const std::shared_ptr<Reply>& reply) {
  const auto name = command.is_object() ? read_string(command, "command")
                                        : Result<std::string>(fail(Code::malformed, "a command is an object"));
  Json response;
  response["command"] = name.has_value() ? name->substr(0, 64) : "Unknown command";
  if (command.is_object()) {
    const auto correlation = command.find("correlationData");
    if (correlation != command.end() && correlation->is_string()) response["correlationData"] = *correlation;
  }
  const Slot slot(reply, reply->add(std::move(response)));
  if (!name.has_value()) return slot.fail(name.error());
  auto data = run_named(context, *name, command, is_down, slot);
  if (!data.has_value()) return slot.fail(data.error());
  if (!data->is_null()) slot.response()["data"] = std::move(*data);
}

Result<Json> get_version(const CommandContext& context, const Json& /*command*/, const Slot& /*slot*/) {
  const auto& tracker = context.tracker;
  std::uint64_t active = 0;
  for (const auto& [id, rollout] : tracker.rollouts()) active += rollout.state_name() == "active" ? 1 : 0;
  Json out;
  out["version"] = INSTAR_VERSION;
  out["prefix"] = context.topics.prefix();
  out["client_id"] = context.client_id;
  out["schema_version"] = storage::kSchemaVersion;
  add_roots(out, context.roots, tracker);
  out["devices"] = tracker.devices().size();
  out["devices_online"] = tracker.online_count();
  out["devices_unknown"] = tracker.unknown_count();
  out["devices_cloned"] = tracker.cloned_count(context.now.wall);
  const auto& enrolments = tracker.enrolments();
  out["enrolment"] = enrolments.is_demanded() ? "listed" : "open";
  out["devices_enrolled"] = enrolments.size();
  out["hellos_not_enrolled"] = enrolments.refused_hellos();
  out["rollouts"] = tracker.rollouts().size();
  out["rollouts_active"] = active;
  out["packs_complete"] = context.upload.packs().complete_count();
  out["messages_refused"] = context.complaints.count();
  const auto& turned_away = context.intake.counts();
  out["messages_too_large"] = turned_away.too_large;
  out["messages_too_often"] = turned_away.too_often;
  out["messages_no_room"] = turned_away.no_room;
  out["messages_waiting"] = context.intake.waiting();
  out["transfer_sessions"] = context.chunks.session_count();
  out["transfer_bytes_in_flight"] = context.chunks.in_flight_bytes();
  add_clock(out, context.clock, context.now);
  return out;
}

}  // namespace instar::broker

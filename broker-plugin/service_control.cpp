// $CONTROL: commands in, answers out. docs/formats/control.md
#include <algorithm>

#include "broker-plugin/service_reply.hpp"
#include "core/base/limits.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

constexpr std::size_t kCommandsMax = 16;  // in one message
constexpr std::uint64_t kPageRowsMax = 1'000;

std::string sentence(const Error& error) {
  return std::string(code_name(error.code)) + ": " + error.message;
}

Error unknown_command(const std::string& name) {
  return {Code::unsupported,
          "no command '" + name.substr(0, 64) +
              "'; there are listRollouts, getRollout, pauseRollout, resumeRollout, abortRollout, approveRollout, "
              "revertRollout, retryRollout, listDevices, listGroups, listArtifacts, getDevice, forgetDevice, getPack, "
              "getVersion"};
}

}  // namespace

Page read_page(const Json& command) {
  Page page;
  const auto number = [&](const char* field, std::uint64_t absent) {
    const auto found = command.find(field);
    return found != command.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : absent;
  };
  page.offset = number("offset", 0);
  page.count = std::min(number("count", page.count), kPageRowsMax);
  return page;
}

Result<std::string> read_string(const Json& command, const char* field) {
  const auto found = command.find(field);
  if (found == command.end() || !found->is_string()) {
    return fail(Code::invalid_argument, "the command needs a text `" + std::string(field) + "`");
  }
  return found->get<std::string>();
}

bool read_flag(const Json& command, const char* field) {
  const auto found = command.find(field);
  return found != command.end() && found->is_boolean() && found->get<bool>();
}

void ServiceImpl::on_control(const Sender& sender, std::string_view payload, Now now) {
  now_ = now;
  const auto reply = std::make_shared<Reply>();
  reply->who = name_of(sender);
  const auto refuse_all = [&](const Error& error) {
    complaints_.add("a control message of '" + std::string(sender.client_id) + "'", error, now.monotonic);
    reply->responses.push_back({{"command", "Unknown command"}, {"error", sentence(error)}});
    finish(reply);
  };
  if (!sender.identity_known || !is_operator(sender)) {
    return refuse_all(
        {Code::refused, "user '" + std::string(sender.username.substr(0, 128)) + "' is not among the operators"});
  }
  if (payload.size() > limits::kMessageBytesMax) return refuse_all({Code::too_large, "the message is over the limit"});
  const auto request = Json::parse(payload, nullptr, false);
  const auto commands = request.is_object() ? request.find("commands") : request.end();
  if (!request.is_object() || commands == request.end() || !commands->is_array() || commands->empty()) {
    return refuse_all({Code::malformed, R"(expected {"commands":[{"command":"…"}]})"});
  }
  if (commands->size() > kCommandsMax) {
    return refuse_all({Code::too_large, "at most " + std::to_string(kCommandsMax) + " commands in one message"});
  }
  rollout::Effects effects;
  for (const auto& command : *commands) run_command(command, reply, effects);
  if (store_is_down_) return finish(reply);
  // What the answers say, they say when it is durable.
  carry_out(std::move(effects), {}, [this, reply] { finish(reply); });
}

void ServiceImpl::finish(const std::shared_ptr<Reply>& reply) {
  if (--reply->open > 0) return;
  Json out;
  out["responses"] = std::move(reply->responses);
  const auto text = dump(out);
  broker_.publish(options_.topics.control_response(), as_bytes(text), wire::Qos::at_least_once, wire::Retain::no);
}

void ServiceImpl::run_command(const Json& command, const std::shared_ptr<Reply>& reply, rollout::Effects& effects) {
  Json response;
  const auto name = command.is_object() ? read_string(command, "command")
                                        : Result<std::string>(fail(Code::malformed, "a command is an object"));
  response["command"] = name.has_value() ? name->substr(0, 64) : "Unknown command";
  if (command.is_object()) {
    const auto correlation = command.find("correlationData");
    if (correlation != command.end() && correlation->is_string()) response["correlationData"] = *correlation;
  }
  if (!name.has_value()) {
    response["error"] = sentence(name.error());
  } else if (store_is_down_) {
    response["error"] = sentence({Code::unavailable, "the store is down: try again later"});
  } else if (answer_later(*name, command, reply, response)) {
    return;
  } else if (auto data = answer(*name, command, *reply, effects); data.has_value()) {
    if (!data->is_null()) response["data"] = std::move(*data);
  } else {
    response["error"] = sentence(data.error());
  }
  reply->responses.push_back(std::move(response));
}

bool ServiceImpl::answer_later(const std::string& name, const Json& command, const std::shared_ptr<Reply>& reply,
                               Json& response) {
  const auto at = reply->responses.size();
  if (name == "getPack") {
    ++reply->open;
    reply->responses.push_back(std::move(response));
    get_pack(command, reply, at);
    return true;
  }
  if (name == "getDevice") {
    get_device(command, reply, std::move(response));
    return true;
  }
  if (name == "getRollout" && read_flag(command, "history")) {
    get_rollout_history(command, reply, std::move(response));
    return true;
  }
  return false;
}

Result<Json> ServiceImpl::answer(const std::string& name, const Json& command, Reply& reply,
                                 rollout::Effects& effects) {
  if (name == "listRollouts") return list_rollouts(command, reply);
  if (name == "getRollout") return get_rollout(command, reply);
  if (name == "pauseRollout") return act_on_rollout(command, rollout::Action::pause, reply, effects);
  if (name == "resumeRollout") return act_on_rollout(command, rollout::Action::resume, reply, effects);
  if (name == "abortRollout") return act_on_rollout(command, rollout::Action::abort, reply, effects);
  if (name == "revertRollout") return act_on_rollout(command, rollout::Action::revert, reply, effects);
  if (name == "approveRollout") return approve_rollout(command, reply, effects);
  if (name == "retryRollout") return retry_rollout(command, reply, effects);
  if (name == "listDevices") return list_devices(command, reply);
  if (name == "listArtifacts") return list_artifacts(command, reply);
  if (name == "listGroups") return list_groups(command, reply);
  if (name == "forgetDevice") return forget_device(command, effects);
  if (name == "getVersion") return get_version();
  return fail(unknown_command(name));
}

Result<Json> ServiceImpl::act_on_rollout(const Json& command, rollout::Action action, const Reply& reply,
                                         rollout::Effects& effects) {
  INSTAR_TRY(const auto hash, find_rollout(command));
  INSTAR_CHECK(tracker_.act(hash, action, reply.who, now_, effects));
  return rollout_json(hash);
}

// `wave` counts from 1, as people do; absent: the one that is open.
Result<Json> ServiceImpl::approve_rollout(const Json& command, const Reply& reply, rollout::Effects& effects) {
  INSTAR_TRY(const auto hash, find_rollout(command));
  std::optional<std::uint32_t> wave;
  if (const auto given = command.find("wave"); given != command.end()) {
    if (!given->is_number_unsigned() || given->get<std::uint64_t>() < 1 ||
        given->get<std::uint64_t>() > limits::kWavesMax) {
      return fail(Code::invalid_argument, "`wave` must be a number from 1 to " + std::to_string(limits::kWavesMax));
    }
    wave = given->get<std::uint32_t>() - 1;
  }
  INSTAR_CHECK(tracker_.approve(hash, wave, reply.who, now_, effects));
  return rollout_json(hash);
}

Result<Json> ServiceImpl::retry_rollout(const Json& command, const Reply& reply, rollout::Effects& effects) {
  INSTAR_TRY(const auto hash, find_rollout(command));
  INSTAR_CHECK(tracker_.retry(hash, reply.who, now_, effects));
  return rollout_json(hash);
}

Json ServiceImpl::rollout_json(const Hash256& hash) const {
  return status_json(hash, *tracker_.rollout(hash), tracker_.waiting_for(hash, now_));
}

Result<Json> ServiceImpl::forget_device(const Json& command, rollout::Effects& effects) {
  INSTAR_TRY(const auto text, read_string(command, "device"));
  INSTAR_TRY(const auto device, DeviceId::parse(text));
  INSTAR_CHECK(tracker_.forget(device, effects));
  chunks_.drop(device);
  return Json();
}

Json ServiceImpl::get_version() const {
  std::uint64_t active = 0;
  for (const auto& [hash, rollout] : tracker_.rollouts()) active += rollout.state_name() == "active" ? 1 : 0;
  Json out;
  out["version"] = INSTAR_VERSION;
  out["prefix"] = options_.topics.prefix();
  out["schema_version"] = storage::kSchemaVersion;
  out["root_version"] = trust_.has_value() ? Json(trust_->root().version) : Json();
  out["devices"] = tracker_.devices().size();
  out["devices_online"] = tracker_.online_count();
  out["rollouts"] = tracker_.rollouts().size();
  out["rollouts_active"] = active;
  out["packs_complete"] = complete_packs_.size();
  out["messages_refused"] = complaints_.count();
  out["transfer_sessions"] = chunks_.session_count();
  out["transfer_bytes_in_flight"] = chunks_.in_flight_bytes();
  return out;
}

// 16 hex digits as in topics, or all 64.
Result<Hash256> ServiceImpl::find_rollout(const Json& command) const {
  INSTAR_TRY(const auto text, read_string(command, "rollout"));
  Bytes bytes;
  if ((text.size() == 16 || text.size() == 64) && from_hex(text, bytes)) {
    Hash256 start;
    std::copy_n(bytes.begin(), 8, start.bytes.begin());
    const auto hash = tracker_.by_prefix(start.prefix64());
    if (hash.has_value() && (bytes.size() == 8 || hash == Hash256::from_bytes(bytes))) return *hash;
    return fail(Code::not_found, "no rollout " + text + " is known here (listRollouts names those that are)");
  }
  return fail(Code::invalid_argument, "`rollout` must be 16 or 64 hex digits");
}

}  // namespace instar::broker

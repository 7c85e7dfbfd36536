#include "broker-plugin/access.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"

namespace instar::broker {
namespace {

// Behind a bridge the client id is the bridge's own. The signature of the message is checked there instead.
bool speaks_as(const Sender& sender, const ClientId& client) {
  return !sender.identity_known || sender.client_id == client.str();
}

// One line of clean text.
std::string clean_name(std::string_view text) {
  auto name = clean_text(text, limits::kNameBytesMax);
  // clean_text() keeps these two, because text may have lines. A name has none.
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '\n' || c == '\t'; }, '?');
  return name;
}

std::string not_that_device(const Sender& sender, DeviceIdentity identity) {
  std::string text = "client '" + std::string(sender.client_id) + "'";
  if (identity != DeviceIdentity::clientid && !sender.username.empty())
    text += " of user '" + std::string(sender.username) + "'";
  text += " is not that device";
  switch (identity) {
    case DeviceIdentity::clientid: break;
    case DeviceIdentity::username:
      return text + ": its client id and its user name must both be the device's id (device_identity username)";
    case DeviceIdentity::certificate:
      return text +
             ": its client id and a name in its certificate must both be the device's id (device_identity certificate)";
  }
  return text;
}

}  // namespace

Access::Access(wire::Topics topics, std::vector<std::string> operators, DeviceIdentity identity)
    : topics_(std::move(topics)), operators_(std::move(operators)), identity_(identity) {}

bool Access::is_device(const Sender& sender, const DeviceId& device) const {
  if (!sender.identity_known) return true;
  if (sender.client_id != device.str()) return false;
  switch (identity_) {
    case DeviceIdentity::clientid: return true;
    case DeviceIdentity::username: return sender.username == device.str();
    case DeviceIdentity::certificate: return sender.is_certified;
  }
  return false;
}

bool Access::is_operator(const Sender& sender) const {
  // Over a bridge there is no username to look at; signatures decide there.
  if (operators_.empty() || !sender.identity_known) return true;
  return std::find(operators_.begin(), operators_.end(), sender.username) != operators_.end();
}

bool Access::may_clear(const Sender& sender) const {
  return sender.identity_known && is_operator(sender);
}

bool Access::may_command(const Sender& sender) const {
  return sender.identity_known && is_operator(sender);
}

bool Access::may_write(const Sender& sender, std::string_view topic) const {
  const auto parsed = topics_.parse(topic);
  if (!parsed.has_value()) return !topics_.owns(topic) || may_clear(sender);
  switch (parsed->kind) {
    case wire::TopicKind::device_fetch:
    case wire::TopicKind::device_report:
    case wire::TopicKind::device_hello:
    case wire::TopicKind::device_presence: return is_device(sender, parsed->device);
    case wire::TopicKind::operator_put: return speaks_as(sender, parsed->client) && is_operator(sender);
    case wire::TopicKind::root:
    case wire::TopicKind::device_assignment:
    case wire::TopicKind::group_manifest: return is_operator(sender);
    case wire::TopicKind::control: return may_command(sender);
    // What another broker has kept of the chain may come over a bridge.
    case wire::TopicKind::root_version: return !sender.identity_known;
    case wire::TopicKind::group_gate:
    case wire::TopicKind::device_chunk:
    case wire::TopicKind::device_ack:
    case wire::TopicKind::rollout_status:
    case wire::TopicKind::operator_stored:
    case wire::TopicKind::control_response: return false;
  }
  return false;
}

bool Access::may_read(const Sender& sender, std::string_view topic) const {
  const auto parsed = topics_.parse(topic);
  if (!parsed.has_value()) return !topics_.owns(topic);
  switch (parsed->kind) {
    case wire::TopicKind::device_chunk:
    case wire::TopicKind::device_ack:
    case wire::TopicKind::device_assignment: return is_device(sender, parsed->device);
    case wire::TopicKind::operator_stored: return speaks_as(sender, parsed->client);
    case wire::TopicKind::control_response: return may_command(sender);
    default: return true;
  }
}

Status Access::check_message(const Sender& sender, const std::optional<wire::Topic>& topic,
                             std::size_t payload_bytes) const {
  if (!topic.has_value()) {
    if (payload_bytes == 0 && may_clear(sender)) return {};
    return fail(Code::malformed, "no such topic is known");
  }
  if (payload_bytes > limits::kMessageBytesMax) {
    return fail(Code::too_large, std::to_string(payload_bytes) + " bytes; a message has at most " +
                                     std::to_string(limits::kMessageBytesMax));
  }
  switch (topic->kind) {
    case wire::TopicKind::device_hello:
    case wire::TopicKind::device_report:
    case wire::TopicKind::device_fetch:
    case wire::TopicKind::device_presence:
      if (is_device(sender, topic->device)) return {};
      return fail(Code::refused, not_that_device(sender, identity_));
    case wire::TopicKind::operator_put:
      if (!speaks_as(sender, topic->client))
        return fail(Code::refused, "client '" + std::string(sender.client_id) + "' is not that client");
      [[fallthrough]];
    case wire::TopicKind::root:
    case wire::TopicKind::device_assignment:
    case wire::TopicKind::group_manifest:
      if (is_operator(sender)) return {};
      return fail(Code::refused, "user '" + std::string(sender.username) + "' is not among the operators");
    case wire::TopicKind::root_version:
      if (!sender.identity_known) return {};
      [[fallthrough]];
    default: return fail(Code::refused, "only the broker publishes here");
  }
}

std::string name_of(const Sender& sender) {
  return clean_name(sender.username.empty() ? sender.client_id : sender.username);
}

std::string login_of(const Sender& sender) {
  return sender.username.empty() ? "address " + clean_name(sender.address) : clean_name(sender.username);
}

}  // namespace instar::broker

// Who may use our own prefix. Everything else is the deployment's to say.
#include <algorithm>

#include "broker-plugin/service_impl.hpp"
#include "core/base/limits.hpp"
#include "core/base/text.hpp"

namespace instar::broker {

bool ServiceImpl::is_operator(const Sender& sender) const {
  // No list: the deployment's own ACLs decide. Over a bridge there is no username to look at; signatures decide there.
  if (options_.operators.empty() || !sender.identity_known) return true;
  return std::find(options_.operators.begin(), options_.operators.end(), sender.username) != options_.operators.end();
}

std::string ServiceImpl::name_of(const Sender& sender) {
  const auto name = sender.username.empty() ? sender.client_id : sender.username;
  return clean_text(name, limits::kNameBytesMax);
}

bool ServiceImpl::may_write(const Sender& sender, std::string_view topic) const {
  const auto parsed = options_.topics.parse(topic);
  if (!parsed.has_value()) return !options_.topics.owns(topic);
  const auto is = [&](const auto& id) { return !sender.identity_known || sender.client_id == id.str(); };
  switch (parsed->kind) {
    case wire::TopicKind::device_fetch:
    case wire::TopicKind::device_report:
    case wire::TopicKind::device_hello:
    case wire::TopicKind::device_presence: return is(parsed->device);
    case wire::TopicKind::operator_put: return is(parsed->client) && is_operator(sender);
    case wire::TopicKind::root:
    case wire::TopicKind::device_assignment:
    case wire::TopicKind::group_manifest: return is_operator(sender);
    // Commands carry no signature: without a known user there are none.
    case wire::TopicKind::control: return sender.identity_known && is_operator(sender);
    case wire::TopicKind::group_gate:
    case wire::TopicKind::device_chunk:
    case wire::TopicKind::device_ack:
    case wire::TopicKind::rollout_status:
    case wire::TopicKind::operator_stored:
    case wire::TopicKind::control_response: return false;
  }
  return false;
}

bool ServiceImpl::may_read(const Sender& sender, std::string_view topic) const {
  const auto parsed = options_.topics.parse(topic);
  if (!parsed.has_value()) return !options_.topics.owns(topic);
  const auto is = [&](const auto& id) { return !sender.identity_known || sender.client_id == id.str(); };
  switch (parsed->kind) {
    case wire::TopicKind::device_chunk:
    case wire::TopicKind::device_ack:
    case wire::TopicKind::device_assignment: return is(parsed->device);
    case wire::TopicKind::operator_stored: return is(parsed->client);
    case wire::TopicKind::control_response: return sender.identity_known && is_operator(sender);
    default: return true;
  }
}

}  // namespace instar::broker

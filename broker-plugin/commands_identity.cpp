// Commands on who a device is: its key, its enrolment.
#include <nlohmann/json.hpp>
#include <string>

#include "broker-plugin/commands.hpp"
#include "broker-plugin/publications.hpp"
#include "broker-plugin/reply.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

// Of a public key, as `instar keygen` and `instar devices show` print it: 16 hex digits, the bytes in their order.
Result<trust::KeyId> read_key_id(const Json& command, const char* field) {
  if (!command.contains(field)) return trust::KeyId{0};
  INSTAR_TRY(const auto text, read_string(command, field));
  Bytes bytes;
  if (text.size() != 16 || !from_hex(text, bytes))
    return fail(Code::invalid_argument, "`" + std::string(field) + "` must be the 16 hex digits of a key's id");
  trust::KeyId id = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) id = id << 8 | bytes[i];
  return id;
}

}  // namespace

Result<Json> forget_device(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  INSTAR_TRY(const auto text, read_string(command, "device"));
  INSTAR_TRY(const auto device, DeviceId::parse(text));
  const auto old_key = read_flag(command, "allow_key") ? rollout::OldKey::allowed : rollout::OldKey::taken_back;
  INSTAR_CHECK(context.tracker.forget(device, old_key, context.now.wall, context.effects));
  context.chunks.drop(device);
  return Json();
}

Result<Json> replace_device(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  INSTAR_TRY(const auto text, read_string(command, "device"));
  INSTAR_TRY(const auto device, DeviceId::parse(text));
  INSTAR_TRY(const auto key, read_key_id(command, "key_id"));
  INSTAR_CHECK(context.tracker.replace(device, key, context.now.wall, context.effects));
  context.chunks.drop(device);
  return Json();
}

Result<Json> enrol_device(const CommandContext& context, const Json& command, const Slot& /*slot*/) {
  INSTAR_TRY(const auto text, read_string(command, "enrolment"));
  Bytes envelope;
  if (text.size() > 2 * limits::kMessageBytesMax || !from_hex(text, envelope))
    return fail(Code::invalid_argument, "`enrolment` must be a signed envelope in hex digits");
  INSTAR_TRY(auto enrolment, open_enrolment(context.roots.trust(), context.tracker, envelope, context.now.wall));
  const auto* known = context.tracker.device(enrolment.device);
  Json out{{"device", enrolment.device.str()},
           {"known", known != nullptr},
           {"demanded", context.tracker.enrolments().is_demanded()}};
  context.tracker.enrol(std::move(enrolment), std::move(envelope), context.effects);
  return out;
}

}  // namespace instar::broker

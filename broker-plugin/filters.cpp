#include "broker-plugin/filters.hpp"

#include "broker-plugin/reply.hpp"

namespace instar::broker {
namespace {

Result<std::string> read_match(const Json& command) {
  if (!command.contains("match")) return std::string();
  return read_string(command, "match");
}

// `idle` is no step of a member.
std::optional<wire::Step> step_named(const Json& name) {
  if (!name.is_string()) return std::nullopt;
  for (std::size_t i = 1; i < wire::kStepCount; ++i) {
    const auto step = static_cast<wire::Step>(i);
    if (name.get<std::string>() == wire::step_name(step)) return step;
  }
  return std::nullopt;
}

bool matches(const std::string& match, const DeviceId& id) {
  return match.empty() || id.str().find(match) != std::string::npos;
}

}  // namespace

bool DeviceFilter::takes(const DeviceId& id, const rollout::Device& device) const {
  if (online.has_value() && *online != device.online) return false;
  if (degraded && device.record.description.degraded.empty()) return false;
  return matches(match, id);
}

bool MemberFilter::takes(const DeviceId& id, const rollout::MemberRecord& member) const {
  return (steps.empty() || steps.contains(member.step)) && matches(match, id);
}

Result<DeviceFilter> read_device_filter(const Json& command) {
  DeviceFilter filter;
  INSTAR_TRY(filter.match, read_match(command));
  if (const auto online = command.find("online"); online != command.end()) {
    if (!online->is_boolean()) return fail(Code::invalid_argument, "`online` must be true or false");
    filter.online = online->get<bool>();
  }
  filter.degraded = read_flag(command, "degraded");
  return filter;
}

Result<MemberFilter> read_member_filter(const Json& command) {
  MemberFilter filter;
  INSTAR_TRY(filter.match, read_match(command));
  const auto steps = command.find("steps");
  if (steps == command.end()) return filter;
  if (!steps->is_array() || steps->empty() || steps->size() > wire::kStepCount)
    return fail(Code::invalid_argument, "`steps` must be an array of states, such as [\"failed\"]");
  for (const auto& name : *steps) {
    const auto step = step_named(name);
    if (!step.has_value()) return fail(Code::invalid_argument, "`steps` has one that is no state of a device");
    filter.steps.insert(*step);
  }
  return filter;
}

}  // namespace instar::broker

#include "device-client/containers/lxc_commands.hpp"

#include <algorithm>

namespace instar::device {
namespace {

// How long the helper may take before it is killed: far more than LXC needs on a slow device.
constexpr std::uint32_t kStateMs = 60'000;
constexpr std::uint32_t kStartMs = 120'000;
constexpr std::uint32_t kStopExtraMs = 60'000;
// The helper ends a probe that takes too long, and then needs some time to say so.
constexpr std::uint32_t kProbeExtraMs = 15'000;

void add_each(std::vector<std::string>& arguments, const char* option, const std::vector<std::string>& names) {
  for (const auto& name : names) arguments.insert(arguments.end(), {option, name});
}

}  // namespace

std::uint32_t clamp_ms(std::int64_t ms) noexcept {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, 0xffff'ffff));
}

LxcCommands::LxcCommands(std::string helper, std::string lxc_folder, std::uint32_t stop_ms)
    : helper_(std::move(helper)), lxc_folder_(std::move(lxc_folder)), stop_ms_(stop_ms) {}

HelperCommand LxcCommands::state(const std::vector<std::string>& names) const {
  HelperCommand command{helper_, {"state", "--lxcpath", lxc_folder_}, {kStateMs}};
  add_each(command.arguments, "--name", names);
  return command;
}

HelperCommand LxcCommands::change(const std::vector<std::string>& stops, const std::vector<std::string>& starts) const {
  const auto allowed_ms = static_cast<std::int64_t>(stops.size()) * (std::int64_t{stop_ms_} + kStopExtraMs) +
                          static_cast<std::int64_t>(starts.size()) * kStartMs;
  HelperCommand command{
      helper_, {"switch", "--lxcpath", lxc_folder_, "--timeout-ms", std::to_string(stop_ms_)}, {clamp_ms(allowed_ms)}};
  add_each(command.arguments, "--stop", stops);
  add_each(command.arguments, "--start", starts);
  return command;
}

HelperCommand LxcCommands::probe(const std::string& name, const wire::Probe& probe) const {
  HelperCommand command{
      helper_,
      {"probe", "--lxcpath", lxc_folder_, "--name", name, "--timeout-ms", std::to_string(probe.timeout_ms), "--"},
      {clamp_ms(std::int64_t{probe.timeout_ms} + kProbeExtraMs)}};
  command.arguments.insert(command.arguments.end(), probe.command.begin(), probe.command.end());
  return command;
}

std::vector<ContainerState> LxcCommands::read_states(const std::vector<JsonFields>& lines) {
  std::vector<ContainerState> states;
  for (const auto& line : lines) {
    const auto state = line.text("state").value_or("");
    states.push_back({line.text("name").value_or(""), state == "RUNNING", state == "STOPPED",
                      static_cast<pid_t>(line.integer("pid").value_or(-1))});
  }
  return states;
}

ContainerChange LxcCommands::read_change(const JsonFields& line) {
  return {line.text("name").value_or(""),
          line.text("failed"),
          line.flag("no_room"),
          line.flag("ran"),
          static_cast<pid_t>(line.integer("pid").value_or(-1)),
          line.integer("at_ms").value_or(0),
          line.integer("ms").value_or(0),
          line.integer("orphans").value_or(0),
          line.text("ending").value_or(""),
          line.text("signal").value_or(""),
          line.text("note").value_or("")};
}

StopText describe_stop(const ContainerChange& change) {
  const auto took = std::to_string(change.took_ms) + " ms";
  if (change.ending == "late") {
    return {"container " + change.name + " did not react to " + change.signal + " in " + took +
                " and was killed; let its program end at that signal, or name another one in the release "
                "(lxc.signal.halt)",
            true, true};
  }
  std::string text = "container " + change.name + " is stopped, in " + took;
  if (change.ending != "deaf") return {std::move(text), false, false};
  return {text + ": its first program takes no signal (" + change.signal +
              " would be dropped), so it was killed when nothing else ran in it",
          true, false};
}

}  // namespace instar::device

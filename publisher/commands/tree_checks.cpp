// What `pack` and `publish` say of trees that cannot run, and what they ask.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "core/base/limits.hpp"
#include "publisher/broker/device_view.hpp"
#include "publisher/broker/pages.hpp"
#include "publisher/broker/release_checks.hpp"
#include "publisher/check/root_shape.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

// A yes of the person at the terminal. False when nobody can be asked.
bool agreed(const Console& console, const std::string& question) {
  if (console.json || !console.err_is_terminal || ::isatty(STDIN_FILENO) != 1) return false;
  console.err << "instar: " << question << "? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer.starts_with('y') || answer.starts_with('Y');
}

}  // namespace

Outcome<void> check_shape(const std::string& tree, const Console& console) {
  const auto doubt = doubt_about_shape(tree);
  if (!doubt) return {};
  if (agreed(console, doubt->text + ". Pack it all the same")) return {};
  const bool is_asked = !console.json && console.err_is_terminal && ::isatty(STDIN_FILENO) == 1;
  if (is_asked || doubt->is_mistake)
    return fail(Exit::invalid_input, Code::invalid_argument,
                doubt->text + (is_asked ? "" : ". To pack it as it is, give --unchecked"));
  console.err << "instar: " << doubt->text << "\n";
  return {};
}

Outcome<TreeFindings> check_trees(const ReleaseSpec& spec, const ArtifactFolders& artifacts, const Console& console) {
  std::vector<ContainerOfTree> containers;
  for (const auto& each : spec.containers) containers.push_back({each.container, artifacts.at(each.artifact_path)});
  INSTAR_TRY(auto findings, check_containers(containers, spec.requirements));
  INSTAR_CHECK(refuse_if_wrong(findings.wrong));
  for (const auto& note : findings.notes) console.err << "instar: " << note << "\n";
  return findings;
}

Outcome<void> check_machines_of_devices(Session& session, const ReleaseSpec& spec, const TreeFindings& findings) {
  // Devices refuse what they are not named for, in words of their own.
  if (findings.machines.empty() || !spec.requirements.architectures.empty()) return {};
  const auto& program = findings.machines.front();
  UnfitDevices unfit;
  for (const auto& group : spec.groups) {
    const Json parameters{{"group", group.str()}, {"verbose", true}, {"count", kPageRows}};
    std::uint64_t rows = 0;
    const auto look_at = [&](const Json& row) {
      ++rows;
      const auto device = read_device(row);
      const auto& description = device.description;
      if (description.product != spec.product || description.architecture.empty()) return;
      if (may_run_on(program.machine, description.architecture)) return;
      auto& names = unfit.by_machine[description.architecture];
      if (std::ranges::find(names, device.device) == names.end()) names.push_back(device.device);
    };
    INSTAR_TRY(const auto answer,
               for_each_row(session, "listDevices", "devices", parameters, look_at, limits::kMachinesComparedMax));
    unfit.is_part = unfit.is_part || get_number(answer, "totalCount") > rows;
  }
  if (unfit.by_machine.empty()) return {};
  return fail(Failure(
      refuse_if_wrong({unfit_text(unfit) + ", and " + program.program + " is for " + machine_name(program.machine) +
                       ": pack a tree for them, or say whom it is for by --requires-arch"})
          .error()));
}

}  // namespace instar::publisher

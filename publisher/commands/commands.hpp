// The subcommands of `instar`. add() declares the options of one, and what is run when it is chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "publisher/broker/connection.hpp"
#include "publisher/broker/session.hpp"
#include "publisher/check/container_check.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"
#include "publisher/console/progress.hpp"
#include "publisher/console/work.hpp"
#include "publisher/release/release.hpp"

namespace instar::publisher {

struct Context {
  Console console;
  // Set by the subcommand that was chosen.
  std::function<Outcome<Exit>()> run;
};

// One namespace a command.
namespace keygen_command {
void add(CLI::App& app, Context& context);
}
namespace root_command {
void add(CLI::App& app, Context& context);
}
namespace pack_command {
void add(CLI::App& app, Context& context);
}
namespace unpack_command {
void add(CLI::App& app, Context& context);
}
namespace inspect_command {
void add(CLI::App& app, Context& context);
}
namespace publish_command {
void add(CLI::App& app, Context& context);
void add_plan(CLI::App& app, Context& context);
}  // namespace publish_command
namespace rollout_command {
void add(CLI::App& app, Context& context);
}
namespace devices_command {
void add(CLI::App& app, Context& context);
// Under `devices`.
void add_replace(CLI::App& devices, Context& context);
void add_enrol(CLI::App& devices, Context& context);
}  // namespace devices_command
namespace groups_command {
void add(CLI::App& app, Context& context);
}
namespace packs_command {
void add(CLI::App& app, Context& context);
}
namespace dashboard_command {
void add(CLI::App& app, Context& context);
}
void add_help(CLI::App& app, Context& context);
// `completion`, and the hidden `complete` that its scripts call.
void add_completion(CLI::App& app, Context& context);
// `man`
void add_man(CLI::App& app, Context& context);

// Shows a progress line on the terminal for each stage of long work, and stops the work after Ctrl-C.
class TerminalWork {
 public:
  explicit TerminalWork(const Console& console) : console_(console) {}
  // The result refers to this object.
  [[nodiscard]] Work work();
  // Removes the line before the command prints its own output.
  void end() { progress_.reset(); }

 private:
  void update(const std::string& what, std::uint64_t done, std::uint64_t all);
  const Console& console_;
  std::string stage_;
  std::optional<Progress> progress_;
};
// An error of such work: exit code 130 when it was stopped by Ctrl-C.
[[nodiscard]] Failure failure_of(Error error);

// Whether `tree` is the root file system of a container. A person is asked where it does not look like one; where
// nobody can be asked, what is surely a mistake is refused, and the rest is said. Errors: invalid_input.
[[nodiscard]] Outcome<void> check_shape(const std::string& tree, const Console& console);
// Whether the containers of a release can start. Prints what may be wrong. Errors: invalid_input, what is wrong.
[[nodiscard]] Outcome<TreeFindings> check_trees(const ReleaseSpec& spec, const ArtifactFolders& artifacts,
                                                const Console& console);
// Whether the devices of the release's groups, as the broker knows them, can run the programs in its trees. Errors:
// invalid_input, those of Session::request.
[[nodiscard]] Outcome<void> check_machines_of_devices(Session& session, const ReleaseSpec& spec,
                                                      const TreeFindings& findings);

// Which of several container images is meant: `option` (its name), and --expect.
void add_image_choice(CLI::App& command, ImageWish& wish, const std::string& option);
// --json
void add_json(CLI::App& command, Context& context);
// --broker and all options that belong to it.
void add_connection(CLI::App& command, ConnectionOptions& options);

// The text of `instar help TOPIC`; empty if there is no such topic.
[[nodiscard]] std::string help_topic(const std::string& topic);

}  // namespace instar::publisher

// The subcommands of `instar`. Each add_* declares its options and sets what is run when it is chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "publisher/broker/connection.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"
#include "publisher/console/progress.hpp"
#include "publisher/console/work.hpp"

namespace instar::publisher {

struct Context {
  Console console;
  // Set by the subcommand that was chosen.
  std::function<Outcome<Exit>()> run;
};

void add_keygen(CLI::App& app, Context& context);
void add_root(CLI::App& app, Context& context);
void add_pack(CLI::App& app, Context& context);
void add_unpack(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_publish(CLI::App& app, Context& context);
void add_plan(CLI::App& app, Context& context);
void add_rollout(CLI::App& app, Context& context);
void add_devices(CLI::App& app, Context& context);
void add_groups(CLI::App& app, Context& context);
void add_help(CLI::App& app, Context& context);

// A progress line on the terminal for each stage of long work, and an end to it after Ctrl-C.
class TerminalWork {
 public:
  explicit TerminalWork(const Console& console) : console_(console) {}
  // Refers to this.
  [[nodiscard]] Work work();
  // Wipes the line: what follows is the command's own output.
  void end() { progress_.reset(); }

 private:
  void update(const std::string& what, std::uint64_t done, std::uint64_t all);
  const Console& console_;
  std::string stage_;
  std::optional<Progress> progress_;
};
// An error of such work: exit code 130 when it was stopped by Ctrl-C.
[[nodiscard]] Failure failure_of(Error error);

// --json
void add_json(CLI::App& command, Context& context);
// --broker and all that belongs to it.
void add_connection(CLI::App& command, ConnectionOptions& options);

// The text of `instar help TOPIC`; empty if there is no such topic.
[[nodiscard]] std::string help_topic(const std::string& topic);

// Parses and runs; returns the exit code. What main() does, for tests too.
[[nodiscard]] int run_instar(const std::vector<std::string>& arguments, Console console);

}  // namespace instar::publisher

// The subcommands of `instar`. Each add_* declares its options and sets what is run when it is chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "publisher/connection.hpp"
#include "publisher/console.hpp"
#include "publisher/failure.hpp"

namespace instar::publisher {

struct Context {
  Console console;
  // Set by the subcommand that was chosen.
  std::function<Outcome<Exit>()> run;
};

void add_keygen(CLI::App& app, Context& context);
void add_root(CLI::App& app, Context& context);
void add_pack(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_publish(CLI::App& app, Context& context);
void add_rollout(CLI::App& app, Context& context);
void add_devices(CLI::App& app, Context& context);
void add_help(CLI::App& app, Context& context);

// --json
void add_json(CLI::App& command, Context& context);
// --broker and all that belongs to it.
void add_connection(CLI::App& command, ConnectionOptions& options);

// The text of `instar help TOPIC`; empty if there is no such topic.
[[nodiscard]] std::string help_topic(const std::string& topic);

// Parses and runs; returns the exit code. What main() does, for tests too.
[[nodiscard]] int run_instar(const std::vector<std::string>& arguments, Console console);

}  // namespace instar::publisher

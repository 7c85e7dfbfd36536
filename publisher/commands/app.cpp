// The command line as a whole: which subcommands there are, and how errors in it end.
#include <algorithm>
#include <sstream>
#include <utility>

#include "core/base/assert.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/clean_stream.hpp"

namespace instar::publisher {
namespace {

constexpr const char* kDescription =
    "instar: updates the software of Linux device fleets over the MQTT broker that the fleet already has.\n"
    "\n"
    "The usual way:\n"
    "  instar keygen keys                            once: keys and the root document\n"
    "  instar pack rootfs -o out/web-2.4.1           a directory tree becomes an artifact\n"
    "  instar publish --group plant-7 --product gateway --release 2.4.1 \\\n"
    "      --artifact out/web-2.4.1 --root keys/root.instar --key keys/release.key\n"
    "  instar rollout watch 2.4.1                    see devices take it";

constexpr std::size_t kHelpColumns = 110;

std::string wrapped(const std::string& text, std::size_t columns) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\n') {
      out += text[at++];
      column = 0;
      continue;
    }
    const auto end = std::min(text.find_first_of(" \n", at), text.size());
    const bool spaced = end < text.size() && text[end] == ' ';
    if (column > 0 && column + (end - at) > columns) {
      out += '\n';
      column = 0;
    }
    out.append(text, at, end - at);
    column += end - at;
    at = end;
    if (!spaced) continue;
    out += ' ';
    ++column;
    ++at;
  }
  return out;
}

// The first line of a command's description in lists, all of it, wrapped, on its own page.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_subcommand(const CLI::App* command) const override {
    const auto& description = command->get_description();
    std::stringstream out;
    CLI::detail::format_help(out, command->get_name(), description.substr(0, description.find('\n')),
                             get_column_width());
    return out.str();
  }
  std::string make_description(const CLI::App* command) const override {
    return wrapped(command->get_description(), kHelpColumns) + "\n\n";
  }
};

// What is wrong with the command line. Our own text replaces CLI11's where that is too general.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error,
                          const std::vector<std::string>& arguments) {
  const auto named = app.get_subcommands(
      [&](const CLI::App* command) { return !arguments.empty() && command->get_name() == arguments.front(); });
  if (!arguments.empty() && !arguments.front().starts_with('-') && named.empty()) {
    return "there is no command '" + arguments.front() + "'; `instar --help` lists them";
  }
  return std::string(error.what()) + ". See `instar" + (arguments.empty() ? "" : " " + arguments.front()) + " --help`";
}

constexpr const char* kFooter =
    "`instar COMMAND --help` tells all of a command; `instar help` lists pages on exit codes, configuration and "
    "release files.";

}  // namespace

void add_json(CLI::App& command, Context& context) {
  command.add_flag("--json", context.console.json, "Print one JSON document on stdout; text for people goes to stderr");
}

void add_connection(CLI::App& command, ConnectionOptions& options) {
  const auto add = [&](const char* flag, auto& value, const char* help, const char* type) {
    command.add_option(flag, value, help)->group("Connection")->type_name(type);
  };
  add("--broker", options.broker, "Broker [INSTAR_BROKER, or mqtt://localhost:1883]; mqtts:// for TLS",
      "mqtt://HOST[:PORT]");
  add("--username", options.username, "User name at the broker [INSTAR_USERNAME]", "NAME");
  add("--password-file", options.password_file, "File whose first line is the password [INSTAR_PASSWORD_FILE]", "FILE");
  add("--ca", options.ca, "Certificates that the broker's is checked against, PEM", "FILE");
  add("--cert", options.certificate, "Client certificate, PEM", "FILE");
  add("--key-file", options.key_file, "Private key of the client certificate, PEM", "FILE");
  command
      .add_flag_callback(
          "--allow-plain", [&options] { options.allow_plain = "yes"; },
          "Send a password to another machine without TLS")
      ->group("Connection");
  add("--prefix", options.prefix, "Topic prefix of the deployment [INSTAR_PREFIX, or instar/v1]", "TOPIC");
  add("--timeout", options.timeout, "How long to wait for the broker's answers [30s]", "TIME");
  add("--config", options.config_path, "Read connection options from this file [~/.config/instar/config]", "FILE");
}

int run_instar(const std::vector<std::string>& arguments, Console given) {
  CleanStream out(given.out);
  CleanStream err(given.err);
  const Console console{out, err, given.out_is_terminal, given.err_is_terminal, given.json, given.json_lines};
  Context context{console, {}};
  CLI::App app(kDescription, "instar");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("--version", "instar " INSTAR_VERSION);
  app.formatter(std::make_shared<HelpFormatter>());
  app.get_formatter()->column_width(34);
  keygen_command::add(app, context);
  pack_command::add(app, context);
  unpack_command::add(app, context);
  publish_command::add_plan(app, context);
  publish_command::add(app, context);
  rollout_command::add(app, context);
  devices_command::add(app, context);
  groups_command::add(app, context);
  packs_command::add(app, context);
  inspect_command::add(app, context);
  root_command::add(app, context);
  add_help(app, context);
  try {
    // CLI11 expects the arguments in reverse order.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      static_cast<void>(app.exit(error, console.out, console.err));
      return static_cast<int>(Exit::ok);
    }
    return print_failure(context.console,
                         Failure(Exit::usage, {Code::invalid_argument, usage_message(app, error, arguments)}));
  }
  INSTAR_ASSERT(context.run);
  auto outcome = context.run();
  if (!outcome) return print_failure(context.console, outcome.error());
  return static_cast<int>(*outcome);
}

}  // namespace instar::publisher

// The command line as a whole: which subcommands there are, and how errors in it end.
#include "publisher/commands/app.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/assert.hpp"
#include "publisher/commands/command_line.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/clean_stream.hpp"
#include "publisher/console/screen.hpp"
#include "publisher/console/text.hpp"

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

// Of a page of help. A terminal may have fewer.
constexpr std::size_t kHelpColumns = 110;
constexpr std::size_t kNarrowestHelp = 40;
// Where the descriptions of options begin, and where on a narrow terminal.
constexpr std::size_t kHelpMargin = 34;
constexpr std::size_t kHelpMarginNarrow = 8;
constexpr std::size_t kNarrowColumns = 70;

constexpr const char* kFooter =
    "`instar COMMAND --help` says all of a command, `instar COMMAND -h` what is needed most.\n"
    "`instar help` lists pages on exit codes, configuration and release files.";

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

// Options that most calls of a command do without: a short help leaves them out.
constexpr std::array<std::string_view, 3> kMoreGroups{"Rollout", "Deltas", "Connection"};

bool is_more(std::string_view group) {
  return std::ranges::find(kMoreGroups, group) != kMoreGroups.end();
}

// The first line of a command's description in lists, all of it, wrapped, on its own page.
class HelpFormatter final : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::size_t columns) : columns_(columns) {}
  void make_short() { is_short_ = true; }
  // CLI11 has many empty lines between groups, and one for each group that is left out.
  std::string make_help(const CLI::App* command, std::string name, CLI::AppFormatMode mode) const override {
    std::string out;
    for (const char c : CLI::Formatter::make_help(command, std::move(name), mode)) {
      if (c != '\n' || !out.ends_with("\n\n")) out += c;
    }
    return out;
  }
  // An option takes one value each time, whatever CLI11 thinks of its kind.
  std::string make_option_opts(const CLI::Option* option) const override {
    auto text = CLI::Formatter::make_option_opts(option);
    const auto type = option->get_type_name();
    if (const auto at = text.find(type); !type.empty() && at != std::string::npos)
      text.replace(at, type.size(), value_name(*option));
    if (const auto at = text.find(" ..."); option->nonpositional() && at != std::string::npos) text.erase(at, 4);
    return text;
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return entry(command->get_name(), summary_of(*command));
  }
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return entry(make_option_name(option, is_positional) + make_option_opts(option), make_option_desc(option));
  }
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override {
    if (is_short_ && is_more(group)) return {};
    return CLI::Formatter::make_group(std::move(group), is_positional, std::move(options));
  }
  std::string make_footer(const CLI::App* command) const override {
    std::vector<std::string> left_out;
    for (auto& group : command->get_groups()) {
      if (is_short_ && is_more(group)) left_out.push_back(std::move(group));
    }
    // Examples are to be copied: only what is text is wrapped.
    auto footer = command->get_footer();
    if (footer == kFooter) footer = wrapped(footer, columns_);
    if (!footer.empty()) footer += "\n";
    return left_out.empty() ? footer : "\n--help shows more options: " + joined(left_out, ", ") + "\n" + footer;
  }
  std::string make_description(const CLI::App* command) const override {
    return wrapped(command->get_description(), columns_) + "\n\n";
  }

 private:
  std::string entry(const std::string& name, const std::string& text) const {
    const auto margin = columns_ < kNarrowColumns ? kHelpMarginNarrow : kHelpMargin;
    std::string out = "  " + name;
    out += out.size() < margin ? std::string(margin - out.size(), ' ') : "\n" + std::string(margin, ' ');
    bool is_first = true;
    for (const auto& line : wrap(text, columns_ - margin)) {
      if (!std::exchange(is_first, false)) out += "\n" + std::string(margin, ' ');
      out += line;
    }
    return out + "\n";
  }

  std::size_t columns_;
  bool is_short_ = false;
};

// What is wrong with a command line of known words.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words) {
  const auto chosen = chosen_command(app, words);
  const auto below = commands_below(*chosen.command);
  std::string text = error.what();
  while (text.ends_with('\n')) text.pop_back();
  if (!below.empty()) {
    std::vector<std::string> names;
    for (const auto* command : below) names.push_back(command->get_name());
    text = "`" + chosen.path + "` needs a command: " + joined(names, ", ");
  }
  return text + ". See `" + chosen.path + " --help`";
}

}  // namespace

void add_json(CLI::App& command, Context& context) {
  command.add_flag("--json", context.console.json,
                   "Print one JSON document on stdout, and no text for people; errors and notices go to stderr");
}

void add_connection(CLI::App& command, ConnectionOptions& options) {
  const auto add = [&](const char* flag, auto& value, const char* help, const char* type) {
    command.add_option(flag, value, help)->group("Connection")->type_name(type);
  };
  add("--broker", options.broker,
      "Broker [INSTAR_BROKER, or mqtt://localhost:1883]; mqtts:// for TLS; `instar help config`", "mqtt://HOST[:PORT]");
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
  add("--config", options.config_path, "Read what is not said here from this file [~/.config/instar/config]", "FILE");
}

int run_instar(const std::vector<std::string>& arguments, Console given) {
  CleanStream out(given.out);
  CleanStream err(given.err);
  const Console console{out, err, given.out_is_terminal, given.err_is_terminal, given.json, given.json_lines};
  Context context{console, {}};
  CLI::App app(kDescription, "instar");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("-V,--version", "instar " INSTAR_VERSION, "Print the version and exit");
  const auto formatter = std::make_shared<HelpFormatter>(
      given.out_is_terminal ? std::clamp(screen_size().columns, kNarrowestHelp, kHelpColumns) : kHelpColumns);
  app.formatter(formatter);
  keygen_command::add(app, context);
  pack_command::add(app, context);
  unpack_command::add(app, context);
  publish_command::add_plan(app, context);
  publish_command::add(app, context);
  rollout_command::add(app, context);
  devices_command::add(app, context);
  groups_command::add(app, context);
  packs_command::add(app, context);
  dashboard_command::add(app, context);
  inspect_command::add(app, context);
  root_command::add(app, context);
  add_help(app, context);
  add_completion(app, context);
  add_man(app, context);
  take_one_value_each(app);
  const auto words = with_list(app, arguments);
  const auto refuse = [&](std::string message) {
    context.console.json = std::ranges::find(words, "--json") != words.end();
    return print_failure(context.console, Failure(Exit::usage, {Code::invalid_argument, std::move(message)}));
  };
  if (auto wrong = unknown_word(app, words)) return refuse(std::move(*wrong));
  if (std::ranges::find(words, "-h") != words.end()) formatter->make_short();
  try {
    // CLI11 expects the arguments in reverse order.
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      static_cast<void>(app.exit(error, console.out, console.err));
      return static_cast<int>(Exit::ok);
    }
    return refuse(usage_message(app, error, words));
  }
  INSTAR_ASSERT(context.run);
  auto outcome = context.run();
  if (!outcome) return print_failure(context.console, outcome.error());
  return static_cast<int>(*outcome);
}

}  // namespace instar::publisher

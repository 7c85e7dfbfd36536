// `instar man`: the manual page, made of what the commands say of themselves.
#include <algorithm>
#include <sstream>
#include <utility>

#include "publisher/commands/command_line.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

// Text in which troff finds no orders: no line begins with a dot or a quote, and backslashes and hyphens are shown as
// they are.
std::string roff(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_begins = c == '\n';
  }
  return out;
}

// Paragraphs, which empty lines part.
std::string paragraphs(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) out += line.empty() ? ".PP\n" : roff(line) + "\n";
  return out;
}

// Lines that stay as they are.
std::string literal(const std::string& text) {
  return ".nf\n" + roff(text) + (text.ends_with('\n') ? "" : "\n") + ".fi\n";
}

// "-g, --group PATH"
std::string option_head(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const auto& name : option.get_snames()) names.push_back("\\fB\\-" + roff(name) + "\\fR");
  for (const auto& name : option.get_lnames()) names.push_back("\\fB\\-\\-" + roff(name) + "\\fR");
  std::string text = joined(names, ", ");
  if (option.get_items_expected_min() > 0) text += " \\fI" + roff(value_name(option)) + "\\fR";
  return text;
}

std::string entry(const std::string& head, const std::string& text) {
  return ".TP\n" + head + "\n" + roff(text) + "\n";
}

std::vector<const CLI::Option*> positionals(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

std::string positional_name(const CLI::Option& option) {
  return option.get_name(true, false);
}

bool is_connection(const CLI::Option& option) {
  return option.get_group() == "Connection";
}

const CLI::App& top_of(const CLI::App& command) {
  const auto* top = &command;
  while (top->get_parent() != nullptr) top = top->get_parent();
  return *top;
}

void write_command(const CLI::App& command, const std::string& path, std::ostream& out) {
  const auto full = path + " " + command.get_name();
  if (const auto below = commands_below(command); !below.empty()) {
    for (const auto* each : below) write_command(*each, full, out);
    return;
  }
  std::string head = "\\fB" + roff(full) + "\\fR";
  for (const auto* option : positionals(command)) head += " \\fI" + roff(positional_name(*option)) + "\\fR";
  out << ".SS \"" << head << "\"\n" << paragraphs(command.get_description());
  for (const auto* option : positionals(command)) {
    out << entry("\\fI" + roff(positional_name(*option)) + "\\fR", option->get_description());
  }
  bool has_connection = false;
  for (const auto* option : named_options(command)) {
    has_connection = has_connection || is_connection(*option);
    if (is_connection(*option) || option == command.get_help_ptr()) continue;
    out << entry(option_head(*option), option->get_description());
  }
  if (has_connection) out << ".PP\nand the options of CONNECTION below.\n";
  // What the whole program has at its end, its commands have too unless they have a text of their own.
  const auto footer = command.get_footer();
  if (!footer.empty() && footer != top_of(command).get_footer()) out << ".PP\n" << literal(footer);
}

// The options of the first command that has them.
void write_connection(const CLI::App& app, std::ostream& out) {
  for (const auto* command : commands_below(app)) {
    bool found = false;
    for (const auto* option : named_options(*command)) {
      if (!is_connection(*option)) continue;
      if (!found) out << ".SH CONNECTION\n";
      found = true;
      out << entry(option_head(*option), option->get_description());
    }
    if (found) return;
  }
}

void write_page(const CLI::App& app, std::ostream& out) {
  out << ".\\\" made by `instar man`\n"
      << ".TH INSTAR 1 \"\" \"instar " << roff(INSTAR_VERSION) << "\" \"User Commands\"\n"
      << ".SH NAME\ninstar \\- update the software of Linux device fleets over MQTT\n"
      << ".SH SYNOPSIS\n\\fBinstar\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] ...\n"
      << ".SH DESCRIPTION\n"
      << literal(app.get_description()) << ".SH COMMANDS\n";
  for (const auto* command : commands_below(app)) write_command(*command, app.get_name(), out);
  write_connection(app, out);
  for (const auto& [topic, title] :
       {std::pair{"config", "CONFIGURATION"}, {"release-file", "RELEASE FILES"}, {"exit-codes", "EXIT STATUS"}}) {
    out << ".SH \"" << title << "\"\n" << literal(help_topic(topic));
  }
  out << ".SH FILES\n" << entry("\\fI~/.config/instar/config\\fR", "What is not said on the command line.");
  out << ".SH SEE ALSO\n\\fBinstar\\-device\\fR(8), \\fBmosquitto\\fR(8)\n.PP\n"
      << "The guides are in \\fI/usr/share/doc/instar\\fR, where the package is installed.\n";
}

}  // namespace

void add_man(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("man",
                                     "Print the manual page, for man\n\n"
                                     "Debian's package has it in its place already: man instar.");
  command->footer("Examples:\n  instar man | man -l -");
  command->callback([&app, &context] {
    context.run = [&app, &context]() -> Outcome<Exit> {
      write_page(app, context.console.out);
      return Exit::ok;
    };
  });
}

}  // namespace instar::publisher

#include "publisher/commands/command_line.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <utility>

#include "publisher/console/similar.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

// Those that no help shows too.
const CLI::App* command_named(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_min() > 0;
}

// "-oOUT" names -o, "--level=3" --level.
std::string option_name(const std::string& word) {
  return word.starts_with("--") ? word.substr(0, word.find('=')) : word.substr(0, 2);
}

// What other programs call it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kOtherNames{{{"bundle", "publish --bundle FILE"},
                                                                                    {"version", "--version"},
                                                                                    {"build", "pack"},
                                                                                    {"deploy", "publish"},
                                                                                    {"push", "publish"},
                                                                                    {"upload", "publish"},
                                                                                    {"status", "rollout show"},
                                                                                    {"rollback", "rollout revert"}}};

const CLI::Option* option_named(const CLI::App& command, const std::string& name) {
  for (const auto* option : command.get_options()) {
    if (option->nonpositional() && option->check_name(name)) return option;
  }
  return nullptr;
}

// Calls back with each word that is a command, or an option; values of options and of commands are passed over. Stops
// when it returns false.
struct Walk {
  std::function<bool(const CLI::App& in, const std::string& path, const std::string& word)> command;
  std::function<bool(const CLI::App& in, const std::string& path, const std::string& name)> option;
};

ChosenCommand walk(const CLI::App& app, const std::vector<std::string>& words, const Walk& on) {
  ChosenCommand at{&app, app.get_name()};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    if (word == "--") break;
    if (word.size() > 1 && word.front() == '-') {
      const auto name = option_name(word);
      if (!on.option(*at.command, at.path, name)) break;
      const auto* option = option_named(*at.command, name);
      const bool value_follows =
          option != nullptr && takes_value(*option) && word.size() == name.size();  // else the value is in the word
      if (value_follows) ++i;
      continue;
    }
    if (commands_below(*at.command).empty()) continue;
    if (!on.command(*at.command, at.path, word)) break;
    const auto* next = command_named(*at.command, word);
    if (next == nullptr) break;
    at = {next, at.path + " " + word};
  }
  return at;
}

// "`instar a`, `instar b` or `instar c`"
std::string alternatives(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += "`" + names[i] + "`";
  }
  return text;
}

std::vector<std::string> names_below(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* command : commands_below(app)) names.push_back(command->get_name());
  return names;
}

std::string unknown_command(const CLI::App& in, const std::string& path, const std::string& word) {
  std::string text = "there is no command '" + word + "'";
  const bool is_top = in.get_parent() == nullptr;
  if (!is_top) text += " in `" + path + "`";
  if (const auto meant = most_similar(word, names_below(in)); !meant.empty())
    return text + "; did you mean `" + path + " " + meant + "`?";
  for (const auto& [name, ours] : kOtherNames) {
    if (is_top && word == name) return text + "; did you mean `" + path + " " + std::string(ours) + "`?";
  }
  // `instar watch`, `instar pause`
  std::vector<std::string> deeper;
  for (const auto* group : commands_below(in)) {
    if (command_named(*group, word) != nullptr) deeper.push_back(path + " " + group->get_name() + " " + word);
  }
  if (!deeper.empty()) return text + "; did you mean " + alternatives(deeper) + "?";
  if (is_top) return text + "; `" + path + " --help` lists them";
  return text + "; there are " + joined(names_below(in), ", ");
}

std::string unknown_option(const CLI::App& in, const std::string& path, const std::string& name) {
  const std::string text = "there is no option '" + name + "' of `" + path + "`";
  std::vector<std::string> names;
  for (const auto* option : named_options(in)) {
    for (const auto& each : option->get_lnames()) names.push_back(each);
  }
  if (name.starts_with("--")) {
    const auto word = name.substr(2);
    if (const auto meant = most_similar(word, names); !meant.empty()) return text + "; did you mean --" + meant + "?";
  }
  // `instar --json rollout list`
  for (const auto* command : commands_below(in)) {
    if (option_named(*command, name) != nullptr || !commands_below(*command).empty())
      return text + ": options stand behind the whole command. See `" + path + " --help`";
  }
  return text + ". See `" + path + " --help`";
}

}  // namespace

void take_one_value_each(CLI::App& app) {
  for (auto* option : app.get_options()) {
    if (option->nonpositional() && takes_value(*option)) option->allow_extra_args(false);
  }
  for (auto* command : app.get_subcommands([](CLI::App*) { return true; })) take_one_value_each(*command);
}

std::vector<std::string> with_list(const CLI::App& app, std::vector<std::string> words) {
  if (words.empty()) return words;
  const auto* group = command_named(app, words.front());
  if (group == nullptr || command_named(*group, "list") == nullptr) return words;
  const bool asks_for_help = words.size() > 1 && (words[1] == "-h" || words[1] == "--help");
  if (words.size() == 1 || (words[1].starts_with('-') && !asks_for_help)) words.insert(words.begin() + 1, "list");
  return words;
}

ChosenCommand chosen_command(const CLI::App& app, const std::vector<std::string>& words) {
  const auto go_on = [](const CLI::App&, const std::string&, const std::string&) { return true; };
  return walk(app, words, {go_on, go_on});
}

std::optional<std::string> unknown_word(const CLI::App& app, const std::vector<std::string>& words) {
  std::optional<std::string> wrong;
  walk(app, words,
       {[&](const CLI::App& in, const std::string& path, const std::string& word) {
          if (command_named(in, word) == nullptr) wrong = unknown_command(in, path, word);
          return !wrong;
        },
        [&](const CLI::App& in, const std::string& path, const std::string& name) {
          if (option_named(in, name) == nullptr) wrong = unknown_option(in, path, name);
          return !wrong;
        }});
  return wrong;
}

std::vector<const CLI::App*> commands_below(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

std::vector<const CLI::Option*> named_options(const CLI::App& command) {
  return command.get_options(
      [](const CLI::Option* option) { return option->nonpositional() && !option->get_group().empty(); });
}

std::string value_name(const CLI::Option& option) {
  const auto name = option.get_type_name();
  return name.substr(0, name.find(":INT in ["));
}

std::string summary_of(const CLI::App& command) {
  const auto& text = command.get_description();
  auto line = text.substr(0, text.find('\n'));
  if (line.ends_with('.')) line.pop_back();
  return line;
}

}  // namespace instar::publisher

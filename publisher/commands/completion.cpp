// `instar completion`: what a shell needs to complete commands and options. The scripts ask the program itself, by the
// hidden command `complete`, so that they know what it knows.
#include <algorithm>
#include <map>
#include <utility>

#include "publisher/commands/command_line.hpp"
#include "publisher/commands/commands.hpp"
#include "publisher/console/natural_order.hpp"
#include "publisher/console/text.hpp"

namespace instar::publisher {
namespace {

constexpr const char* kBash =
    "# bash completion for instar: made by `instar completion bash`\n"
    "_instar() {\n"
    "  local word=${COMP_WORDS[COMP_CWORD]} line\n"
    "  COMPREPLY=()\n"
    "  while IFS=$'\\t' read -r line _; do\n"
    "    [ -n \"$line\" ] && COMPREPLY+=(\"$line\")\n"
    "  done < <(\"${COMP_WORDS[0]}\" complete -- \"${COMP_WORDS[@]:1:COMP_CWORD-1}\" \"$word\" 2>/dev/null)\n"
    "}\n"
    "complete -o default -F _instar instar\n";

constexpr const char* kZsh =
    "#compdef instar\n"
    "# zsh completion for instar: made by `instar completion zsh`\n"
    "_instar() {\n"
    "  local -a found\n"
    "  local word text\n"
    "  while IFS=$'\\t' read -r word text; do\n"
    "    found+=(\"${word//:/\\\\:}:$text\")\n"
    "  done < <(\"${words[1]}\" complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "  if (( $#found )); then _describe instar found; else _files; fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = \"_instar\" ]; then _instar \"$@\"; else compdef _instar instar; fi\n";

constexpr const char* kFish =
    "# fish completion for instar: made by `instar completion fish`\n"
    "function __instar_complete\n"
    "  set -l words (commandline -opc) (commandline -ct)\n"
    "  $words[1] complete -- $words[2..-1] 2>/dev/null\n"
    "end\n"
    "complete -c instar -f -n 'test -n \"$(__instar_complete)\"' -a '(__instar_complete)'\n"
    "complete -c instar -F -n 'test -z \"$(__instar_complete)\"'\n";

const std::map<std::string, const char*>& scripts() {
  static const std::map<std::string, const char*> all{{"bash", kBash}, {"fish", kFish}, {"zsh", kZsh}};
  return all;
}

Outcome<Exit> print_script(const std::string& shell, const Console& console) {
  const auto script = scripts().find(shell);
  if (script == scripts().end())
    return fail(Exit::usage, Code::invalid_argument, "no completion for shell '" + shell + "': give bash, fish or zsh");
  console.out << script->second;
  return Exit::ok;
}

// Whether the last of `words` is the value of the option before it.
bool is_value(const CLI::App& command, const std::vector<std::string>& words) {
  if (words.size() < 2) return false;
  const auto& before = words[words.size() - 2];
  if (!before.starts_with('-')) return false;
  for (const auto* option : named_options(command)) {
    if (option->check_name(before)) return option->get_items_expected_min() > 0;
  }
  return false;
}

// Words that go well where the last one of `words` stands, with what each is; none where a file or a name is due.
std::vector<std::pair<std::string, std::string>> candidates(const CLI::App& app, std::vector<std::string> words) {
  if (words.empty()) words.emplace_back();
  const std::string begun = words.back();
  const std::vector<std::string> before(words.begin(), words.end() - 1);
  const auto& command = *chosen_command(app, before).command;
  std::vector<std::pair<std::string, std::string>> found;
  if (is_value(command, words)) return found;
  const auto offer = [&](const std::string& word, const std::string& text) {
    if (word.starts_with(begun)) found.emplace_back(word, text);
  };
  if (begun.starts_with('-')) {
    for (const auto* option : named_options(command)) {
      for (const auto& name : option->get_lnames()) offer("--" + name, option->get_description());
    }
    return found;
  }
  for (const auto* below : commands_below(command)) offer(below->get_name(), summary_of(*below));
  if (command.get_name() == "help") {
    for (const auto* topic : {"exit-codes", "config", "release-file"}) offer(topic, "a page");
    for (const auto* other : commands_below(app)) offer(other->get_name(), summary_of(*other));
  }
  if (command.get_name() == "completion") {
    for (const auto& [shell, script] : scripts()) offer(shell, "its completion script");
  }
  return found;
}

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  const auto shell = std::make_shared<std::string>();
  auto* command = app.add_subcommand("completion",
                                     "Print the script by which a shell completes commands and options\n\n"
                                     "Debian's package of instar has the scripts in their places already.");
  command->add_option("SHELL", *shell, "bash, fish or zsh")->required();
  command->footer(
      "Examples:\n"
      "  instar completion bash > ~/.local/share/bash-completion/completions/instar\n"
      "  instar completion zsh > \"${fpath[1]}/_instar\"\n"
      "  instar completion fish > ~/.config/fish/completions/instar.fish");
  command->callback(
      [shell, &context] { context.run = [shell, &context] { return print_script(*shell, context.console); }; });

  const auto words = std::make_shared<std::vector<std::string>>();
  auto* complete = app.add_subcommand("complete", "For the scripts of `completion`: what may stand in the last place");
  complete->group("");
  complete->add_option("WORD", *words, "The words behind `instar`, behind a --");
  complete->callback([words, &app, &context] {
    context.run = [words, &app, &context]() -> Outcome<Exit> {
      for (const auto& [word, text] : candidates(app, *words)) context.console.out << word << "\t" << text << "\n";
      return Exit::ok;
    };
  });
}

}  // namespace instar::publisher

// The command line before it is parsed: what CLI11 says of a mistake in it is too little for a person.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace instar::publisher {

// Options take one value each time they are given: `--key FILE release.json` is a key and a release file. (A list that
// is separated by commas is one value.)
void take_one_value_each(CLI::App& app);

// `rollout`, `devices` or `packs` alone, or with options only, means its `list`.
[[nodiscard]] std::vector<std::string> with_list(const CLI::App& app, std::vector<std::string> words);

// The command that `words` name, and how it is written: "instar rollout watch". It is the last one on the way to a word
// that names none.
struct ChosenCommand {
  const CLI::App* command = nullptr;
  std::string path;
};
[[nodiscard]] ChosenCommand chosen_command(const CLI::App& app, const std::vector<std::string>& words);

// What is wrong where a word names no command, or an option is not one of the command: with what was meant, if that can
// be guessed. nullopt: every command and option is known, whatever else may be wrong.
[[nodiscard]] std::optional<std::string> unknown_word(const CLI::App& app, const std::vector<std::string>& words);

// The commands below `app` that the help shows, in its order.
[[nodiscard]] std::vector<const CLI::App*> commands_below(const CLI::App& app);
// Options with a name that the help shows, `--help` too.
[[nodiscard]] std::vector<const CLI::Option*> named_options(const CLI::App& command);
// What stands for its value: "N", without the bounds that CLI11 adds.
[[nodiscard]] std::string value_name(const CLI::Option& option);
// The first line of a command's description.
[[nodiscard]] std::string summary_of(const CLI::App& command);

}  // namespace instar::publisher

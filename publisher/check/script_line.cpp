#include "publisher/check/script_line.hpp"

#include <algorithm>
#include <string_view>

namespace instar::publisher {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view without_blanks(std::string_view text) {
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

}  // namespace

ScriptLine parse_script_line(ByteView first) {
  const std::string_view text = as_text(first);
  ScriptLine line;
  if (!text.starts_with("#!")) return line;
  // A zero byte ends the line too.
  const auto end = std::min(text.find_first_of(std::string_view("\n\0", 2)), text.size());
  line.bytes = end;
  const auto words = without_blanks(text.substr(2, end - 2));
  line.ends_in_cr = words.ends_with('\r');
  const auto blank = std::min(words.find_first_of(kBlanks), words.size());
  line.interpreter = words.substr(0, blank);
  line.argument = without_blanks(words.substr(blank));
  return line;
}

EnvProgram program_of_env(std::string_view argument) {
  bool is_split = false;
  for (const std::string_view option : {"-S", "--split-string=", "-vS", "-iS"}) {
    if (!argument.starts_with(option)) continue;
    argument = without_blanks(argument.substr(option.size()));
    is_split = true;
    break;
  }
  if (!is_split) {
    if (argument.starts_with('-') || argument.find('=') != std::string_view::npos) return {};
    return {std::string(argument), argument.find_first_of(kBlanks) != std::string_view::npos};
  }
  // Options and assignments go before the program. Quotes, variables and options with a value are not looked into.
  while (!argument.empty()) {
    const auto word = argument.substr(0, argument.find_first_of(kBlanks));
    const bool is_understood = word.find_first_of("'\"$\\") == std::string_view::npos &&
                               (!word.starts_with('-') || word == "-i" || word == "-" || word == "--");
    if (!is_understood) return {};
    if (!word.starts_with('-') && word.find('=') == std::string_view::npos) return {std::string(word), false};
    argument = without_blanks(argument.substr(word.size()));
  }
  return {};
}

}  // namespace instar::publisher

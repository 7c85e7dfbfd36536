// The first line of a script, as Linux reads it (fs/binfmt_script.c).
#pragma once

#include <string>

#include "core/base/bytes.hpp"

namespace instar::publisher {

struct ScriptLine {
  std::string interpreter;  // empty: there is no such line, or it names nothing
  std::string argument;     // the rest of the line, one argument; empty = none
  std::size_t bytes = 0;    // of the line with "#!", without its end
  bool ends_in_cr = false;  // a line end of Windows: the CR belongs to the last word
};

// `first`: the start of the file, more than limits::kScriptLineBytesMax bytes of it if it has them.
[[nodiscard]] ScriptLine parse_script_line(ByteView first);

// What env(1) runs for such an argument.
struct EnvProgram {
  std::string name;         // empty: it cannot be said
  bool has_blanks = false;  // it looks for a program with blanks in its name, because the kernel gives it one argument
};
[[nodiscard]] EnvProgram program_of_env(std::string_view argument);

}  // namespace instar::publisher

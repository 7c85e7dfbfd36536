// A question to the person at the terminal.
#pragma once

#include <iosfwd>
#include <string>

#include "publisher/console/console.hpp"

namespace instar::publisher {

// Somebody sits there: standard input and standard error are a terminal, and the output is not for a program.
[[nodiscard]] bool can_ask(const Console& console);
// Prints the question and reads one line of `answers`. True: it is a yes. Anything else, and the end of the input, is a
// no.
[[nodiscard]] bool ask_yes(const Console& console, std::istream& answers, const std::string& question);

}  // namespace instar::publisher

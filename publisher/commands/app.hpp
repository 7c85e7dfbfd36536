// The program `instar`, without main(). CLI11 stays behind it.
#pragma once

#include <string>
#include <vector>

#include "publisher/console/console.hpp"

namespace instar::publisher {

// Parses the arguments, runs the command and returns the exit code. Used by main() and by tests.
[[nodiscard]] int run_instar(const std::vector<std::string>& arguments, Console console);

}  // namespace instar::publisher

#include "publisher/console/question.hpp"

#include <unistd.h>

#include <istream>

namespace instar::publisher {

bool can_ask(const Console& console) {
  return !console.json && console.err_is_terminal && ::isatty(STDIN_FILENO) == 1;
}

bool ask_yes(const Console& console, std::istream& answers, const std::string& question) {
  console.err << question << " [y/N] " << std::flush;
  std::string line;
  if (!std::getline(answers, line)) console.err << "\n";
  return line == "y" || line == "Y" || line == "yes";
}

}  // namespace instar::publisher

#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "publisher/broker/session.hpp"
#include "publisher/commands/app.hpp"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = [](int) { instar::publisher::interrupt(); };
  // The second Ctrl-C ends the process at once.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return instar::publisher::run_instar(arguments, {.out = std::cout,
                                                   .err = std::cerr,
                                                   .out_is_terminal = ::isatty(STDOUT_FILENO) == 1,
                                                   .err_is_terminal = ::isatty(STDERR_FILENO) == 1});
}

// One run of `instar-lxc`, or of another program. Nothing here waits: the daemon's loop polls the pipe on which the
// program writes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "device-client/process/json_line.hpp"

namespace instar::device {

struct HelperOptions {
  std::uint32_t timeout_ms = 0;
  // NAME=VALUE, added to the environment of this process.
  std::vector<std::string> environment = {};
  bool takes_errors = false;  // its standard error is read with its output
};

// A program to run.
struct HelperCommand {
  std::string program;
  std::vector<std::string> arguments;
  HelperOptions options;
};

// How a program ended, and the last line that it printed.
struct HelperEnd {
  bool timed_out = false;
  int exit_code = 0;
  int signal = 0;  // 0: none
  std::string line;

  [[nodiscard]] bool ok() const noexcept { return !timed_out && signal == 0 && exit_code == 0; }
  // "exit code 3: no such partition"
  [[nodiscard]] std::string text() const;
};

class HelperProcess {
 public:
  // Errors: io, not_found (no such program).
  [[nodiscard]] static Result<HelperProcess> spawn(const HelperCommand& command, MonotonicMs now);
  HelperProcess(HelperProcess&& other) noexcept;
  HelperProcess& operator=(HelperProcess&& other) noexcept;
  // A program that still runs is left alone, and finishes what it began.
  ~HelperProcess();

  // Readable when poll() is worth calling. -1: poll() is to be called at deadline() only.
  [[nodiscard]] int fd() const noexcept { return closed_ ? -1 : fd_; }
  // The latest time for the next poll(): the end of the program's time, or soon where no descriptor reports its end.
  [[nodiscard]] MonotonicMs deadline(MonotonicMs now) const noexcept;
  // Reads the output that is there, and kills the program when its time is over. Returns true once it has ended; only
  // then do the three below hold.
  [[nodiscard]] bool poll(MonotonicMs now);
  // The lines that it printed. Errors: unavailable (timed out), io (died), malformed, internal. An error that the
  // helper itself printed becomes `io` with the helper's message.
  [[nodiscard]] Result<std::vector<JsonFields>> result() const;
  // How it ended, for a program that does not print JSON.
  [[nodiscard]] HelperEnd ended() const;
  // The lines that it printed before it ended, whether it ended well or not: up to the first line that is an error or
  // was cut off.
  [[nodiscard]] std::vector<JsonFields> printed() const;

 private:
  HelperProcess() = default;
  void release() noexcept;
  [[nodiscard]] Status read_lines(std::vector<JsonFields>& lines) const;
  std::string what_;  // for messages: "instar-lxc start press.app"
  pid_t pid_ = -1;
  int fd_ = -1;
  MonotonicMs deadline_;
  std::string output_;
  bool takes_errors_ = false;
  bool closed_ = false;  // the program has closed its end of the pipe
  bool timed_out_ = false;
  int status_ = 0;
};

}  // namespace instar::device

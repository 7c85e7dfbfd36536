// One run of `instar-lxc`, or of another program, watched without waiting: the daemon's loop polls its pipe.
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
  // NAME=VALUE, beside this process's own.
  std::vector<std::string> environment = {};
  bool takes_errors = false;  // its standard error is read with its output
};

// How a program ended, and the last line it printed.
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
  [[nodiscard]] static Result<HelperProcess> spawn(const std::string& program,
                                                   const std::vector<std::string>& arguments, HelperOptions options,
                                                   MonotonicMs now);
  HelperProcess(HelperProcess&& other) noexcept;
  HelperProcess& operator=(HelperProcess&& other) noexcept;
  // A helper that still runs is left alone: it finishes what it began.
  ~HelperProcess();

  // Readable when poll() is worth calling; -1: at deadline() alone.
  [[nodiscard]] int fd() const noexcept { return closed_ ? -1 : fd_; }
  // When poll() is to be called at the latest: when its time is over, or soon where no descriptor tells of its end.
  [[nodiscard]] MonotonicMs deadline(MonotonicMs now) const noexcept;
  // Reads what is there; kills it when its time is over. True once it has ended; result() then holds.
  [[nodiscard]] bool poll(MonotonicMs now);
  // The lines it printed. Errors: unavailable (timed out), io (died), malformed, internal; what the helper itself calls
  // an error is told as `io` with its words.
  [[nodiscard]] Result<std::vector<JsonFields>> result() const;
  // Of a program that does not speak JSON.
  [[nodiscard]] HelperEnd ended() const;
  // What it told before it ended, however it ended: its lines up to the first that is an error or was cut off.
  [[nodiscard]] std::vector<JsonFields> told() const;

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
  bool closed_ = false;  // its end of the pipe
  bool timed_out_ = false;
  int status_ = 0;
};

}  // namespace instar::device

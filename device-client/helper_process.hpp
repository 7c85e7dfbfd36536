// One run of `instar-lxc`, watched without waiting: the daemon's loop polls its pipe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "device-client/json_line.hpp"

namespace instar::device {

class HelperProcess {
 public:
  // Errors: io, not_found (no such program).
  [[nodiscard]] static Result<HelperProcess> spawn(const std::string& program, const std::vector<std::string>& arguments,
                                                   std::uint32_t timeout_ms, MonotonicMs now);
  HelperProcess(HelperProcess&& other) noexcept;
  HelperProcess& operator=(HelperProcess&& other) noexcept;
  // A helper that still runs is left alone: it finishes what it began.
  ~HelperProcess();

  // Readable when poll() is worth calling.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] MonotonicMs deadline() const noexcept { return deadline_; }
  // Reads what is there; kills it when its time is over. True once it has ended; result() then holds.
  [[nodiscard]] bool poll(MonotonicMs now);
  // The lines it printed. Errors: unavailable (timed out), io (died), malformed, internal; what the helper itself calls an error is
  // told as `io` with its words.
  [[nodiscard]] Result<std::vector<JsonFields>> result() const;
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
  bool timed_out_ = false;
  int status_ = 0;
};

}  // namespace instar::device

// Tells that a process that is not our child has ended: a container's init.
#pragma once

#include <sys/types.h>

namespace instar::device {

class ProcessWatch {
 public:
  explicit ProcessWatch(pid_t pid);
  ProcessWatch(ProcessWatch&& other) noexcept;
  ProcessWatch& operator=(ProcessWatch&& other) noexcept;
  ~ProcessWatch();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // Readable when the process has ended; -1 on kernels before 5.3, where ended() must be asked now and then.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool ended() const;

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
  bool gone_ = false;  // at the time of watching already
};

}  // namespace instar::device

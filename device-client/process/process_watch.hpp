// Finds out that a process has ended that is not a child of this one: a container's init.
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
  // Readable when the process has ended. -1 on kernels before 5.3: then ended() must be called now and then.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool ended() const;

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
  bool gone_ = false;  // it had ended before it was watched
};

}  // namespace instar::device

#include "device-client/process/process_watch.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace instar::device {

ProcessWatch::ProcessWatch(pid_t pid) : pid_(pid) {
  fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  gone_ = pid <= 0 || (fd_ < 0 && errno == ESRCH);
}

ProcessWatch::ProcessWatch(ProcessWatch&& other) noexcept
    : pid_(other.pid_), fd_(std::exchange(other.fd_, -1)), gone_(other.gone_) {}

ProcessWatch& ProcessWatch::operator=(ProcessWatch&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  pid_ = other.pid_;
  fd_ = std::exchange(other.fd_, -1);
  gone_ = other.gone_;
  return *this;
}

ProcessWatch::~ProcessWatch() {
  if (fd_ >= 0) ::close(fd_);
}

bool ProcessWatch::ended() const {
  if (gone_) return true;
  if (fd_ < 0) return ::kill(pid_, 0) != 0 && errno == ESRCH;
  pollfd waiting{fd_, POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

}  // namespace instar::device

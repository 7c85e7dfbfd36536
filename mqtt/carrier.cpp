#include "mqtt/carrier.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "core/base/limits.hpp"

namespace instar::mqtt {
namespace {

constexpr int kCarrierLookMs = 100;  // between two looks at whether it was stopped
constexpr std::size_t kBlockBytes = 16 * 1024;

class Carrier {
 public:
  Carrier(ProbeLink& link, int fd) : link_(link), fd_(fd) {}

  void run(const std::atomic<bool>& stopped) {
    while (!stopped.load()) {
      bool moved = link_turn();
      moved = fd_writes() || moved;
      moved = fd_reads() || moved;
      if (fd_failed_ || (fd_ended_ && to_link_.empty())) return;
      if (fd_ended_ && Patience::Clock::now() > *gives_up_) return;
      if (!moved) wait();
    }
  }

 private:
  using Next = ProbeLink::Next;

  // Each of these returns whether anything has moved.
  bool link_turn() {
    reading_ = writing_ = Next::goes_on;
    if (link_ended_) return false;
    const bool reads = to_fd_.empty();
    const bool writes = !to_link_.empty();
    if (reads) reading_ = link_.try_read(to_fd_);
    if (writes) writing_ = link_.try_write(to_link_);
    link_ended_ = reading_ == Next::ended || writing_ == Next::ended;
    if (link_ended_) to_link_.clear();
    return link_ended_ || (reads && reading_ == Next::goes_on) || (writes && writing_ == Next::goes_on);
  }

  bool fd_writes() {
    if (to_fd_.empty()) {
      if (link_ended_) ::shutdown(fd_, SHUT_WR);
      return false;
    }
    const auto sent = ::send(fd_, to_fd_.data(), to_fd_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    fd_failed_ = fd_failed_ || (sent < 0 && errno != EAGAIN && errno != EINTR);
    if (sent > 0) to_fd_.erase(to_fd_.begin(), to_fd_.begin() + sent);
    return sent > 0;
  }

  // What comes when the broker has gone is for nobody.
  bool fd_reads() {
    if (fd_ended_ || !to_link_.empty()) return false;
    to_link_.resize(kBlockBytes);
    const auto got = ::recv(fd_, to_link_.data(), to_link_.size(), MSG_DONTWAIT);
    fd_failed_ = fd_failed_ || (got < 0 && errno != EAGAIN && errno != EINTR);
    to_link_.resize(link_ended_ ? 0 : static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) {
      fd_ended_ = true;
      gives_up_ = Patience::Clock::now() + std::chrono::milliseconds(limits::kProbeStepMs);
    }
    return got > 0;
  }

  void wait() const {
    const auto wants = [&](Next what) { return reading_ == what || writing_ == what; };
    const int link_events = (wants(Next::wants_read) ? POLLIN : 0) | (wants(Next::wants_write) ? POLLOUT : 0);
    const int fd_events = (!fd_ended_ && to_link_.empty() ? POLLIN : 0) | (to_fd_.empty() ? 0 : POLLOUT);
    std::array<pollfd, 2> waiting{pollfd{link_ended_ ? -1 : link_.fd(), static_cast<short>(link_events), 0},
                                  pollfd{fd_events == 0 ? -1 : fd_, static_cast<short>(fd_events), 0}};
    ::poll(waiting.data(), waiting.size(), kCarrierLookMs);
  }

  ProbeLink& link_;
  int fd_;
  Bytes to_link_;
  Bytes to_fd_;
  Next reading_ = Next::goes_on;
  Next writing_ = Next::goes_on;
  bool link_ended_ = false;
  bool fd_ended_ = false;
  bool fd_failed_ = false;
  std::optional<Patience::Clock::time_point> gives_up_;
};

}  // namespace

void carry(ProbeLink& link, int fd, const std::atomic<bool>& stopped) {
  Carrier(link, fd).run(stopped);
}

}  // namespace instar::mqtt

#include "device-client/watchdog.hpp"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <utility>

#include "core/base/limits.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

// How many boots the file counts. A file with any other content counts none.
std::uint32_t read_count(const std::string& path) {
  const auto bytes = files::read_file(path, 16);
  if (!bytes) return 0;
  const auto text = as_text(*bytes);
  std::uint32_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

}  // namespace

Result<Watchdog> Watchdog::start(Options options, MonotonicMs now) {
  Watchdog watchdog(std::move(options));
  const Options& own = watchdog.options_;
  watchdog.boots_ = read_count(own.count_file);
  if (!own.notify_socket.empty() && own.notify_us > 0)
    watchdog.every_ms_ = std::max<std::int64_t>(static_cast<std::int64_t>(own.notify_us / 3'000), 1);
  if (!own.device.empty()) {
    watchdog.fd_ = ::open(own.device.c_str(), O_WRONLY | O_CLOEXEC);
    if (watchdog.fd_ < 0)
      return fail(errno == ENOENT ? Code::not_found : Code::io,
                  "watchdog = " + own.device + ": " + std::strerror(errno));
    int seconds = static_cast<int>(own.timeout_s);
    if (::ioctl(watchdog.fd_, WDIOC_SETTIMEOUT, &seconds) != 0) {
      seconds = static_cast<int>(own.timeout_s);
      (void)::ioctl(watchdog.fd_, WDIOC_GETTIMEOUT, &seconds);
      own.log->warning(own.device + " does not take a timeout of " + std::to_string(own.timeout_s) +
                       " s; it is fed for one of " + std::to_string(seconds) + " s");
    }
    const auto every_ms = std::max<std::int64_t>(std::int64_t{seconds} * 1'000 / 3, 1);
    watchdog.every_ms_ = watchdog.every_ms_ == 0 ? every_ms : std::min(watchdog.every_ms_, every_ms);
  }
  if (watchdog.boots_ >= limits::kWatchdogBootsMax)
    own.log->error(
        "the watchdog has booted this machine " + std::to_string(watchdog.boots_) +
        " times because containers were not well; it does so no more until they have been well for ten minutes");
  if (watchdog.every_ms_ > 0) watchdog.feed();
  watchdog.fed_ = now;
  return watchdog;
}

Watchdog::Watchdog(Watchdog&& other) noexcept
    : options_(std::move(other.options_)),
      fd_(std::exchange(other.fd_, -1)),
      every_ms_(other.every_ms_),
      fed_(other.fed_),
      boots_(other.boots_),
      feeding_(other.feeding_),
      unwell_since_(other.unwell_since_),
      well_since_(other.well_since_) {}

Watchdog::~Watchdog() {
  if (fd_ >= 0) ::close(fd_);
}

void Watchdog::tick(bool containers_well, MonotonicMs now) {
  if (every_ms_ == 0) return;
  if (fd_ >= 0) judge(containers_well, now);
  if (now - fed_ < every_ms_) return;
  fed_ = now;
  feed();
}

void Watchdog::judge(bool containers_well, MonotonicMs now) {
  if (containers_well) {
    unwell_since_.reset();
    if (!well_since_) well_since_ = now;
    if (boots_ > 0 && now - *well_since_ >= kPatienceMs) {
      boots_ = 0;
      ::unlink(options_.count_file.c_str());
    }
  } else {
    well_since_.reset();
    if (!unwell_since_) unwell_since_ = now;
    if (feeding_ && boots_ < limits::kWatchdogBootsMax && now - *unwell_since_ >= kPatienceMs) {
      // Boots that cannot be counted might go on for ever, so the watchdog is still fed.
      const auto counted = files::write_file_atomic(options_.count_file, as_bytes(std::to_string(boots_ + 1)), 0600);
      if (!counted) {
        options_.log->error("containers are not well, but the machine is not booted: " + counted.error().message);
        unwell_since_ = now;
      } else {
        feeding_ = false;
        options_.log->error(
            "containers have not been well for ten minutes: the watchdog is not fed any more, the machine will boot");
      }
    }
  }
}

void Watchdog::feed() {
  if (fd_ >= 0 && feeding_ && ::write(fd_, "\0", 1) != 1)
    options_.log->warning(options_.device + " cannot be fed: " + std::strerror(errno));
  if (!options_.notify_socket.empty()) say("WATCHDOG=1");
}

// The protocol of sd_notify(3): one datagram.
void Watchdog::say(const char* text) const {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  const auto& path = options_.notify_socket;
  if (path.size() >= sizeof to.sun_path) return;
  std::memcpy(to.sun_path, path.data(), path.size());
  if (path.front() == '@') to.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  (void)::sendto(fd, text, std::strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to),
                 size);
  ::close(fd);
}

void Watchdog::stop() {
  if (fd_ < 0) return;
  // The magic close of the kernel's watchdog API. With nowayout the watchdog runs on.
  static_cast<void>(!::write(fd_, "V", 1));
  ::close(std::exchange(fd_, -1));
}

std::optional<MonotonicMs> Watchdog::next_deadline() const {
  if (every_ms_ == 0) return std::nullopt;
  return fed_ + every_ms_;
}

}  // namespace instar::device

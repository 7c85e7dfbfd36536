#include "device-client/clock_watch.hpp"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "core/base/limits.hpp"

namespace instar::device {
namespace {

constexpr time_t kYear2100 = 4'102'444'800;

}  // namespace

ClockWatch::ClockWatch() : fd_(::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC)) {
  arm();
}

ClockWatch::~ClockWatch() {
  if (fd_ >= 0) ::close(fd_);
}

// A timer that is not meant to end: the kernel cancels it when the clock is set.
void ClockWatch::arm() const noexcept {
  itimerspec until{};
  until.it_value.tv_sec = kYear2100;
  if (fd_ >= 0) ::timerfd_settime(fd_, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &until, nullptr);
}

std::optional<revision::LocalTime> ClockWatch::take_change(const revision::LocalTime& local, Now now) {
  std::uint64_t ends = 0;
  if (fd_ >= 0 && ::read(fd_, &ends, sizeof ends) < 0 && errno == ECANCELED) arm();
  const auto step = (now.wall - told_at_.wall) - (now.monotonic - told_at_.monotonic);
  const bool was_set = std::abs(step) > limits::kClockStepMsMin;
  if (told_ && told_->utc_offset_s == local.utc_offset_s && told_->clock == local.clock && !was_set)
    return std::nullopt;
  told_ = local;
  told_at_ = now;
  return local;
}

}  // namespace instar::device

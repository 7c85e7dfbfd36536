#include "broker-plugin/mosquitto/waker.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace instar::broker {
namespace {

constexpr long kAgainNs = 1'000'000;

void on_wake(int) {}

// Signals that a Waker of this process used before, and that are ignored since. Another Waker may use them.
std::array<std::atomic<bool>, _NSIG> had{};

bool is_free(int number, const struct sigaction& now) noexcept {
  return now.sa_handler == SIG_DFL || (now.sa_handler == SIG_IGN && had[static_cast<std::size_t>(number)]);
}

// A timer whose signal goes to the calling thread, even if other threads do not block the signal.
bool make_timer(int signal, timer_t& timer) {
  struct sigevent event {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = signal;
  event._sigev_un._tid = static_cast<pid_t>(::syscall(SYS_gettid));
  return ::timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
}

void set_timer(timer_t timer, long every_ns) noexcept {
  struct itimerspec times {};
  times.it_value.tv_nsec = every_ns;
  times.it_interval.tv_nsec = every_ns;
  (void)::timer_settime(timer, 0, &times, nullptr);
}

}  // namespace

Result<std::unique_ptr<Waker>> Waker::install() {
  for (int number = SIGRTMIN + 5; number <= SIGRTMAX; ++number) {
    struct sigaction before {};
    if (::sigaction(number, nullptr, &before) != 0 || !is_free(number, before)) continue;
    struct sigaction ours {};
    ours.sa_handler = on_wake;
    ours.sa_flags = SA_RESTART;
    ::sigemptyset(&ours.sa_mask);
    if (::sigaction(number, &ours, nullptr) != 0) continue;
    timer_t again{};
    if (!make_timer(number, again)) {
      (void)::sigaction(number, &before, nullptr);
      return fail(Code::unavailable,
                  "no timer can be had to wake the broker's loop with: the limit on pending signals may be spent");
    }
    return std::unique_ptr<Waker>(new Waker(::pthread_self(), number, again, before));
  }
  return fail(Code::unavailable, "no real-time signal is free to wake the broker's loop with");
}

Waker::~Waker() {
  (void)::timer_delete(again_);
  // The default action for a signal that is still on its way would end the process.
  before_.sa_handler = SIG_IGN;
  had[static_cast<std::size_t>(signal_)] = true;
  ::sigaction(signal_, &before_, nullptr);
}

void Waker::wake() noexcept {
  if (pending_.exchange(true, std::memory_order_acq_rel)) return;
  (void)::pthread_kill(thread_, signal_);
  set_timer(again_, kAgainNs);
}

// The timer is stopped first. A wake() in between finds `pending_` still true and sends nothing: its work is found
// anyway, because the caller looks for work next.
void Waker::awake() noexcept {
  if (!pending_.load(std::memory_order_acquire)) return;
  set_timer(again_, 0);
  pending_.store(false, std::memory_order_release);
}

}  // namespace instar::broker

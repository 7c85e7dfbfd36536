#include "broker-plugin/mosquitto/waker.hpp"

namespace instar::broker {
namespace {

void on_wake(int) {}

}  // namespace

Result<std::unique_ptr<Waker>> Waker::install() {
  for (int number = SIGRTMIN + 5; number <= SIGRTMAX; ++number) {
    struct sigaction before {};
    if (::sigaction(number, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) continue;
    struct sigaction ours {};
    ours.sa_handler = on_wake;
    ours.sa_flags = SA_RESTART;
    ::sigemptyset(&ours.sa_mask);
    if (::sigaction(number, &ours, nullptr) != 0) continue;
    return std::unique_ptr<Waker>(new Waker(::pthread_self(), number, before));
  }
  return fail(Code::unavailable, "no real-time signal is free to wake the broker's loop with");
}

Waker::~Waker() {
  // A signal still on its way must not meet the default action, which ends the process.
  before_.sa_handler = SIG_IGN;
  ::sigaction(signal_, &before_, nullptr);
}

void Waker::wake() noexcept {
  if (!pending_.exchange(true, std::memory_order_acq_rel)) (void)::pthread_kill(thread_, signal_);
}

}  // namespace instar::broker

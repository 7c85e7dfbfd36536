// Wakes the broker's main loop from another thread, so that what has become durable is acknowledged at once and not when the
// loop's 100 ms have passed. A signal with an empty handler, sent to the main thread, ends its epoll_wait.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <memory>

#include "core/base/result.hpp"

namespace instar::broker {

class Waker {
 public:
  // On the thread that is to be woken. Takes the first free signal from SIGRTMIN+5 on. Errors: unavailable.
  [[nodiscard]] static Result<std::unique_ptr<Waker>> install();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Any thread. Many calls before the next awake() send one signal.
  void wake() noexcept;
  // The woken thread, before it looks for work.
  void awake() noexcept { pending_.store(false, std::memory_order_release); }

 private:
  Waker(pthread_t thread, int signal, const struct sigaction& before) : thread_(thread), signal_(signal), before_(before) {}
  pthread_t thread_;
  int signal_;
  struct sigaction before_;
  std::atomic<bool> pending_{false};
};

}  // namespace instar::broker

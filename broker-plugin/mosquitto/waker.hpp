// Wakes the broker's main loop from another thread, so that an ack goes out as soon as a report is durable, and not
// after the loop's 100 ms. A signal with an empty handler, sent to the main thread, ends its epoll_wait.
//
// A signal that arrives between the loop's last look at the store and its epoll_wait has no effect. So a timer sends it
// again every millisecond until the loop has looked.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <atomic>
#include <memory>

#include "core/base/result.hpp"

namespace instar::broker {

class Waker {
 public:
  // To be called on the thread that is to be woken. Takes the first free signal from SIGRTMIN+5 on; the destructor
  // gives it back.
  // Errors: unavailable.
  [[nodiscard]] static Result<std::unique_ptr<Waker>> install();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // May be called by any thread. Many calls before the next awake() send one signal.
  void wake() noexcept;
  // To be called by the woken thread, before it looks for work.
  void awake() noexcept;

 private:
  Waker(pthread_t thread, int signal, timer_t again, const struct sigaction& before)
      : thread_(thread), signal_(signal), again_(again), before_(before) {}
  pthread_t thread_;
  int signal_;
  timer_t again_;
  struct sigaction before_;
  std::atomic<bool> pending_{false};
};

}  // namespace instar::broker

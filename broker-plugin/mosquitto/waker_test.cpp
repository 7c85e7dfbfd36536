#include "broker-plugin/mosquitto/waker.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace instar::broker {
namespace {

constexpr int kHangsMs = 5 * 60'000;

// A poll that would wait for minutes ends because of the signal. The sender repeats the signal until the poll has
// ended, because one that comes before the poll has begun does not end it.
TEST(Waker, EndsAWaitOfTheThreadThatInstalledIt) {
  auto waker = Waker::install();
  ASSERT_TRUE(waker.has_value());
  std::atomic<bool> done{false};
  std::thread other([&] {
    while (!done) {
      (*waker)->awake();
      (*waker)->wake();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  const int rc = ::poll(nullptr, 0, kHangsMs);
  const int error = errno;
  done = true;
  other.join();
  EXPECT_EQ(rc, -1);
  EXPECT_EQ(error, EINTR);
}

TEST(Waker, EndsAWaitThatBeginsAfterTheSignalHasCome) {
  auto waker = Waker::install();
  ASSERT_TRUE(waker.has_value());
  (*waker)->wake();
  EXPECT_EQ(::poll(nullptr, 0, kHangsMs), -1);
  EXPECT_EQ(errno, EINTR);
  (*waker)->awake();
  (*waker)->wake();
  EXPECT_EQ(::poll(nullptr, 0, kHangsMs), -1);
}

TEST(Waker, SendsNoMoreSignalsOnceTheThreadIsAwake) {
  auto waker = Waker::install();
  ASSERT_TRUE(waker.has_value());
  (*waker)->wake();
  (*waker)->awake();
  EXPECT_EQ(::poll(nullptr, 0, 20), 0);
}

TEST(Waker, ASignalMayBeUsedAgain) {
  for (int i = 0; i < 2 * (SIGRTMAX - SIGRTMIN); ++i) ASSERT_TRUE(Waker::install().has_value()) << i;
}

volatile sig_atomic_t foreign_count = 0;
void foreign(int) {
  foreign_count = foreign_count + 1;
}

TEST(Waker, DoesNotUseASignalThatHasAHandler) {
  struct sigaction before {};
  struct sigaction theirs {};
  theirs.sa_handler = foreign;
  ASSERT_EQ(::sigaction(SIGRTMIN + 5, &theirs, &before), 0);
  {
    auto waker = Waker::install();
    ASSERT_TRUE(waker.has_value());
    (*waker)->wake();
    EXPECT_EQ(foreign_count, 0);
  }
  ::raise(SIGRTMIN + 5);
  EXPECT_EQ(foreign_count, 1);
  ::sigaction(SIGRTMIN + 5, &before, nullptr);
}

TEST(Waker, SignalAfterTheEndIsHarmless) {
  int number = 0;
  {
    auto waker = Waker::install();
    ASSERT_TRUE(waker.has_value());
    for (int i = SIGRTMIN + 5; i <= SIGRTMAX && number == 0; ++i) {
      struct sigaction now {};
      ::sigaction(i, nullptr, &now);
      if (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN) number = i;
    }
  }
  ASSERT_NE(number, 0);
  EXPECT_EQ(::raise(number), 0);
}

}  // namespace
}  // namespace instar::broker

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "broker-plugin/opener.hpp"
#include "core/trust/envelope.hpp"

namespace instar::broker {
namespace {

constexpr std::size_t kMany = 2'000;
// Nothing that works takes so long, however busy the machine is.
constexpr std::chrono::minutes kHangs{5};

// What the pool wakes: counts, and keeps the pool's thread while it is shut.
class Doorbell {
 public:
  explicit Doorbell(bool shut) : shut_(shut) {}
  void ring() {
    std::unique_lock lock(mutex_);
    ++rings_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !shut_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    shut_ = false;
    changed_.notify_all();
  }
  std::size_t rings() {
    const std::lock_guard lock(mutex_);
    return rings_;
  }
  // Waits for more than `rings`.
  bool rings_after(std::size_t rings) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kHangs, [&] { return rings_ > rings; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool shut_;
  std::size_t rings_ = 0;
};

// Reports signed by another key take as long as any, and are refused: enough to see when, and in which order, callbacks
// come.
class OpenerPoolTest : public testing::Test {
 protected:
  void ask(Opener& opener, std::size_t number) {
    const auto device = DeviceId::parse("dev-" + std::to_string(number % 7)).value();
    opener.report(device, sealed_, key_.public_key(), [this, number](const Result<wire::Report>& report) {
      EXPECT_FALSE(report.has_value());
      answered_.push_back(number);
    });
  }
  trust::SecretKey key_ = trust::SecretKey::from_seed(Bytes(32, 1)).value();
  Bytes sealed_ =
      trust::seal(trust::Kind::report, as_bytes("report"), trust::SecretKey::from_seed(Bytes(32, 2)).value());
  std::vector<std::size_t> answered_;
};

TEST_F(OpenerPoolTest, KeepsTheOrderOfEachDevice) {
  Doorbell bell(false);
  const auto opener = make_opener_pool(3, [&] { bell.ring(); });
  for (std::size_t i = 0; i < kMany; ++i) ask(*opener, i);
  for (std::size_t rings = 0; opener->pending() > 0; opener->poll()) {
    ASSERT_TRUE(bell.rings_after(rings)) << opener->pending() << " are left, and nobody is woken for them";
    rings = bell.rings();
  }
  EXPECT_EQ(answered_.size(), kMany);
  std::vector<std::size_t> last(7, 0);
  for (const auto number : answered_) {
    EXPECT_LE(last[number % 7], number);
    last[number % 7] = number;
  }
}

TEST_F(OpenerPoolTest, NeverKeepsItsOwnerForMoreThanALittleAndWakesItForTheRest) {
  Doorbell bell(true);
  const auto opener = make_opener_pool(1, [&] { bell.ring(); });
  // What has come in since the last look may be answered by the next one; from then on it is a little at a time. The
  // pool's thread is kept at the first, so that all others are still to come at that look.
  for (std::size_t i = 0; i < kMany; ++i) ask(*opener, i);
  ASSERT_TRUE(bell.rings_after(0));
  EXPECT_EQ(opener->poll(), 1U);
  EXPECT_EQ(opener->pending(), kMany - 1);
  auto rings = bell.rings();
  bell.open();
  // An owner that looks late finds more than a little. How late that is differs from machine to machine.
  std::size_t ran = 0;
  for (std::chrono::milliseconds pause{1}; ran < 32 && pause < kHangs; pause *= 2) {
    std::this_thread::sleep_for(pause);
    rings = bell.rings();
    ran = opener->poll();
  }
  EXPECT_EQ(ran, 32U);
  while (opener->pending() > 0) {
    ASSERT_TRUE(bell.rings_after(rings)) << opener->pending() << " are left, and nobody is woken for them";
    rings = bell.rings();
    ran = opener->poll();
    EXPECT_LE(ran, 32U);
  }
  EXPECT_EQ(answered_.size(), kMany);
}

}  // namespace
}  // namespace instar::broker

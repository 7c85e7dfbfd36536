#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "broker-plugin/opener.hpp"
#include "core/trust/envelope.hpp"

namespace instar::broker {
namespace {

constexpr std::size_t kMany = 2'000;

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
  template <typename Poll>
  void poll_until(std::size_t count, Poll poll) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (answered_.size() < count && std::chrono::steady_clock::now() < patience) {
      poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(answered_.size(), count);
  }

  trust::SecretKey key_ = trust::SecretKey::from_seed(Bytes(32, 1)).value();
  Bytes sealed_ =
      trust::seal(trust::Kind::report, as_bytes("report"), trust::SecretKey::from_seed(Bytes(32, 2)).value());
  std::vector<std::size_t> answered_;
  std::atomic<std::size_t> woken_{0};
};

TEST_F(OpenerPoolTest, KeepsTheOrderOfEachDevice) {
  const auto opener = make_opener_pool(3, [] {});
  for (std::size_t i = 0; i < kMany; ++i) ask(*opener, i);
  poll_until(kMany, [&] { opener->poll(); });
  EXPECT_EQ(opener->pending(), 0U);
  std::vector<std::size_t> last(7, 0);
  for (const auto number : answered_) {
    EXPECT_LE(last[number % 7], number);
    last[number % 7] = number;
  }
}

TEST_F(OpenerPoolTest, NeverKeepsItsOwnerForMoreThanALittleAndWakesItForTheRest) {
  const auto opener = make_opener_pool(2, [this] { ++woken_; });
  // What has come in since the last look may be answered by the next one; from then on it is a little at a time. On a
  // busy machine this thread may stand still until all signatures are checked: then once more.
  std::size_t asked = 0;
  for (int round = 0; round < 50 && opener->pending() <= 64; ++round) {
    poll_until(asked, [&] { opener->poll(); });
    for (std::size_t i = 0; i < kMany; ++i) ask(*opener, asked++);
    opener->poll();
  }
  ASSERT_GT(opener->pending(), 64U) << "signatures were checked faster than they were asked for";
  std::this_thread::sleep_for(std::chrono::milliseconds(1'000));
  const auto before = woken_.load();
  EXPECT_EQ(opener->poll(), 32U);
  EXPECT_EQ(woken_, before + 1);
  std::size_t most = 0;
  poll_until(asked, [&] { most = std::max(most, opener->poll()); });
  EXPECT_EQ(most, 32U);
}

}  // namespace
}  // namespace instar::broker

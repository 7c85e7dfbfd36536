#include "mqtt/event_queue.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

#include "core/base/limits.hpp"

namespace instar::mqtt {
namespace {

using wire::Qos;
using wire::Retain;

Event message(std::string topic, Qos qos) {
  return {EventKind::message, {std::move(topic), {}, qos, Retain::no}, {}};
}

bool is_readable(const EventQueue& queue) {
  pollfd one{queue.fd(), POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

TEST(EventQueue, KeepsTheOrderAndSignalsWhileThereIsSomething) {
  EventQueue queue(4);
  EXPECT_FALSE(is_readable(queue));
  queue.push(message("a", Qos::at_least_once));
  queue.push(message("b", Qos::at_least_once));
  EXPECT_TRUE(is_readable(queue));
  EXPECT_EQ(queue.pop()->message.topic, "a");
  EXPECT_TRUE(is_readable(queue));
  EXPECT_EQ(queue.pop()->message.topic, "b");
  EXPECT_FALSE(is_readable(queue));
  EXPECT_FALSE(queue.pop().has_value());
}

TEST(EventQueue, DropsQos0PastItsBoundAndCountsIt) {
  EventQueue queue(1);
  queue.push(message("a", Qos::at_most_once));
  queue.push(message("b", Qos::at_most_once));
  queue.push({EventKind::disconnected, {}, "always fits"});
  EXPECT_EQ(queue.dropped(), 1U);
  EXPECT_EQ(queue.pop()->message.topic, "a");
  EXPECT_EQ(queue.pop()->reason, "always fits");
}

TEST(EventQueue, BytesHaveABoundToo) {
  EventQueue queue(1'000);
  const auto large = [](Qos qos) {
    return Event{EventKind::message, {"t", Bytes(limits::kEventBytesMax / 2), qos, Retain::no}, {}};
  };
  queue.push(large(Qos::at_most_once));
  queue.push(large(Qos::at_least_once));
  queue.push(message("no bytes", Qos::at_most_once));
  queue.push(large(Qos::at_most_once));
  EXPECT_EQ(queue.dropped(), 1U);
  std::thread pushing([&] { queue.push(large(Qos::at_least_once)); });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.pop().has_value());
  pushing.join();
  EXPECT_TRUE(queue.pop().has_value());
  EXPECT_FALSE(queue.pop().has_value());
  queue.push(large(Qos::at_most_once));
  EXPECT_TRUE(queue.pop().has_value()) << "what was taken has made room";
}

TEST(EventQueue, MakesQos1WaitForRoom) {
  EventQueue queue(1);
  queue.push(message("a", Qos::at_least_once));
  std::thread pushing([&] { queue.push(message("b", Qos::at_least_once)); });
  EXPECT_EQ(queue.pop()->message.topic, "a");
  pushing.join();
  EXPECT_EQ(queue.pop()->message.topic, "b");
}

TEST(EventQueue, AcceptsQos1PastItsBoundWhileTheOwnerIsInsideTheLibrary) {
  EventQueue queue(1);
  queue.push(message("a", Qos::at_least_once));
  const EventQueue::NoWaiting guard(queue);
  queue.push(message("b", Qos::at_least_once));
  EXPECT_TRUE(queue.pop().has_value());
  EXPECT_TRUE(queue.pop().has_value());
}

TEST(EventQueue, WakesAWaitingThreadWhenItCloses) {
  EventQueue queue(1);
  queue.push(message("a", Qos::at_least_once));
  std::thread pushing([&] { queue.push(message("b", Qos::at_least_once)); });
  queue.close();
  pushing.join();
  EXPECT_FALSE(queue.pop().has_value());
  EXPECT_EQ(queue.fd(), -1);
}

}  // namespace
}  // namespace instar::mqtt

// What is sent arrives, once for each subscription and as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "mqtt/testing/client_fixture.hpp"

namespace instar::mqtt {
namespace {

TEST(Messages, AreExchangedByTopicAndFilter) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "one");
  options.subscriptions = {{"a/+", 1}, {"b", 0}};
  const auto client = make_client(options);
  EXPECT_FALSE(client->is_connected());
  EXPECT_EQ(client->publish(text("a/x", "early")).error().code, Code::unavailable);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  EXPECT_TRUE(client->is_connected());
  ASSERT_TRUE(client->publish(text("a/x", "hello", 1, true)).has_value());
  const auto received = wait_for(*client, EventKind::message);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->message.topic, "a/x");
  EXPECT_EQ(as_text(received->message.payload), "hello");
  EXPECT_EQ(received->message.qos, 1);
  EXPECT_FALSE(received->message.retained);
  const auto sent = client->publish({"b", {}, 0, false});
  ASSERT_TRUE(sent.has_value()) << sent.error().message;
  const auto empty = wait_for(*client, EventKind::message);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->message.payload.empty());
}

TEST(Messages, ComeWithTheLowerQosOfSenderAndSubscription) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "qos");
  options.subscriptions = {{"to0", 0}, {"to1", 1}};
  const auto client = connected_client(options);
  for (const char* topic : {"to0", "to1"})
    for (const int qos : {0, 1}) {
      ASSERT_TRUE(client->publish(text(topic, "x", qos)).has_value());
      const auto received = wait_for(*client, EventKind::message);
      ASSERT_TRUE(received);
      EXPECT_EQ(received->message.qos, std::string(topic) == "to1" ? qos : 0) << topic << " from " << qos;
    }
}

TEST(Messages, ThatAreRetainedReachWhoSubscribesLater) {
  BrokerFixture broker;
  broker.start();
  const auto early = connected_client(options_for(broker, "early"));
  ASSERT_TRUE(early->publish(text("a/x", "kept", 1, true)).has_value());
  ASSERT_TRUE(early->subscribe({"a/#", 1}).has_value());
  EXPECT_EQ(next_text(*early, "a/x"), "kept");
  const auto late = connected_client(options_for(broker, "late"));
  ASSERT_TRUE(late->subscribe({"a/#", 1}).has_value());
  const auto retained = wait_for(*late, EventKind::message);
  ASSERT_TRUE(retained);
  EXPECT_TRUE(retained->message.retained);
  // An empty one takes it away: what a later subscriber gets first is then the marker.
  ASSERT_TRUE(early->publish({"a/x", {}, 1, true}).has_value());
  ASSERT_TRUE(early->publish(text("a/y", "marker", 1, true)).has_value());
  EXPECT_EQ(next_text(*early, "a/y"), "marker");
  auto options = options_for(broker, "last");
  options.subscriptions = {{"a/#", 1}};
  const auto last = connected_client(options);
  const auto first = wait_for(*last, EventKind::message);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->message.topic, "a/y");
}

TEST(Messages, OfTheLargestSizeArriveByteForByte) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "big");
  options.subscriptions = {{"big", 0}};
  const auto client = connected_client(options);
  Bytes payload(128 * 1024);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
  ASSERT_TRUE(client->publish({"big", payload, 0, false}).has_value());
  const auto received = wait_for(*client, EventKind::message);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->message.payload, payload);
}

TEST(Messages, EndWhenTheSubscriptionIsTakenBackAndStayAway) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "leaves");
  options.subscriptions = {{"x", 1}, {"y", 1}};
  const auto client = connected_client(options);
  ASSERT_TRUE(client->unsubscribe("x").has_value());
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(client->publish(text("x", "gone")).has_value());
    ASSERT_TRUE(client->publish(text("y", "stays")).has_value());
    const auto received = wait_for(*client, EventKind::message);
    ASSERT_TRUE(received);
    EXPECT_EQ(received->message.topic, "y");
    broker.kill();
    ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
    broker.start();
    ASSERT_TRUE(wait_for(*client, EventKind::connected));
  }
}

TEST(Messages, ASlowOwnerLosesQos0CountedAndNoQos1) {
  BrokerFixture broker("allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n");
  broker.start();
  auto options = options_for(broker, "slow");
  options.subscriptions = {{"q0", 0}, {"q1", 1}};
  options.queue_events_max = 4;
  const auto slow = connected_client(options);

  // The messages come from outside this process: Paho has one receive thread for all its clients.
  const std::string pub = "mosquitto_pub -h localhost -p " + std::to_string(broker.port());
  ASSERT_EQ(std::system(("seq 1 50 | " + pub + " -t q0 -q 0 -l && seq 1 50 | " + pub + " -t q1 -q 1 -l").c_str()), 0);
  const auto deadline = std::chrono::steady_clock::now() + kHungAfter;
  while (slow->dropped_messages() < 46 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(slow->dropped_messages(), 46U) << "four fit";
  // Paho's thread now stands in the callback. Publishing must not wait for it.
  ASSERT_TRUE(slow->publish(text("elsewhere", "x", 0)).has_value());
  for (int expected = 1; expected <= 50; ++expected) {
    EXPECT_EQ(next_text(*slow, "q1"), std::to_string(expected));
    ASSERT_TRUE(slow->publish(text("elsewhere", "x", 1)).has_value());
  }
}

TEST(Messages, PastTheBufferAreRefusedInWordsAndNoneOfTheOthersIsLost) {
  BrokerFixture broker("allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n");
  broker.start();
  auto options = options_for(broker, "busy");
  options.subscriptions = {{"end", 1}};
  const auto client = connected_client(options);
  broker.stand_still();
  // More than the sockets take, before the buffer of some hundred messages is full.
  const Bytes payload(64 * 1024);
  Status status;
  int accepted = 0;
  for (; status.has_value() && accepted < 100'000; ++accepted) status = client->publish({"x", payload, 1, false});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::unavailable);
  EXPECT_EQ(status.error().message, "cannot publish on x now: No more messages can be buffered");
  broker.continue_running();
  const auto deadline = std::chrono::steady_clock::now() + kHungAfter;
  while (!client->publish(text("end", "of them")).has_value() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(next_text(*client, "end"), "of them");
}

}  // namespace
}  // namespace instar::mqtt

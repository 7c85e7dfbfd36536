// Messages arrive unchanged, once for each subscription.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "mqtt/testing/client_fixture.hpp"

namespace instar::mqtt {
namespace {

using wire::Qos;
using wire::Retain;

TEST(Messages, AreExchangedByTopicAndFilter) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "one");
  options.subscriptions = {{"a/+", Qos::at_least_once}, {"b", Qos::at_most_once}};
  const auto client = make_client(options);
  EXPECT_FALSE(client->is_connected());
  EXPECT_EQ(client->publish(text("a/x", "early")).error().code, Code::unavailable);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  EXPECT_TRUE(client->is_connected());
  ASSERT_TRUE(client->publish(text("a/x", "hello", Qos::at_least_once, Retain::yes)).has_value());
  const auto received = wait_for(*client, EventKind::message);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->message.topic, "a/x");
  EXPECT_EQ(as_text(received->message.payload), "hello");
  EXPECT_EQ(received->message.qos, Qos::at_least_once);
  EXPECT_EQ(received->message.retain, Retain::no);
  const auto sent = client->publish({"b", {}, Qos::at_most_once, Retain::no});
  ASSERT_TRUE(sent.has_value()) << sent.error().message;
  const auto empty = wait_for(*client, EventKind::message);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->message.payload.empty());
}

TEST(Messages, AreCountedUntilTheBrokerHasAcknowledgedThem) {
  BrokerFixture broker;
  broker.start();
  const auto client = connected_client(options_for(broker, "counted"));
  EXPECT_EQ(client->unacknowledged(), 0U);
  broker.stand_still();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client->publish(text("a", "x")).has_value());
  EXPECT_EQ(client->unacknowledged(), 3U);
  broker.continue_running();
  const auto deadline = std::chrono::steady_clock::now() + kHungAfter;
  while (client->unacknowledged() > 0 && std::chrono::steady_clock::now() < deadline)
    static_cast<void>(client->take(10));
  EXPECT_EQ(client->unacknowledged(), 0U);
}

TEST(Messages, ArriveWithTheLowerQosOfSenderAndSubscription) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "qos");
  options.subscriptions = {{"to0", Qos::at_most_once}, {"to1", Qos::at_least_once}};
  const auto client = connected_client(options);
  for (const char* topic : {"to0", "to1"})
    for (const Qos qos : {Qos::at_most_once, Qos::at_least_once}) {
      ASSERT_TRUE(client->publish(text(topic, "x", qos)).has_value());
      const auto received = wait_for(*client, EventKind::message);
      ASSERT_TRUE(received);
      EXPECT_EQ(received->message.qos, std::string(topic) == "to1" ? qos : Qos::at_most_once)
          << topic << " from " << static_cast<int>(qos);
    }
}

TEST(Messages, ThatAreRetainedReachALaterSubscriber) {
  BrokerFixture broker;
  broker.start();
  const auto early = connected_client(options_for(broker, "early"));
  ASSERT_TRUE(early->publish(text("a/x", "kept", Qos::at_least_once, Retain::yes)).has_value());
  ASSERT_TRUE(early->subscribe({"a/#", Qos::at_least_once}).has_value());
  EXPECT_EQ(next_text(*early, "a/x"), "kept");
  const auto late = connected_client(options_for(broker, "late"));
  ASSERT_TRUE(late->subscribe({"a/#", Qos::at_least_once}).has_value());
  const auto retained = wait_for(*late, EventKind::message);
  ASSERT_TRUE(retained);
  EXPECT_EQ(retained->message.retain, Retain::yes);
  // An empty message removes it, so a later subscriber gets the marker first.
  ASSERT_TRUE(early->publish({"a/x", {}, Qos::at_least_once, Retain::yes}).has_value());
  ASSERT_TRUE(early->publish(text("a/y", "marker", Qos::at_least_once, Retain::yes)).has_value());
  EXPECT_EQ(next_text(*early, "a/y"), "marker");
  auto options = options_for(broker, "last");
  options.subscriptions = {{"a/#", Qos::at_least_once}};
  const auto last = connected_client(options);
  const auto first = wait_for(*last, EventKind::message);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->message.topic, "a/y");
}

TEST(Messages, OfTheLargestSizeArriveByteForByte) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "big");
  options.subscriptions = {{"big", Qos::at_most_once}};
  const auto client = connected_client(options);
  Bytes payload(128 * 1024);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
  ASSERT_TRUE(client->publish({"big", payload, Qos::at_most_once, Retain::no}).has_value());
  const auto received = wait_for(*client, EventKind::message);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->message.payload, payload);
}

TEST(Messages, EndForGoodWhenTheSubscriptionIsRemoved) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "leaves");
  options.subscriptions = {{"x", Qos::at_least_once}, {"y", Qos::at_least_once}};
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

TEST(Messages, ASlowOwnerLosesCountedQos0AndNoQos1) {
  BrokerFixture broker("allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n");
  broker.start();
  auto options = options_for(broker, "slow");
  options.subscriptions = {{"q0", Qos::at_most_once}, {"q1", Qos::at_least_once}};
  options.queue_events_max = 4;
  const auto slow = connected_client(options);

  // The messages come from outside this process: Paho has one receive thread for all its clients.
  const std::string pub = "mosquitto_pub -h localhost -p " + std::to_string(broker.port());
  ASSERT_EQ(std::system(("seq 1 50 | " + pub + " -t q0 -q 0 -l && seq 1 50 | " + pub + " -t q1 -q 1 -l").c_str()), 0);
  const auto deadline = std::chrono::steady_clock::now() + kHungAfter;
  while (slow->dropped_messages() < 46 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(slow->dropped_messages(), 46U) << "four fit";
  // Paho's thread now waits in the callback. Publishing must not wait for it.
  ASSERT_TRUE(slow->publish(text("elsewhere", "x", Qos::at_most_once)).has_value());
  for (int expected = 1; expected <= 50; ++expected) {
    EXPECT_EQ(next_text(*slow, "q1"), std::to_string(expected));
    ASSERT_TRUE(slow->publish(text("elsewhere", "x", Qos::at_least_once)).has_value());
  }
}

TEST(Messages, PastTheBufferAreRefusedAndNoneOfTheOthersIsLost) {
  BrokerFixture broker("allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n");
  broker.start();
  auto options = options_for(broker, "busy");
  options.subscriptions = {{"end", Qos::at_least_once}};
  const auto client = connected_client(options);
  broker.stand_still();
  // More than the sockets take, before the buffer of some hundred messages is full.
  const Bytes payload(64 * 1024);
  Status status;
  int accepted = 0;
  for (; status.has_value() && accepted < 100'000; ++accepted)
    status = client->publish({"x", payload, Qos::at_least_once, Retain::no});
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

// Each failure is reported with a text that is the same with every adapter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "mqtt/testing/client_fixture.hpp"
#include "mqtt/testing/fake_broker.hpp"

namespace instar::mqtt {
namespace {

using wire::Qos;
using wire::Retain;

TEST(Failures, NobodyListens) {
  const BrokerFixture broker;  // not started
  EXPECT_TRUE(fails_with(options_for(broker, "x"), "nobody answers at localhost:" + std::to_string(broker.port())));
}

TEST(Failures, ANameThatNobodyKnows) {
  EXPECT_TRUE(fails_with(options_for("tcp://no-such-host.invalid:1883", "x"),
                         "the name in no-such-host.invalid:1883 cannot be resolved"));
  EXPECT_TRUE(fails_with(options_for("ssl://no-such-host.invalid:8883", "x"),
                         "the name in no-such-host.invalid:8883 cannot be resolved"));
}

TEST(Failures, ABrokerThatHangsUp) {
  const FakeBroker broker(FakeAnswer::hangs_up);
  EXPECT_TRUE(
      fails_with(options_for(broker.uri(), "x"), broker.uri().substr(6) + " closed the connection without an answer"));
}

TEST(Failures, ABrokerThatNeverAnswers) {
  const FakeBroker broker(FakeAnswer::nothing);
  auto options = options_for(broker.uri(), "x");
  options.connect_timeout_s = 1;
  EXPECT_TRUE(fails_with(options, "no answer from " + broker.uri().substr(6) + " within 1 s"));
}

TEST(Failures, EachRefusalOfABroker) {
  const char* const words[] = {"the broker does not speak MQTT 3.1.1", "the broker refused the client id",
                               "the broker is not available", "the broker refused the user name or password",
                               "the broker does not authorize this client"};
  for (std::uint8_t code = 1; code <= 5; ++code) {
    const FakeBroker broker(FakeAnswer::refuses_connect, code);
    EXPECT_TRUE(fails_with(options_for(broker.uri(), "x"), words[code - 1]));
  }
}

std::size_t resident_pages() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  statm >> all >> resident;
  return resident;
}

// Its header is enough: what follows is never in memory.
TEST(Failures, APacketThatIsTooLargeEndsTheConnection) {
  const FakeBroker broker(FakeAnswer::sends_too_much);
  const auto client = connected_client(options_for(broker.uri(), "x"));
  const auto before = resident_pages();
  EXPECT_THAT(next_failure(*client),
              ::testing::HasSubstr("the broker sent a packet of 100000000 bytes, at most 262144"));
  EXPECT_LT(resident_pages() - before, 8'192U * 1'024 / 4'096) << "pages of 4 KiB: no 8 MiB of it";
}

TEST(Failures, WhatHasArrivedOfAMessageIsHandedOverToWhoTakesIt) {
  const FakeBroker broker(FakeAnswer::cuts_a_message);
  auto options = options_for(broker.uri(), "x");
  options.takes_cut_messages = true;
  const auto client = connected_client(options);
  bool is_lost = false;
  const auto cut = wait_for(*client, [&](const Event& event) {
    is_lost = is_lost || event.kind == EventKind::disconnected;
    return event.kind == EventKind::cut_off;
  });
  ASSERT_TRUE(cut);
  EXPECT_FALSE(is_lost) << "it comes before the loss";
  EXPECT_EQ(cut->message.topic, "t");
  EXPECT_EQ(as_text(cut->message.payload), std::string(40, 'x'));
  EXPECT_EQ(cut->bytes, 100U);
  EXPECT_TRUE(wait_for(*client, EventKind::disconnected));
}

TEST(Failures, ACutMessageIsNothingToOthers) {
  const FakeBroker broker(FakeAnswer::cuts_a_message);
  const auto client = connected_client(options_for(broker.uri(), "x"));
  const auto next = wait_for(*client, [](const Event& event) { return event.kind != EventKind::connected; });
  ASSERT_TRUE(next);
  EXPECT_EQ(next->kind, EventKind::disconnected);
}

TEST(Failures, ARefusedSubscription) {
  const FakeBroker broker(FakeAnswer::refuses_subscription);
  auto options = options_for(broker.uri(), "deaf");
  options.subscriptions = {{"secret/#", Qos::at_least_once}};
  const auto client = connected_client(options);
  EXPECT_EQ(next_failure(*client), "the broker refused the subscription to secret/#");
  EXPECT_FALSE(client->is_connected());
}

TEST(Failures, ARefusedSubscriptionThatIsNotNeededIsNone) {
  const FakeBroker broker(FakeAnswer::refuses_subscription);
  auto options = options_for(broker.uri(), "content");
  options.subscriptions = {{"extra", Qos::at_least_once, false}};
  const auto client = connected_client(options);
  const auto event = client->take(1'000);
  EXPECT_FALSE(event.has_value()) << event->reason;
  EXPECT_TRUE(client->is_connected());
}

TEST(Failures, AWrongPasswordAndNoneAndTheRightOne) {
  const BrokerFixture files;  // only its folder is used
  const std::string passwords = files.folder() + "/passwords";
  const std::string acl = files.folder() + "/acl";
  ASSERT_EQ(std::system(("mosquitto_passwd -b -c " + passwords + " ann secret").c_str()), 0);
  std::ofstream(acl) << "user ann\ntopic readwrite open\n";
  BrokerFixture broker("allow_anonymous false\npassword_file " + passwords + "\nacl_file " + acl + "\n");
  broker.start();
  auto options = options_for(broker, "ann-1");
  EXPECT_TRUE(fails_with(options, "the broker does not authorize this client"));
  options.username = "ann";
  options.password = "wrong";
  EXPECT_TRUE(fails_with(options, "the broker does not authorize this client"));  // Mosquitto's answer to it
  options.password = "secret";
  options.subscriptions = {{"open", Qos::at_least_once}, {"closed", Qos::at_least_once}};
  const auto right = connected_client(options);
  // A message that the ACL forbids is acknowledged and dropped.
  ASSERT_TRUE(right->publish(text("closed", "out")).has_value());
  ASSERT_TRUE(right->publish(text("open", "in")).has_value());
  const auto first = wait_for(*right, EventKind::message);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->message.topic, "open");
}

TEST(Failures, APacketThatIsTooLargeForTheBroker) {
  BrokerFixture broker("allow_anonymous true\nmax_packet_size 10000\n");
  broker.start();
  auto options = options_for(broker, "large");
  options.subscriptions = {{"x", Qos::at_most_once}};
  const auto client = connected_client(options);
  ASSERT_TRUE(client->publish({"x", Bytes(20'000), Qos::at_most_once, Retain::no}).has_value());
  EXPECT_EQ(next_failure(*client), "the connection was lost");
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  ASSERT_TRUE(client->publish(text("x", "small")).has_value());
  EXPECT_EQ(next_text(*client, "x"), "small");
}

}  // namespace
}  // namespace instar::mqtt

// What stands between a client and its broker is found by a connection of its own, and comes as an event after the
// failure. The words are those of fault.hpp; tests/integration has a row for each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "mqtt/testing/client_fixture.hpp"
#include "mqtt/testing/fake_broker.hpp"

namespace instar::mqtt {
namespace {

using ::testing::HasSubstr;
using wire::Qos;
using wire::Retain;

Event explanation(Client& client) {
  auto event = wait_for(client, EventKind::explained);
  return event ? std::move(*event) : Event{EventKind::explained, {}, "(nothing)"};
}

TEST(Explanations, ComeAfterEachFailure) {
  const BrokerFixture broker;  // not started
  const auto client = make_client(options_for(broker, "x"));
  ASSERT_TRUE(client->start().has_value());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
    const auto event = explanation(*client);
    EXPECT_EQ(event.fault, Fault::refused);
    EXPECT_THAT(event.reason,
                HasSubstr("nobody listens at localhost:" + std::to_string(broker.port()) + ": Connection refused. "));
  }
}

TEST(Explanations, DoNotKeepAClientFromABrokerThatComesBack) {
  BrokerFixture broker;
  const auto client = make_client(options_for(broker, "x"));
  ASSERT_TRUE(client->start().has_value());
  EXPECT_EQ(explanation(*client).fault, Fault::refused);
  broker.start();
  EXPECT_TRUE(wait_for(*client, EventKind::connected));
}

TEST(Explanations, NameALoginThatIsMissingOrWrong) {
  BrokerFixture broker("allow_anonymous false\n");
  broker.start();
  auto options = options_for(broker, "x");
  const auto without = make_client(options);
  ASSERT_TRUE(without->start().has_value());
  EXPECT_EQ(explanation(*without).fault, Fault::login_missing);
  options.username = "ann";
  options.password = "wrong";
  const auto with = make_client(options);
  ASSERT_TRUE(with->start().has_value());
  const auto event = explanation(*with);
  EXPECT_EQ(event.fault, Fault::login_refused);
  EXPECT_THAT(event.reason, HasSubstr("'ann'"));
}

TEST(Explanations, NameTheLimitThatAPacketWentPast) {
  BrokerFixture broker("allow_anonymous true\nmax_packet_size 10000\n");
  broker.start();
  const auto client = connected_client(options_for(broker, "large"));
  ASSERT_TRUE(client->publish({"x", Bytes(20'000), Qos::at_most_once, Retain::no}).has_value());
  const auto event = explanation(*client);
  EXPECT_EQ(event.fault, Fault::packet_too_large);
  EXPECT_THAT(event.reason, HasSubstr("at most 10000 bytes, and one of 200"));
  EXPECT_TRUE(wait_for(*client, EventKind::connected));
}

TEST(Explanations, NameARetainedMessageThatIsNotKept) {
  BrokerFixture broker("allow_anonymous true\nretain_available false\n");
  broker.start();
  const auto client = connected_client(options_for(broker, "keeper"));
  ASSERT_TRUE(client->publish(text("x", "1", Qos::at_least_once, Retain::yes)).has_value());
  EXPECT_EQ(explanation(*client).fault, Fault::no_retained);
  auto options = options_for(broker, "heir");
  options.will = text("will", "gone", Qos::at_least_once, Retain::yes);
  const auto heir = make_client(options);
  ASSERT_TRUE(heir->start().has_value());
  EXPECT_EQ(explanation(*heir).fault, Fault::no_retained);
}

TEST(Explanations, NameAPortWithoutWebSockets) {
  BrokerFixture plain;
  plain.start();
  const auto by_websockets = make_client(options_for(plain.uri("ws"), "x"));
  ASSERT_TRUE(by_websockets->start().has_value());
  EXPECT_EQ(explanation(*by_websockets).fault, Fault::no_websockets_there);
}

TEST(Explanations, NameATopicThatMayNotBeRead) {
  const FakeBroker broker(FakeAnswer::refuses_subscription);
  auto options = options_for(broker.uri(), "deaf");
  options.subscriptions = {{"secret/#", Qos::at_least_once}};
  const auto client = connected_client(options);
  const auto event = explanation(*client);
  EXPECT_EQ(event.fault, Fault::may_not_read);
  EXPECT_EQ(event.message.topic, "secret/#");
}

// The session is kept: what came meanwhile is delivered after the diagnosis has had the same client id.
TEST(Explanations, LeaveALastingSessionAsItWas) {
  BrokerFixture broker("allow_anonymous true\nmax_packet_size 10000\n");
  broker.start();
  auto options = options_for(broker, "lasting");
  options.clean_session = false;
  options.subscriptions = {{"x", Qos::at_least_once}};
  auto client = connected_client(options);
  ASSERT_TRUE(client->publish(text("x", "there")).has_value());
  EXPECT_EQ(next_text(*client, "x"), "there");
  ASSERT_TRUE(client->publish({"y", Bytes(20'000), Qos::at_most_once, Retain::no}).has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
  const auto other = connected_client(options_for(broker, "other"));
  ASSERT_TRUE(other->publish(text("x", "meanwhile")).has_value());
  EXPECT_EQ(next_text(*client, "x"), "meanwhile");
}

TEST(Explanations, OfASilenceNameTheRightThatIsMissing) {
  const BrokerFixture files;  // only its folder is used
  std::ofstream(files.folder() + "/acl") << "topic read answers\ntopic readwrite open\n";
  BrokerFixture broker("allow_anonymous true\nacl_file " + files.folder() + "/acl\n");
  broker.start();
  const auto client = connected_client(options_for(broker, "x"));
  client->find_out_why({text("closed", "?"), {"answers"}, false});
  auto event = explanation(*client);
  EXPECT_EQ(event.fault, Fault::may_not_write);
  EXPECT_THAT(event.reason, HasSubstr("write to closed"));
  client->find_out_why({text("open", "?"), {"answers"}, false});
  EXPECT_EQ(explanation(*client).fault, Fault::not_answered);
  client->find_out_why({text("open", "?"), {"open"}, false});
  EXPECT_EQ(explanation(*client).reason, "") << "it is answered";
  EXPECT_TRUE(client->is_connected()) << "another id was used";
}

TEST(Explanations, OfASilenceMayUseTheClientsOwnId) {
  BrokerFixture broker;
  broker.start();
  const auto client = connected_client(options_for(broker, "x"));
  client->find_out_why({text("open", "?"), {"answers"}, true});
  EXPECT_TRUE(wait_for(*client, EventKind::disconnected)) << "the broker ends the other connection with that id";
  EXPECT_EQ(explanation(*client).fault, Fault::not_answered);
  EXPECT_TRUE(wait_for(*client, EventKind::connected));
}

TEST(Explanations, NobodyWaitsForThemAtTheEnd) {
  const FakeBroker broker(FakeAnswer::nothing);
  auto options = options_for(broker.uri(), "x");
  options.connect_timeout_s = 1;
  auto client = make_client(options);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
  client->stop(0);
  client.reset();
}

}  // namespace
}  // namespace instar::mqtt

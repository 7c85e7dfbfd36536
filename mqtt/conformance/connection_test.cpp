// A connection begins, breaks, comes back, and ends when the owner wants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "mqtt/testing/client_fixture.hpp"

namespace instar::mqtt {
namespace {

using wire::Qos;
using wire::Retain;

TEST(Connection, IsTriedUntilABrokerIsThere) {
  BrokerFixture broker;  // not started yet
  const auto client = make_client(options_for(broker, "patient"));
  ASSERT_TRUE(client->start().has_value());
  for (int i = 0; i < 3; ++i) {
    const auto failed = wait_for(*client, EventKind::disconnected);
    ASSERT_TRUE(failed);
    EXPECT_FALSE(failed->reason.empty());
  }
  broker.start();
  EXPECT_TRUE(wait_for(*client, EventKind::connected));
}

TEST(Connection, SubscribesAgainAfterABrokerLostItsSessions) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "again");
  options.subscriptions = {{"x", Qos::at_least_once}};
  const auto client = connected_client(options);
  ASSERT_TRUE(client->subscribe({"y", Qos::at_least_once}).has_value());
  for (int round = 0; round < 3; ++round) {
    broker.kill();
    ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
    EXPECT_FALSE(client->is_connected());
    EXPECT_EQ(client->publish(text("x", "lost")).error().message, "not connected to " + broker.uri());
    broker.start();
    ASSERT_TRUE(wait_for(*client, EventKind::connected));
    for (const char* topic : {"x", "y"}) {
      ASSERT_TRUE(client->publish(text(topic, "back")).has_value());
      EXPECT_EQ(next_text(*client, topic), "back");
    }
  }
}

TEST(Connection, OfALastingSessionDeliversWhatCameMeanwhile) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "lasting");
  options.clean_session = false;
  options.subscriptions = {{"x", Qos::at_least_once}};
  auto client = connected_client(options);
  ASSERT_TRUE(client->publish(text("x", "before")).has_value());
  EXPECT_EQ(next_text(*client, "x"), "before");
  client->stop(60'000);
  client.reset();
  const auto other = connected_client(options_for(broker, "other"));
  ASSERT_TRUE(other->publish(text("x", "meanwhile")).has_value());
  ASSERT_TRUE(other->subscribe({"y", Qos::at_least_once}).has_value());
  ASSERT_TRUE(other->publish(text("y", "x is there")).has_value());
  EXPECT_EQ(next_text(*other, "y"), "x is there");
  EXPECT_EQ(next_text(*connected_client(options), "x"), "meanwhile");
}

// Longer than a test may take.
constexpr std::uint32_t kNeverMs = 1'000'000;

// A client whose connection has lasted, and is then ended: the broker has closed it for another one of that id.
std::unique_ptr<Client> lost_after_it_lasted(const Options& options) {
  auto client = connected_client(options);
  std::this_thread::sleep_for(std::chrono::milliseconds(5'500));  // from 5 s on it counts
  auto silent = options;
  silent.subscriptions.clear();
  auto other = connected_client(silent);
  EXPECT_TRUE(wait_for(*client, EventKind::disconnected));
  other->stop(60'000);
  return client;
}

TEST(Connection, ThatHadLastedComesBackAtOnce) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "lasting");
  options.reconnect_ms_min = options.reconnect_ms_max = kNeverMs;
  const auto client = lost_after_it_lasted(options);
  const auto next = wait_for(*client, [](const Event& event) { return event.kind != EventKind::message; });
  ASSERT_TRUE(next);
  EXPECT_EQ(next->kind, EventKind::connected) << "nothing is found out before: " << next->reason;
}

TEST(Connection, ThatComesBackToItsSessionIsNotSentAllThatIsRetainedAgain) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "kept");
  options.clean_session = false;
  options.subscriptions = {{"x", Qos::at_least_once}};
  const auto writer = connected_client(options_for(broker, "writer"));
  ASSERT_TRUE(writer->publish(text("x", "retained", Qos::at_least_once, Retain::yes)).has_value());
  const auto client = lost_after_it_lasted(options);
  const auto back = wait_for(*client, EventKind::connected);
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->is_lasting);
  ASSERT_TRUE(writer->publish(text("x", "news")).has_value());
  EXPECT_EQ(next_text(*client, "x"), "news");
}

TEST(Connection, BeginsWithAMessageThatItsOwnerHasForIt) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "opens");
  options.clean_session = false;
  options.subscriptions = {{"x", Qos::at_least_once}};
  const auto client = lost_after_it_lasted(options);
  client->open_with(text("x", "first", Qos::at_most_once));
  const auto back = wait_for(*client, EventKind::connected);
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->is_opened);
  EXPECT_TRUE(back->is_lasting);
  ASSERT_TRUE(client->publish(text("x", "second")).has_value());
  EXPECT_EQ(next_text(*client, "x"), "first");
  EXPECT_EQ(next_text(*client, "x"), "second");
}

TEST(Connection, SaysWhenItDidNotBeginWithAMessage) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "plain");
  options.subscriptions = {{"x", Qos::at_least_once}};
  const auto client = make_client(options);
  client->open_with(text("x", "early", Qos::at_most_once));
  ASSERT_TRUE(client->start().has_value());
  const auto first = wait_for(*client, EventKind::connected);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->is_opened);
  EXPECT_FALSE(first->is_lasting) << "the broker has no session, so nobody has heard it";
  broker.kill();
  ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
  broker.start();
  const auto again = wait_for(*client, EventKind::connected);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->is_opened) << "once";
}

TEST(Connection, DescriptorWakesForMessagesAndForAttempts) {
  BrokerFixture broker;
  auto options = options_for(broker, "fd");
  options.subscriptions = {{"x", Qos::at_least_once}};
  const auto client = make_client(options);
  ASSERT_TRUE(client->start().has_value());
  // An owner that never waits in take(), only on the descriptor.
  const auto next = [&](EventKind kind) -> bool {
    const auto deadline = std::chrono::steady_clock::now() + kHungAfter;
    while (std::chrono::steady_clock::now() < deadline) {
      pollfd waiting{client->event_fd(), POLLIN, 0};
      if (::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(kHungAfter).count())) != 1) return false;
      while (auto event = client->take(0))
        if (event->kind == kind) return true;
    }
    return false;
  };
  ASSERT_TRUE(next(EventKind::disconnected));
  broker.start();
  ASSERT_TRUE(next(EventKind::connected));
  ASSERT_TRUE(client->publish(text("x", "1")).has_value());
  ASSERT_TRUE(next(EventKind::message));
  pollfd idle{client->event_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&idle, 1, 50), 0) << "readable with nothing to take";
}

TEST(Connection, EndsInOrderWithoutTheWill) {
  BrokerFixture broker;
  broker.start();
  auto watcher_options = options_for(broker, "watcher");
  watcher_options.subscriptions = {{"will/#", Qos::at_least_once}};
  const auto watcher = connected_client(watcher_options);
  auto options = options_for(broker, "polite");
  options.will = text("will/polite", "gone", Qos::at_least_once, Retain::yes);
  const auto polite = connected_client(options);
  ASSERT_TRUE(polite->publish(text("will/last", "bye")).has_value());
  polite->stop(60'000);
  const auto bye = wait_for(*watcher, EventKind::message);
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye->message.topic, "will/last") << "what was published before stop() arrives";
  EXPECT_FALSE(polite->take(0).has_value());
  EXPECT_EQ(polite->publish(text("will/x", "after")).error().code, Code::unavailable);
  ASSERT_TRUE(watcher->publish(text("will/marker", "")).has_value());
  const auto next = wait_for(*watcher, EventKind::message);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->message.topic, "will/marker") << "and the will does not";
}

TEST(Connection, ThatBreaksLeavesTheWillUnchanged) {
  BrokerFixture broker;
  broker.start();
  auto watcher_options = options_for(broker, "watcher");
  watcher_options.subscriptions = {{"will/#", Qos::at_least_once}};
  const auto watcher = connected_client(watcher_options);
  auto options = options_for(broker, "dying");
  options.will = text("will/dying", "gone", Qos::at_least_once, Retain::yes);
  const auto first = connected_client(options);
  const auto second = connected_client(options);  // with the same id: the broker ends the first one and sends its will
  const auto gone = wait_for(*watcher, EventKind::message);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->message.topic, "will/dying");
  EXPECT_EQ(as_text(gone->message.payload), "gone");
  EXPECT_EQ(gone->message.qos, Qos::at_least_once);
  const auto late = connected_client(options_for(broker, "late"));
  ASSERT_TRUE(late->subscribe({"will/dying", Qos::at_least_once}).has_value());
  const auto kept = wait_for(*late, EventKind::message);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->message.retain, Retain::yes);
}

TEST(Connection, ThatIsStoppedLeavesNoThreadWaiting) {
  BrokerFixture broker;
  broker.start();
  auto options = options_for(broker, "full");
  options.subscriptions = {{"q1", Qos::at_least_once}};
  options.queue_events_max = 1;
  auto client = connected_client(options);
  ASSERT_EQ(std::system(("seq 1 20 | mosquitto_pub -t q1 -q 1 -l -p " + std::to_string(broker.port())).c_str()), 0);
  pollfd waiting{client->event_fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(kHungAfter).count())), 1);
  client->stop(1000);
  client.reset();
  // The library's thread is free for another client.
  const auto other = connected_client(options_for(broker, "other"));
  EXPECT_TRUE(other->is_connected());
}

TEST(Connection, IsNotBegunWithOptionsThatCannotWork) {
  const auto error_of = [](const Options& options) {
    const auto client = make_client(options);
    const Status status = client->start();
    EXPECT_FALSE(status.has_value());
    return status.has_value() ? Error{} : status.error();
  };
  Error error = error_of(options_for("localhost", "x"));
  EXPECT_EQ(error.code, Code::invalid_argument);
  EXPECT_EQ(error.message, "server \"localhost\" is not a URI: write tcp://HOST:1883, or ssl://HOST:8883 for TLS");
  error = error_of(options_for("gopher://localhost:70", "x"));
  EXPECT_EQ(error.code, Code::invalid_argument);
  EXPECT_EQ(error.message, "cannot make an MQTT client for gopher://localhost:70: Invalid protocol scheme");
  auto options = options_for("ssl://localhost:1", "x");
  options.ca_file = "/nonexistent/ca.pem";
  EXPECT_THAT(error_of(options).message, ::testing::HasSubstr("/nonexistent/ca.pem"));
}

}  // namespace
}  // namespace instar::mqtt

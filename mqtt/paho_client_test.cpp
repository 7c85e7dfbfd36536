#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <functional>

#include "mqtt/client.hpp"
#include "mqtt/fake_client.hpp"
#include "mqtt/test_broker.hpp"

namespace instar::mqtt {
namespace {

using Clock = std::chrono::steady_clock;

Options quick(const TestBroker& broker, std::string id) {
  Options options;
  options.server_uri = broker.uri();
  options.client_id = std::move(id);
  options.clean_session = true;
  options.reconnect_ms_min = 20;
  options.reconnect_ms_max = 100;
  return options;
}

// Takes events until one fits, at most 20 s.
std::optional<Event> wait_for(Client& client, const std::function<bool(const Event&)>& fits) {
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < deadline)
    if (auto event = client.take(100); event && fits(*event)) return event;
  return std::nullopt;
}
std::optional<Event> wait_for(Client& client, EventKind kind) {
  return wait_for(client, [kind](const Event& event) { return event.kind == kind; });
}
Message text(std::string topic, std::string_view payload, int qos = 1, bool retain = false) {
  return {std::move(topic), to_bytes(payload), qos, retain};
}

TEST(PahoClient, ConnectsSubscribesAndExchangesMessages) {
  TestBroker broker;
  broker.start();
  auto options = quick(broker, "one");
  options.subscriptions = {{"a/+", 1}, {"b", 0}};
  const auto client = make_paho_client(options);
  EXPECT_FALSE(client->is_connected());
  EXPECT_EQ(client->publish(text("a/x", "early")).error().code, Code::unavailable);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  EXPECT_TRUE(client->is_connected());
  ASSERT_TRUE(client->publish(text("a/x", "hello", 1, true)).has_value());
  const auto heard = wait_for(*client, EventKind::message);
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->message.topic, "a/x");
  EXPECT_EQ(as_text(heard->message.payload), "hello");
  EXPECT_EQ(heard->message.qos, 1);
  EXPECT_FALSE(heard->message.retained);
  const auto sent = client->publish({"b", {}, 0, false});
  ASSERT_TRUE(sent.has_value()) << sent.error().message;
  const auto empty = wait_for(*client, EventKind::message);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->message.payload.empty());

  auto late = make_paho_client(quick(broker, "two"));
  ASSERT_TRUE(late->start().has_value());
  ASSERT_TRUE(wait_for(*late, EventKind::connected));
  ASSERT_TRUE(late->subscribe({"a/#", 1}).has_value());
  const auto retained = wait_for(*late, EventKind::message);
  ASSERT_TRUE(retained);
  EXPECT_TRUE(retained->message.retained);
}

TEST(PahoClient, CarriesTheLargestMessageByteForByte) {
  TestBroker broker;
  broker.start();
  auto options = quick(broker, "big");
  options.subscriptions = {{"big", 0}};
  const auto client = make_paho_client(options);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  Bytes payload(128 * 1024);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
  ASSERT_TRUE(client->publish({"big", payload, 0, false}).has_value());
  const auto heard = wait_for(*client, EventKind::message);
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->message.payload, payload);
}

TEST(PahoClient, KeepsTryingUntilABrokerIsThereAndSaysWhyNot) {
  TestBroker broker;  // not started yet
  const auto client = make_paho_client(quick(broker, "patient"));
  ASSERT_TRUE(client->start().has_value());
  for (int i = 0; i < 3; ++i) {
    const auto failed = wait_for(*client, EventKind::disconnected);
    ASSERT_TRUE(failed);
    EXPECT_FALSE(failed->reason.empty());
  }
  broker.start();
  EXPECT_TRUE(wait_for(*client, EventKind::connected));
}

TEST(PahoClient, SubscribesAgainAfterTheBrokerCameBackWithoutMemory) {
  TestBroker broker;
  broker.start();
  auto options = quick(broker, "again");
  options.subscriptions = {{"x", 1}};
  const auto client = make_paho_client(options);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  ASSERT_TRUE(client->subscribe({"y", 1}).has_value());
  for (int round = 0; round < 3; ++round) {
    broker.kill();
    ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
    EXPECT_FALSE(client->is_connected());
    EXPECT_EQ(client->publish(text("x", "lost")).error().code, Code::unavailable);
    broker.start();
    ASSERT_TRUE(wait_for(*client, EventKind::connected));
    for (const char* topic : {"x", "y"}) {
      ASSERT_TRUE(client->publish(text(topic, "back")).has_value());
      ASSERT_TRUE(wait_for(*client, [topic](const Event& event) { return event.message.topic == topic; }));
    }
  }
}

TEST(PahoClient, HearsNothingMoreOfWhatItHasUnsubscribed) {
  TestBroker broker;
  broker.start();
  auto options = quick(broker, "leaves");
  options.subscriptions = {{"x", 1}, {"y", 1}};
  const auto client = make_paho_client(options);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  ASSERT_TRUE(client->unsubscribe("x").has_value());
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(client->publish(text("x", "gone")).has_value());
    ASSERT_TRUE(client->publish(text("y", "stays")).has_value());
    const auto heard = wait_for(*client, EventKind::message);
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->message.topic, "y");
    broker.kill();
    ASSERT_TRUE(wait_for(*client, EventKind::disconnected));
    broker.start();
    ASSERT_TRUE(wait_for(*client, EventKind::connected));
  }
}

TEST(PahoClient, EventFdWakesForMessagesAndForReconnects) {
  TestBroker broker;
  auto options = quick(broker, "fd");
  options.subscriptions = {{"x", 1}};
  const auto client = make_paho_client(options);
  ASSERT_TRUE(client->start().has_value());
  // An owner that never waits in take(), only on the descriptor.
  const auto next = [&](EventKind kind) -> bool {
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    while (Clock::now() < deadline) {
      pollfd waiting{client->event_fd(), POLLIN, 0};
      if (::poll(&waiting, 1, 5000) != 1) return false;
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

TEST(PahoClient, WillIsSentOnACrashAndNotOnAPoliteStop) {
  TestBroker broker;
  broker.start();
  auto watcher_options = quick(broker, "watcher");
  watcher_options.subscriptions = {{"will/#", 1}};
  const auto watcher = make_paho_client(watcher_options);
  ASSERT_TRUE(watcher->start().has_value());
  ASSERT_TRUE(wait_for(*watcher, EventKind::connected));

  auto options = quick(broker, "dying");
  options.will = text("will/dying", "gone", 1, true);
  const auto polite = make_paho_client(options);
  ASSERT_TRUE(polite->start().has_value());
  ASSERT_TRUE(wait_for(*polite, EventKind::connected));
  ASSERT_TRUE(polite->publish(text("will/last", "bye")).has_value());
  polite->stop(5000);
  const auto bye = wait_for(*watcher, EventKind::message);
  ASSERT_TRUE(bye);
  EXPECT_EQ(bye->message.topic, "will/last") << "what was published before stop() arrives, the will does not";
  EXPECT_FALSE(polite->take(0).has_value());
  EXPECT_EQ(polite->publish(text("will/x", "after")).error().code, Code::unavailable);

  const auto first = make_paho_client(options);
  ASSERT_TRUE(first->start().has_value());
  ASSERT_TRUE(wait_for(*first, EventKind::connected));
  const auto usurper = make_paho_client(options);  // same client id: the broker throws the first one out, with its will
  ASSERT_TRUE(usurper->start().has_value());
  const auto gone = wait_for(*watcher, EventKind::message);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->message.topic, "will/dying");
}

TEST(PahoClient, SlowOwnerDropsQos0AndCountsItButLosesNoQos1) {
  TestBroker broker("allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n");
  broker.start();
  auto options = quick(broker, "slow");
  options.subscriptions = {{"q0", 0}, {"q1", 1}};
  options.queue_events_max = 4;
  const auto slow = make_paho_client(options);
  ASSERT_TRUE(slow->start().has_value());
  ASSERT_TRUE(wait_for(*slow, EventKind::connected));

  // The messages come from outside this process: Paho has one receive thread for all its clients.
  const std::string pub = "mosquitto_pub -h localhost -p " + std::to_string(broker.port());
  ASSERT_EQ(std::system(("seq 1 50 | " + pub + " -t q0 -q 0 -l && seq 1 50 | " + pub + " -t q1 -q 1 -l").c_str()), 0);
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (slow->dropped_messages() < 40 && Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(slow->dropped_messages(), 46U) << "four fit";
  // Paho's thread now stands in the callback. Publishing must not wait for it.
  ASSERT_TRUE(slow->publish(text("elsewhere", "x", 0)).has_value());
  for (int expected = 1; expected <= 50; ++expected) {
    const auto event = wait_for(*slow, [](const Event& e) { return e.message.topic == "q1"; });
    ASSERT_TRUE(event) << expected;
    EXPECT_EQ(as_text(event->message.payload), std::to_string(expected));
    ASSERT_TRUE(slow->publish(text("elsewhere", "x", 1)).has_value());
  }
}

TEST(PahoClient, AStoppedClientLeavesNoThreadWaiting) {
  TestBroker broker;
  broker.start();
  auto options = quick(broker, "full");
  options.subscriptions = {{"q1", 1}};
  options.queue_events_max = 1;
  auto client = make_paho_client(options);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  ASSERT_EQ(std::system(("seq 1 20 | mosquitto_pub -t q1 -q 1 -l -p " + std::to_string(broker.port())).c_str()), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  client->stop(1000);
  client.reset();
}

TEST(PahoClient, TellsARefusedPassword) {
  TestBroker broker;
  const std::string passwords = broker.folder() + "/passwords";
  const std::string acl = broker.folder() + "/acl";
  ASSERT_EQ(std::system(("mosquitto_passwd -b -c " + passwords + " ann secret").c_str()), 0);
  std::ofstream(acl) << "user ann\ntopic readwrite open\n";
  TestBroker closed("allow_anonymous false\npassword_file " + passwords + "\nacl_file " + acl + "\n");
  closed.start();
  auto options = quick(closed, "ann-1");
  options.username = "ann";
  options.password = "wrong";
  const auto wrong = make_paho_client(options);
  ASSERT_TRUE(wrong->start().has_value());
  const auto refused = wait_for(*wrong, EventKind::disconnected);
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->reason, ::testing::AnyOf(::testing::HasSubstr("password"), ::testing::HasSubstr("authorize")));

  options.client_id = "ann-2";
  options.password = "secret";
  options.subscriptions = {{"open", 1}};
  const auto right = make_paho_client(options);
  ASSERT_TRUE(right->start().has_value());
  ASSERT_TRUE(wait_for(*right, EventKind::connected));
  ASSERT_TRUE(right->publish(text("open", "in")).has_value());
  EXPECT_TRUE(wait_for(*right, EventKind::message));
}

// A broker of a few bytes: accepts whoever connects and refuses every subscription.
class RefusingBroker {
 public:
  RefusingBroker() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof local;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&local), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&local), &size), 0);
    port_ = ntohs(local.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~RefusingBroker() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }

 private:
  void serve() const {
    const int fd = ::accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    std::uint8_t in[512];
    EXPECT_GT(::read(fd, in, sizeof in), 0);
    const std::uint8_t connack[] = {0x20, 2, 0, 0};
    EXPECT_EQ(::write(fd, connack, sizeof connack), 4);
    if (::read(fd, in, sizeof in) > 4) {
      const std::uint8_t suback[] = {0x90, 3, in[2], in[3], 0x80};
      EXPECT_EQ(::write(fd, suback, sizeof suback), 5);
    }
    while (::read(fd, in, sizeof in) > 0) {
    }
    ::close(fd);
  }
  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(PahoClient, ARefusedSubscriptionIsADisconnectThatSaysSo) {
  RefusingBroker broker;
  Options options;
  options.server_uri = "tcp://127.0.0.1:" + std::to_string(broker.port());
  options.client_id = "deaf";
  options.subscriptions = {{"secret/#", 1}};
  const auto client = make_paho_client(options);
  ASSERT_TRUE(client->start().has_value());
  ASSERT_TRUE(wait_for(*client, EventKind::connected));
  const auto refused = wait_for(*client, EventKind::disconnected);
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->reason, ::testing::HasSubstr("secret/#"));
  EXPECT_FALSE(client->is_connected());
}

TEST(PahoClient, RefusesOptionsThatCannotWork) {
  Options options;
  options.server_uri = "localhost";
  options.client_id = "x";
  EXPECT_EQ(make_paho_client(options)->start().error().code, Code::invalid_argument);
  options.server_uri = "ssl://localhost:1";
  options.ca_file = "/nonexistent/ca.pem";
  const auto missing = make_paho_client(options)->start();
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message.find("/nonexistent/ca.pem"), std::string::npos);
  options.ca_file.clear();
  options.keepalive_s = 0;
  EXPECT_EQ(make_paho_client(options)->start().error().code, Code::invalid_argument);
}

class Tls : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string make =
        "cd " + files.folder() +
        " && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=test-ca -days 2 2>/dev/null"
        " && openssl req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=localhost 2>/dev/null"
        " && openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out s.pem -days 2 2>/dev/null"
        " && openssl req -newkey rsa:2048 -nodes -keyout c.key -out c.csr -subj /CN=device 2>/dev/null"
        " && openssl x509 -req -in c.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out c.pem -days 2 2>/dev/null"
        " && openssl req -x509 -newkey rsa:2048 -nodes -keyout o.key -out other.pem -subj /CN=other-ca -days 2 "
        "2>/dev/null";
    ASSERT_EQ(std::system(make.c_str()), 0);
  }
  TestBroker files;  // only its folder is used
};

TEST_F(Tls, ConnectsWithAClientCertificateAndRefusesAnUnknownAuthority) {
  const std::string at = files.folder() + "/";
  TestBroker broker("allow_anonymous true\ncafile " + at + "ca.pem\ncertfile " + at + "s.pem\nkeyfile " + at +
                    "s.key\nrequire_certificate true\n");
  broker.start();
  auto options = quick(broker, "tls");
  options.server_uri = broker.uri("ssl");
  options.ca_file = at + "ca.pem";
  options.certificate_file = at + "c.pem";
  options.key_file = at + "c.key";
  const auto good = make_paho_client(options);
  ASSERT_TRUE(good->start().has_value());
  ASSERT_TRUE(wait_for(*good, EventKind::connected));

  options.client_id = "tls-2";
  options.ca_file = at + "other.pem";
  const auto bad = make_paho_client(options);
  ASSERT_TRUE(bad->start().has_value());
  const auto first = wait_for(*bad, [](const Event&) { return true; });
  ASSERT_TRUE(first);
  EXPECT_EQ(first->kind, EventKind::disconnected);

  options.client_id = "tls-3";
  options.ca_file = at + "ca.pem";
  options.server_uri = "ssl://127.0.0.1:" + std::to_string(broker.port());  // the certificate says localhost
  const auto other_host = make_paho_client(options);
  ASSERT_TRUE(other_host->start().has_value());
  const auto refused = wait_for(*other_host, [](const Event&) { return true; });
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->kind, EventKind::disconnected);
}

TEST(FakeClient, PlaysTheBroker) {
  FakeClient fake;
  EXPECT_EQ(fake.publish(text("x", "1")).error().code, Code::unavailable);
  fake.connect();
  fake.deliver(text("y", "2"));
  EXPECT_EQ(fake.take(0)->kind, EventKind::connected);
  EXPECT_EQ(fake.take(0)->message.topic, "y");
  fake.fail_publish_at = 3;
  EXPECT_TRUE(fake.publish(text("x", "1")).has_value());
  EXPECT_FALSE(fake.publish(text("x", "2")).has_value());
  EXPECT_EQ(fake.published.size(), 1U);
}

}  // namespace
}  // namespace instar::mqtt

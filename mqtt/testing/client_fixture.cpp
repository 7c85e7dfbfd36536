#include "mqtt/testing/client_fixture.hpp"

namespace instar::mqtt {

Options options_for(std::string uri, std::string client_id) {
  Options options;
  options.server_uri = std::move(uri);
  options.client_id = std::move(client_id);
  options.clean_session = true;
  options.reconnect_ms_min = 20;
  options.reconnect_ms_max = 100;
  return options;
}

Options options_for(const BrokerFixture& broker, std::string client_id) {
  return options_for(broker.uri(), std::move(client_id));
}

Message text(std::string topic, std::string_view payload, wire::Qos qos, wire::Retain retain) {
  return {std::move(topic), to_bytes(payload), qos, retain};
}

std::optional<Event> wait_for(Client& client, const std::function<bool(const Event&)>& fits) {
  const auto deadline = std::chrono::steady_clock::now() + kHungAfter;
  while (std::chrono::steady_clock::now() < deadline)
    if (auto event = client.take(100); event && fits(*event)) return event;
  return std::nullopt;
}

std::optional<Event> wait_for(Client& client, EventKind kind) {
  return wait_for(client, [kind](const Event& event) { return event.kind == kind; });
}

std::string next_text(Client& client, const std::string& topic) {
  const auto event = wait_for(client, [&](const Event& one) { return one.message.topic == topic; });
  return event ? std::string(as_text(event->message.payload)) : "(nothing)";
}

std::string next_failure(Client& client) {
  const auto event = wait_for(
      client, [](const Event& one) { return one.kind == EventKind::connected || one.kind == EventKind::disconnected; });
  if (!event) return "(nothing)";
  return event->kind == EventKind::connected ? "(connected)" : event->reason;
}

std::unique_ptr<Client> connected_client(const Options& options) {
  auto client = make_client(options);
  const Status started = client->start();
  EXPECT_TRUE(started.has_value()) << started.error().message;
  EXPECT_TRUE(wait_for(*client, EventKind::connected));
  return client;
}

::testing::AssertionResult fails_with(const Options& options, const std::string& reason) {
  const auto client = make_client(options);
  if (const Status started = client->start(); !started.has_value())
    return ::testing::AssertionFailure() << started.error().message;
  std::string seen;
  const auto ended = wait_for(*client, [&](const Event& event) {
    if (event.kind == EventKind::explained) return false;
    seen = event.kind == EventKind::connected ? "(connected)" : event.reason;
    return seen == reason || event.kind == EventKind::connected;
  });
  if (ended && seen == reason) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "it said: " << seen;
}

}  // namespace instar::mqtt

// A client of the adapter under test, and functions to wait for its events.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mqtt/client.hpp"
#include "mqtt/testing/broker_fixture.hpp"

namespace instar::mqtt {

// Even on a slow machine a condition that a test waits for holds within this time. Past it something hangs.
inline constexpr std::chrono::seconds kHungAfter{120};

// Options for a new session that connects again quickly.
[[nodiscard]] Options options_for(std::string uri, std::string client_id);
[[nodiscard]] Options options_for(const BrokerFixture& broker, std::string client_id);
[[nodiscard]] Message text(std::string topic, std::string_view payload, wire::Qos qos = wire::Qos::at_least_once,
                           wire::Retain retain = wire::Retain::no);

// Takes events until one fits. nullopt when none comes in time.
[[nodiscard]] std::optional<Event> wait_for(Client& client, const std::function<bool(const Event&)>& fits);
[[nodiscard]] std::optional<Event> wait_for(Client& client, EventKind kind);
// The payload of the next message on the topic, or "(nothing)" when none comes.
[[nodiscard]] std::string next_text(Client& client, const std::string& topic);
// Why the next attempt, or the connection, failed. "(connected)" or "(nothing)" when it did not fail.
[[nodiscard]] std::string next_failure(Client& client);

// Starts a client and waits for its connection. Fails the test when there is none. A single attempt may fail, because
// now and then one fails although the broker is ready. The cause is not known: it may be that Paho still has the state
// of a closed socket when a new one gets the same number.
[[nodiscard]] std::unique_ptr<Client> connected_client(const Options& options);
// Whether a client with these options fails to connect for that reason, and never connects.
[[nodiscard]] ::testing::AssertionResult fails_with(const Options& options, const std::string& reason);

}  // namespace instar::mqtt

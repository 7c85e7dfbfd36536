// A client of the adapter under test, and what its tests wait for.
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

// A condition that a test waits for holds within this time on the slowest of machines; past it something hangs.
inline constexpr std::chrono::seconds kHungAfter{120};

// A fresh session that comes back quickly.
[[nodiscard]] Options options_for(std::string uri, std::string client_id);
[[nodiscard]] Options options_for(const BrokerFixture& broker, std::string client_id);
[[nodiscard]] Message text(std::string topic, std::string_view payload, int qos = 1, bool retain = false);

// Takes events until one fits; nothing when the client hangs.
[[nodiscard]] std::optional<Event> wait_for(Client& client, const std::function<bool(const Event&)>& fits);
[[nodiscard]] std::optional<Event> wait_for(Client& client, EventKind kind);
// The payload of the next message on the topic; "(nothing)" when none comes.
[[nodiscard]] std::string next_text(Client& client, const std::string& topic);
// Why the next attempt, or the connection, failed; "(connected)" or "(nothing)" when it did not.
[[nodiscard]] std::string next_failure(Client& client);

// Starts a client and waits for its connection; fails the test when there is none. Now and then an attempt fails that
// should not: Paho takes what it knew of a closed socket for the next one of the same number.
[[nodiscard]] std::unique_ptr<Client> connected_client(const Options& options);
// Whether a client with these options fails to connect for that reason, and never connects.
[[nodiscard]] ::testing::AssertionResult fails_with(const Options& options, const std::string& reason);

}  // namespace instar::mqtt

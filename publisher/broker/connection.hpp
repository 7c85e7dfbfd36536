// How to reach the broker: flags over environment over the config file over defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "mqtt/client.hpp"

namespace instar::publisher {

// What one source says; absent fields leave the word to the next source.
struct ConnectionOptions {
  std::optional<std::string> broker;  // mqtt://host[:1883], mqtts://host[:8883]
  std::optional<std::string> username;
  std::optional<std::string> password_file;  // first line is the password
  std::optional<std::string> ca;             // PEM
  std::optional<std::string> certificate;    // PEM
  std::optional<std::string> key_file;       // PEM
  std::optional<std::string> prefix;
  std::optional<std::string> timeout;  // "30s"
  std::string config_path;             // --config; empty = the user's own, which may be absent
};

// All settled.
struct Connection {
  std::string broker;      // as the operator wrote it, for messages
  std::string server_uri;  // tcp://host:port or ssl://host:port
  std::string username;
  std::string password;
  std::string ca;
  std::string certificate;
  std::string key_file;
  std::string prefix;
  std::int64_t timeout_ms = 0;
};

// "key = value" lines, '#' comments; keys are the long options without dashes in front. Errors: malformed, naming the
// line.
[[nodiscard]] Result<ConnectionOptions> parse_config(std::string_view text, const std::string& where);
// tcp://… or ssl://… with a port. Errors: invalid_argument.
[[nodiscard]] Result<std::string> server_uri(std::string_view broker);
// Reads environment (INSTAR_BROKER, INSTAR_USERNAME, INSTAR_PASSWORD_FILE, INSTAR_PREFIX), config and password file.
[[nodiscard]] Result<Connection> settle(const ConnectionOptions& flags);
// What the network itself says of reaching `server_uri` ("connection refused"), by one TCP connection that is closed at
// once; empty when that works. For messages, after MQTT has failed.
[[nodiscard]] std::string network_reason(std::string_view server_uri);
[[nodiscard]] mqtt::Options mqtt_options(const Connection& connection, const std::string& client_id);

}  // namespace instar::publisher

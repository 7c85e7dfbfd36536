// How to reach the broker. Flags override the environment, which overrides the config file, which overrides defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "mqtt/client.hpp"

namespace instar::publisher {

// What one source sets. Absent fields are left to the next source.
struct ConnectionOptions {
  std::optional<std::string> broker;  // mqtt://host[:1883], mqtts://host[:8883]
  std::optional<std::string> username;
  std::optional<std::string> password_file;  // first line is the password
  std::optional<std::string> ca;             // PEM
  std::optional<std::string> certificate;    // PEM
  std::optional<std::string> key_file;       // PEM
  std::optional<std::string> prefix;
  std::optional<std::string> timeout;      // "30s"
  std::optional<std::string> allow_plain;  // "yes": secrets may go unencrypted to another machine
  std::string config_path;                 // --config; empty = the user's own, which may be absent
};

// What a config file may say of releases, so that not every command line must.
struct ReleaseDefaults {
  std::string root;               // a root document
  std::vector<std::string> keys;  // secret release keys
  std::string product;
  std::vector<std::string> groups;
};

struct ConfigFile {
  ConnectionOptions connection;
  ReleaseDefaults release;
};

// The options after all sources were read.
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
  bool allows_plain = false;  // secrets may go unencrypted to another machine
  std::string warning;        // not empty: what the operator should put right
};

// Parses "key = value" lines and '#' comments. A key is a long option without the dashes in front; `key` and `group`
// may stand several times. Errors: malformed, naming the line.
[[nodiscard]] Result<ConfigFile> parse_config(std::string_view text, const std::string& where);
// The file `chosen`, or the user's own where that is empty, which may be absent. Paths in it are relative to its
// folder, and ~/ is $HOME. Errors: not_found, malformed.
[[nodiscard]] Result<ConfigFile> load_config(const std::string& chosen);
// tcp://… or ssl://… with a port. `broker` may be a host alone. Errors: those of parse_server_uri().
[[nodiscard]] Result<std::string> server_uri(std::string_view broker);
// Reads environment (INSTAR_BROKER, INSTAR_USERNAME, INSTAR_PASSWORD_FILE, INSTAR_PREFIX), config and password file.
// Errors besides those of a bad value: refused, when others may write a password's file or read a key's, or a password
// would go unencrypted to another machine.
[[nodiscard]] Result<Connection> settle(const ConnectionOptions& flags);
// For a password that is not in the options and goes over this connection all the same. Errors: refused, as above.
[[nodiscard]] Status check_password_of_others(const Connection& connection);
[[nodiscard]] mqtt::Options mqtt_options(const Connection& connection, const std::string& client_id);

}  // namespace instar::publisher

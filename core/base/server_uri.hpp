// Where a broker is, as people write it in options and configuration files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

namespace instar {

struct ServerUri {
  std::string host;  // an IPv6 address is in its brackets
  std::uint16_t port = 0;
  bool tls = false;

  // tcp://HOST:PORT or ssl://HOST:PORT, which both MQTT libraries take.
  [[nodiscard]] std::string str() const;
  // Nobody but this machine can listen: `localhost`, 127.0.0.0/8, ::1. By the text alone, nothing is looked up.
  [[nodiscard]] bool is_loopback() const noexcept;
};

// tcp:// and mqtt:// (port 1883 unless there is one), ssl:// and mqtts:// (TLS, 8883). Errors: invalid_argument;
// unsupported (ws://, wss://), with what to write in their place.
[[nodiscard]] Result<ServerUri> parse_server_uri(std::string_view text);

// What would go over a connection.
struct ConnectionSecrets {
  bool password = false;
  bool tls_files = false;  // a CA, or a client certificate: whoever names one wants TLS
};
// Errors: refused, when the connection is not encrypted and has one of these; the text says what is wrong. A password
// to this machine itself is no error: it stays on it.
[[nodiscard]] Status check_plain(const ServerUri& server, ConnectionSecrets secrets);

}  // namespace instar

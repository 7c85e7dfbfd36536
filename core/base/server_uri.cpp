#include "core/base/server_uri.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace instar {
namespace {

struct Scheme {
  std::string_view name;
  bool tls;
  std::uint16_t port;
};
constexpr std::array<Scheme, 4> kSchemes{
    {{"tcp", false, 1883}, {"mqtt", false, 1883}, {"ssl", true, 8883}, {"mqtts", true, 8883}}};

// All of `text` is one number.
template <typename Number>
std::optional<Number> number_in(std::string_view text) noexcept {
  Number value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// Four numbers with dots between them, the first of which is 127. Names may begin with 127. too.
bool is_ipv4_loopback(std::string_view host) noexcept {
  if (!host.starts_with("127.") || std::ranges::count(host, '.') != 3) return false;
  for (int part = 0; part < 4; ++part) {
    const auto end = std::min(host.find('.'), host.size());
    if (end == 0 || end > 3 || !number_in<std::uint8_t>(host.substr(0, end))) return false;
    host.remove_prefix(std::min(end + 1, host.size()));
  }
  return true;
}

}  // namespace

std::string ServerUri::str() const {
  return (tls ? "ssl://" : "tcp://") + host + ":" + std::to_string(port);
}

bool ServerUri::is_loopback() const noexcept {
  return host == "localhost" || host == "[::1]" || is_ipv4_loopback(host);
}

Result<ServerUri> parse_server_uri(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::invalid_argument,
                "'" + std::string(text) +
                    "' must be tcp://HOST:PORT or mqtt://HOST:PORT, or for TLS ssl://HOST:PORT or "
                    "mqtts://HOST:PORT");
  };
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) return bad();
  const auto name = text.substr(0, colon);
  if (name == "ws" || name == "wss") {
    return fail(Code::unsupported, "'" + std::string(text) + "' is MQTT over WebSocket, which is not supported: use " +
                                       (name == "ws" ? "mqtt://HOST:1883" : "mqtts://HOST:8883") +
                                       ", a listener of the broker without `protocol websockets`");
  }
  const auto* const scheme = std::ranges::find(kSchemes, name, &Scheme::name);
  if (scheme == kSchemes.end()) return bad();
  auto rest = text.substr(colon + 3);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  // An IPv6 address is in brackets, so its colons do not begin a port.
  const auto bracket = rest.rfind(']');
  const auto port_colon = rest.rfind(':');
  const bool has_port =
      port_colon != std::string_view::npos && (bracket == std::string_view::npos || port_colon > bracket);
  ServerUri server{std::string(has_port ? rest.substr(0, port_colon) : rest), scheme->port, scheme->tls};
  if (has_port) {
    const auto port = number_in<std::uint16_t>(rest.substr(port_colon + 1));
    if (!port || *port == 0) return bad();
    server.port = *port;
  }
  const bool bracketed = server.host.starts_with('[') && server.host.ends_with(']') && server.host.size() > 2;
  if (server.host.empty() || server.host.find_first_of("/@ \t") != std::string::npos) return bad();
  if (!bracketed && server.host.find_first_of("[]:") != std::string::npos) return bad();
  return server;
}

Status check_plain(const ServerUri& server, ConnectionSecrets secrets) {
  if (server.tls) return {};
  if (secrets.tls_files)
    return fail(Code::refused, "a CA or a client certificate is given, but the connection to " + server.str() +
                                   " is not encrypted and uses neither");
  if (secrets.password && !server.is_loopback())
    return fail(Code::refused, "the password would go to " + server.str() + " unencrypted");
  return {};
}

}  // namespace instar

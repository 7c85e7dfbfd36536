#include "mqtt/failure_text.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "mqtt/option_checks.hpp"

namespace instar::mqtt {
namespace {

enum class Cause : std::uint8_t { none, name_not_found, tls_begun, other_host, refused_by_us, refused_by_broker };

// By the code of CONNACK in MQTT 3.1.1, from 1.
constexpr std::array<std::string_view, 5> kConnack{
    "the broker does not speak MQTT 3.1.1", "the broker refused the client id", "the broker is not available",
    "the broker refused the user name or password", "the broker does not authorize this client"};

std::atomic<std::uint64_t> attempts = 0;

// The cause of one thread. It is a plain buffer, because the library's threads never end and a line must not allocate.
struct Traced {
  std::uint64_t attempt = 0;
  Cause cause = Cause::none;
  std::array<char, 64> alert{};
};
thread_local Traced traced;

void keep(Cause cause, std::string_view alert = {}) noexcept {
  Traced now;
  now.attempt = attempts.load();
  now.cause = cause;
  alert.copy(now.alert.data(), std::min(alert.size(), now.alert.size() - 1));
  traced = now;
}

// The rest of the line after `mark`. Empty when `mark` is not in it.
std::string_view after(std::string_view line, std::string_view mark) noexcept {
  const auto at = line.find(mark);
  return at == std::string_view::npos ? std::string_view() : line.substr(at + mark.size());
}

std::string traced_text(const Traced& found, std::string_view endpoint, std::string_view words) {
  const std::string where(endpoint);
  const std::string alert(found.alert.data());
  switch (found.cause) {
    case Cause::none: break;
    case Cause::name_not_found: return "the name in " + where + " cannot be resolved";
    case Cause::other_host: return "the broker's certificate is for another host name than that in " + where;
    case Cause::refused_by_us:
      return alert == "unknown CA" ? "the broker's certificate is signed by an unknown CA"
                                   : "the broker's certificate was refused: " + alert;
    case Cause::refused_by_broker: return "the broker refused the TLS connection: " + alert;
    case Cause::tls_begun:
      if (words == "TCP/TLS connect failure") return where + " ended the TLS handshake: is it a port with TLS?";
      break;
  }
  return {};
}

}  // namespace

void forget_traced_causes() noexcept {
  attempts.fetch_add(1);
}

void note_traced(std::string_view line) noexcept {
  if (line.find("getaddrinfo failed for addr") != std::string_view::npos) return keep(Cause::name_not_found);
  if (line.find("SSL handshake started") != std::string_view::npos) return keep(Cause::tls_begun);
  if (const auto host = after(line, "X509_check_host for hostname "); host.find(" failed") != std::string_view::npos)
    return keep(Cause::other_host);
  if (const auto alert = after(line, "SSL alert write:fatal:"); !alert.empty())
    return keep(Cause::refused_by_us, alert);
  if (const auto alert = after(line, "SSL alert read:fatal:"); !alert.empty())
    return keep(Cause::refused_by_broker, alert);
}

int connack_code_of(std::string_view text) noexcept {
  const auto* const found = std::ranges::find(kConnack, text);
  return found == kConnack.end() ? 0 : static_cast<int>(found - kConnack.begin()) + 1;
}

std::string failure_text(const ConnectFailure& failure, const Options& options) {
  if (failure.code >= 1 && failure.code <= static_cast<int>(kConnack.size()))
    return std::string(kConnack.at(static_cast<std::size_t>(failure.code) - 1));
  const Traced found = traced;
  traced = {};
  const std::string where(endpoint_of(options.server_uri));
  if (found.attempt == attempts.load())
    if (auto text = traced_text(found, where, failure.words); !text.empty()) return text;
  if (failure.words == "TCP/TLS connect failure") return "nobody answers at " + where;
  if (failure.words == "TCP connect timeout")
    return "no answer from " + where + " within " + std::to_string(options.connect_timeout_s) + " s";
  if (failure.words == "TCP connect completion failure" || failure.words == "socket error")
    return where + " closed the connection without an answer";
  return failure.words;
}

}  // namespace instar::mqtt

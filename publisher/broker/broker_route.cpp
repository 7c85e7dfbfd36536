#include "publisher/broker/broker_route.hpp"

#include <unistd.h>

#include <chrono>

#include "core/base/limits.hpp"
#include "mqtt/carrier.hpp"
#include "mqtt/probe_link.hpp"

namespace instar::publisher {
namespace {

// What keeps the broker from being reached; empty: nothing, and `link` stands.
std::string reach(mqtt::ProbeLink& link, const mqtt::Options& options, std::int64_t timeout_ms,
                  const std::atomic<bool>& stopped) {
  const auto encryption = options.server_uri.starts_with("ssl://") ? mqtt::Encryption::tls : mqtt::Encryption::none;
  const mqtt::Patience patience(mqtt::Patience::Clock::now() + std::chrono::milliseconds(timeout_ms), stopped);
  const auto finding = link.open(options, encryption, patience);
  return finding.sentence.empty() ? std::string() : finding.text();
}

// A client certificate is judged when the handshake is over for this side: what the broker thinks of one, or of none
// where it had asked, it says a moment later.
std::string heard_of_certificate(mqtt::ProbeLink& link, const mqtt::Options& options,
                                 const std::atomic<bool>& stopped) {
  if (options.certificate_file.empty() && !link.was_asked_for_certificate()) return {};
  const auto wait_ms = options.certificate_file.empty() ? limits::kProbeStepMs : limits::kProbeAnswerMs;
  const mqtt::Patience patience(mqtt::Patience::Clock::now() + std::chrono::milliseconds(wait_ms), stopped);
  Bytes none;
  const bool is_closed = link.receive(none, patience) == mqtt::ProbeLink::Heard::closed;
  return is_closed && !link.ended_by().sentence.empty() ? link.ended_by().text() : std::string();
}

}  // namespace

Outcome<void> check_reachable(const Connection& connection) {
  static const std::atomic<bool> kNeverStopped{false};
  mqtt::ProbeLink link;
  const auto options = mqtt_options(connection, "");
  auto why = reach(link, options, connection.timeout_ms, kNeverStopped);
  if (why.empty()) why = heard_of_certificate(link, options, kNeverStopped);
  if (why.empty()) return {};
  return fail(Exit::unreachable, Code::unavailable, "cannot reach " + connection.broker + ": " + why);
}

BrokerRoute::BrokerRoute(const Connection& connection, int fd)
    : options_(mqtt_options(connection, "")), timeout_ms_(connection.timeout_ms), thread_([this, fd] { run(fd); }) {}

BrokerRoute::~BrokerRoute() {
  stopped_ = true;
  thread_.join();
}

void BrokerRoute::run(int fd) {
  {
    mqtt::ProbeLink link;
    fault_ = reach(link, options_, timeout_ms_, stopped_);
    if (fault_.empty()) {
      mqtt::carry(link, fd, stopped_);
      if (const auto ended = link.ended_by(); !ended.sentence.empty()) fault_ = ended.text();
    }
  }
  ::close(fd);
  over_ = true;
}

}  // namespace instar::publisher

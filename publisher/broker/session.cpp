#include "publisher/broker/session.hpp"

#include <algorithm>
#include <atomic>
#include <iostream>
#include <utility>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "files/files.hpp"
#include "publisher/console/json_fields.hpp"

namespace instar::publisher {
namespace {

// How long one wait for an event is. Ctrl-C is noticed after each.
constexpr std::uint32_t kSessionTurnMs = 100;
// A request that is not answered for so long is sent again, because the broker may have restarted.
constexpr std::int64_t kResendMs = 10'000;
// A refusal that names no request counts as the answer to ours if no other answer comes within this time.
constexpr std::int64_t kStrangerMs = 1'000;
constexpr std::uint32_t kStopMs = 3'000;
constexpr std::size_t kClientIdBytes = 6;

std::atomic<bool> g_interrupted{false};

tl::unexpected<Failure> interrupted_failure() {
  return fail(Exit::interrupted, Code::unavailable, "interrupted");
}

}  // namespace

bool interrupted() noexcept {
  return g_interrupted.load();
}
void interrupt() noexcept {
  g_interrupted.store(true);
}

Session::Session(Connection connection, wire::Topics topics, ClientId client_id, std::unique_ptr<mqtt::Client> client)
    : connection_(std::move(connection)),
      topics_(std::move(topics)),
      client_id_(std::move(client_id)),
      client_(std::move(client)) {}

Session::~Session() {
  client_->stop(kStopMs);
}

Outcome<std::unique_ptr<Session>> Session::open(const Connection& connection, wire::Topics topics, ClientId client_id,
                                                std::unique_ptr<mqtt::Client> client) {
  std::unique_ptr<Session> session(new Session(connection, std::move(topics), std::move(client_id), std::move(client)));
  INSTAR_CHECK(session->client_->start());
  INSTAR_CHECK(session->wait_connected());
  return session;
}

tl::unexpected<Failure> Session::unreachable() const {
  // Paho reports a refused connection, an unknown name and all other failures in the same way.
  std::string reason = network_reason(connection_.server_uri);
  if (reason.empty()) reason = last_reason_.empty() ? "no answer" : last_reason_;
  return fail(Exit::unreachable, Code::unavailable,
              "cannot reach " + connection_.broker + ": " + reason +
                  ". Is Mosquitto running there? Set the broker with --broker or INSTAR_BROKER");
}

Outcome<void> Session::wait_connected() {
  const auto start = monotonic_now();
  std::uint32_t failures = 0;
  while (!client_->is_connected()) {
    if (interrupted()) return interrupted_failure();
    // If the broker has refused three attempts at the first connection, waiting longer does not help.
    if (failures >= 3 || monotonic_now() - start >= connection_.timeout_ms) return unreachable();
    const auto event = client_->take(kSessionTurnMs);
    if (event && event->kind == mqtt::EventKind::disconnected) {
      last_reason_ = event->reason;
      ++failures;
    }
  }
  // From here on `connected` means "connected again".
  for (auto event = client_->take(0); event && event->kind != mqtt::EventKind::connected;)
    event = client_->take(kSessionTurnMs);
  return {};
}

std::optional<mqtt::Event> Session::next(std::uint32_t wait_ms) {
  if (!waiting_.empty()) {
    auto event = std::move(waiting_.front());
    waiting_.pop_front();
    return event;
  }
  auto event = client_->take(wait_ms);
  if (event && event->kind == mqtt::EventKind::disconnected) last_reason_ = event->reason;
  return event;
}

bool Session::try_publish(mqtt::Message message) {
  return client_->publish(std::move(message)).has_value();
}

Outcome<void> Session::publish(mqtt::Message message) {
  const auto start = monotonic_now();
  while (true) {
    auto status = client_->publish(message);
    if (status) return {};
    if (status.error().code != Code::unavailable) return fail(Failure(std::move(status.error())));
    if (interrupted()) return interrupted_failure();
    if (monotonic_now() - start >= connection_.timeout_ms) return unreachable();
    auto event = client_->take(kSessionTurnMs);
    if (event && event->kind == mqtt::EventKind::disconnected) last_reason_ = event->reason;
    if (event && waiting_.size() < limits::kWaitingEventsMax) waiting_.push_back(std::move(*event));
  }
}

Outcome<void> Session::subscribe(const std::string& filter) {
  INSTAR_CHECK(client_->subscribe({filter, wire::Qos::at_least_once}));
  return {};
}

std::optional<Json> Session::answer_in(const mqtt::Message& message, const std::string& correlation,
                                       std::string& uncorrelated_error) {
  const auto document = parse_json(as_text(message.payload), "answer");
  if (!document) return std::nullopt;
  for (const auto& response : get(*document, "responses")) {
    const auto named = get_text(response, "correlationData");
    if (named == correlation) return response;
    if (named.empty() && !get_text(response, "error").empty()) uncorrelated_error = get_text(response, "error");
  }
  return std::nullopt;
}

Outcome<Json> Session::request(const std::string& command, Json parameters) {
  if (!std::exchange(control_subscribed_, true)) INSTAR_CHECK(subscribe(topics_.control_response()));
  const std::string correlation = client_id_.str() + "-" + std::to_string(++requests_);
  parameters["command"] = command;
  parameters["correlationData"] = correlation;
  const std::string body = dump({{"commands", Json::array({std::move(parameters)})}});
  const auto start = monotonic_now();
  bool is_sent = false;
  MonotonicMs sent;
  std::string stranger;
  MonotonicMs stranger_at;
  while (true) {
    const auto now = monotonic_now();
    if (interrupted()) return interrupted_failure();
    if (!stranger.empty() && now - stranger_at >= kStrangerMs) {
      return fail(Exit::refused, Code::refused, "the broker refused '" + command + "': " + stranger);
    }
    if (now - start >= connection_.timeout_ms) {
      if (!client_->is_connected()) return unreachable();
      return fail(Exit::timed_out, Code::unavailable,
                  connection_.broker + " did not answer '" + command + "' on " + topics_.control() + " within " +
                      std::to_string(connection_.timeout_ms / 1000) +
                      " s. Is the plugin mosquitto_instar.so loaded there, with this --prefix, and may this user write "
                      "to that topic "
                      "and read from its /response?");
    }
    if (!is_sent || now - sent >= kResendMs) {
      INSTAR_CHECK(publish({topics_.control(), to_bytes(body), wire::Qos::at_least_once, wire::Retain::no}));
      sent = monotonic_now();
      is_sent = true;
    }
    auto event = client_->take(kSessionTurnMs);
    if (!event) continue;
    if (event->kind == mqtt::EventKind::disconnected) last_reason_ = event->reason;
    if (event->kind == mqtt::EventKind::connected) is_sent = false;
    if (event->kind == mqtt::EventKind::message && event->message.topic == topics_.control_response()) {
      const bool first = stranger.empty();
      auto answer = answer_in(event->message, correlation, stranger);
      if (first && !stranger.empty()) stranger_at = monotonic_now();
      if (!answer) continue;
      if (const auto error = get_text(*answer, "error"); !error.empty()) {
        return fail(Exit::refused, Code::refused, "the broker refused '" + command + "': " + error);
      }
      take_client_id(get(*answer, "data"));
      return get(*answer, "data");
    }
    if (waiting_.size() < limits::kWaitingEventsMax) waiting_.push_back(std::move(*event));
  }
}

void Session::take_client_id(const Json& data) {
  if (auto id = ClientId::parse(get_text(data, "client_id")); id.has_value()) client_id_ = std::move(*id);
}

Outcome<std::unique_ptr<Session>> connect(const ConnectionOptions& options) {
  INSTAR_TRY(const auto connection, settle(options));
  if (!connection.warning.empty()) std::cerr << "instar: " << clean_line(connection.warning) << "\n";
  INSTAR_TRY(auto topics, wire::Topics::with_prefix(connection.prefix));
  INSTAR_TRY(const auto random, files::random_bytes(kClientIdBytes));
  const std::string id = "op-" + to_hex(random);
  INSTAR_TRY(auto client_id, ClientId::parse(id));
  return Session::open(connection, std::move(topics), std::move(client_id),
                       mqtt::make_client(mqtt_options(connection, id)));
}

}  // namespace instar::publisher

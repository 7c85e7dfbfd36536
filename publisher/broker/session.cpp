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
// A first request without an answer for so long is looked into.
constexpr std::int64_t kSilenceLookMs = 3'000;
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

Session::Session(Connection connection, wire::Topics topics, ClientId client_id, std::unique_ptr<mqtt::Client> client,
                 std::ostream* notices)
    : connection_(std::move(connection)),
      topics_(std::move(topics)),
      client_id_(std::move(client_id)),
      client_(std::move(client)),
      notice_(notices) {}

Session::~Session() {
  client_->stop(kStopMs);
}

Outcome<std::unique_ptr<Session>> Session::open(const Connection& connection, wire::Topics topics, ClientId client_id,
                                                std::unique_ptr<mqtt::Client> client, std::ostream* notices) {
  std::unique_ptr<Session> session(
      new Session(connection, std::move(topics), std::move(client_id), std::move(client), notices));
  INSTAR_CHECK(session->client_->start());
  INSTAR_CHECK(session->wait_connected());
  return session;
}

tl::unexpected<Failure> Session::unreachable() const {
  std::string reason = explanation_.empty() ? last_reason_ : explanation_;
  if (reason.empty())
    reason = mqtt::found(mqtt::Fault::no_answer, {{"endpoint", connection_.broker},
                                                  {"seconds", std::to_string(connection_.timeout_ms / 1'000)}})
                 .text();
  return fail(Exit::unreachable, Code::unavailable,
              "cannot reach " + connection_.broker + ": " + reason +
                  (is_lasting_ ? "" : ". The broker is set with --broker or INSTAR_BROKER"));
}

void Session::note(const mqtt::Event& event) {
  if (event.kind == mqtt::EventKind::disconnected) last_reason_ = event.reason;
  if (event.kind == mqtt::EventKind::connected) explanation_.clear();
  if (event.kind != mqtt::EventKind::explained || event.reason.empty()) return;
  is_lasting_ = mqtt::lasts(event.fault);
  const auto kind =
      event.fault == mqtt::Fault::unknown ? mqtt::FaultKind::no_connection : mqtt::entry_of(event.fault).kind;
  if (kind == mqtt::FaultKind::no_connection) {
    explanation_ = event.reason;
    if (is_lasting_) fault_ = unreachable().value();
  } else if (is_lasting_) {
    const auto exit = kind == mqtt::FaultKind::silence ? Exit::timed_out : Exit::refused;
    const auto code = kind == mqtt::FaultKind::silence ? Code::unavailable : Code::refused;
    fault_ = Failure(exit, {code, connection_.broker + ": " + event.reason});
  } else {
    silence_ = event.reason;
    notice_.note(event.reason);
  }
}

Outcome<void> Session::wait_connected() {
  const auto start = monotonic_now();
  std::uint32_t failures = 0;
  bool is_explained = true;
  while (!client_->is_connected()) {
    if (interrupted()) return interrupted_failure();
    if (fault_) return fail(*fault_);
    // If the broker has refused three attempts at the first connection, waiting longer does not help.
    if ((failures >= 3 && is_explained) || monotonic_now() - start >= connection_.timeout_ms) return unreachable();
    waits_for("a connection to " + connection_.broker);
    const auto event = client_->take(kSessionTurnMs);
    if (!event) {
      is_explained = true;  // what is not said by now takes longer
      continue;
    }
    note(*event);
    if (event->kind == mqtt::EventKind::disconnected) ++failures;
    is_explained = event->kind != mqtt::EventKind::disconnected;
  }
  waits_no_more();
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
  if (event) note(*event);
  return event;
}

bool Session::try_publish(mqtt::Message message) {
  return client_->publish(std::move(message)).has_value();
}

Outcome<void> Session::publish(mqtt::Message message) {
  const auto start = monotonic_now();
  while (true) {
    auto status = client_->publish(message);
    if (status) {
      waits_no_more();
      return {};
    }
    if (status.error().code != Code::unavailable) return fail(Failure(std::move(status.error())));
    if (interrupted()) return interrupted_failure();
    if (fault_) return fail(*fault_);
    if (monotonic_now() - start >= connection_.timeout_ms) return unreachable();
    waits_for("the connection to " + connection_.broker);
    auto event = client_->take(kSessionTurnMs);
    if (event) note(*event);
    if (event && waiting_.size() < limits::kWaitingEventsMax) waiting_.push_back(std::move(*event));
  }
}

Outcome<void> Session::subscribe(const std::string& filter, bool is_needed) {
  INSTAR_CHECK(client_->subscribe({filter, wire::Qos::at_least_once, is_needed}));
  return {};
}

void Session::waits_for(const std::string& what) {
  const bool is_lost = !client_->is_connected() && !explanation_.empty();
  notice_.waiting(is_lost ? what + " (" + explanation_ + ")" : what, monotonic_now());
}

std::optional<Failure> Session::lost() const {
  if (client_->is_connected()) return std::nullopt;
  return unreachable().value();
}

void Session::find_out_why(mqtt::Silence silence) {
  if (!std::exchange(asked_why_, true)) client_->find_out_why(std::move(silence));
}

void Session::is_silent(const std::string& command, const mqtt::Message& message, MonotonicMs since) {
  waits_for("the answer of " + connection_.broker + " to '" + command + "'");
  // A broker that has answered before is only slow.
  if (was_answered_ || monotonic_now() - since < kSilenceLookMs) return;
  find_out_why({message, {topics_.control_response()}, false});
}

tl::unexpected<Failure> Session::not_answered(const std::string& command) const {
  if (!client_->is_connected()) return unreachable();
  const std::string what = connection_.broker + " did not answer '" + command + "' on " + topics_.control() +
                           " within " + std::to_string(connection_.timeout_ms / 1'000) + " s";
  if (!silence_.empty()) return fail(Exit::timed_out, Code::unavailable, what + words_of_silence());
  return fail(Exit::timed_out, Code::unavailable,
              what +
                  ". Is the plugin mosquitto_instar.so loaded there, with this --prefix, and may this user write to "
                  "that topic and read from its /response?");
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
  const mqtt::Message message{topics_.control(), to_bytes(body), wire::Qos::at_least_once, wire::Retain::no};
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
    if (fault_) return fail(*fault_);
    if (now - start >= connection_.timeout_ms) return not_answered(command);
    if (!is_sent || now - sent >= kResendMs) {
      INSTAR_CHECK(publish(message));
      sent = monotonic_now();
      is_sent = true;
    }
    is_silent(command, message, start);
    auto event = client_->take(kSessionTurnMs);
    if (!event) continue;
    note(*event);
    if (event->kind == mqtt::EventKind::connected) is_sent = false;
    if (event->kind == mqtt::EventKind::message && event->message.topic == topics_.control_response()) {
      const bool first = stranger.empty();
      auto answer = answer_in(event->message, correlation, stranger);
      if (first && !stranger.empty()) stranger_at = monotonic_now();
      if (!answer) continue;
      was_answered_ = true;
      waits_no_more();
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
                       mqtt::make_client(mqtt_options(connection, id)), &std::cerr);
}

}  // namespace instar::publisher

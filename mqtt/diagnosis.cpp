#include "mqtt/diagnosis.hpp"

#include <algorithm>
#include <utility>

#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "mqtt/failure_text.hpp"
#include "mqtt/option_checks.hpp"
#include "mqtt/packets5.hpp"
#include "mqtt/probe_link.hpp"

namespace instar::mqtt {
namespace {

constexpr std::size_t kReplyShownBytes = 40;
// In TLS 1.3 a broker refuses a client certificate after the client has ended the handshake.
constexpr std::int64_t kAlertMs = 300;
constexpr std::uint16_t kSubscribeId = 1;
constexpr std::uint16_t kPublishId = 2;
constexpr std::string_view kControl = "$CONTROL/";
// A topic of nobody's.
constexpr std::string_view kMountCheck = "$CONTROL/instar/why";
// What Mosquitto 2.1 answers itself to what no plugin takes (control__negative_reply() in its src/control.c).
constexpr std::string_view kNoEndpoint = R"({"error": "endpoint not available"})";

class Examination {
 public:
  Examination(const Question& question, const std::atomic<bool>& stopped)
      : question_(question), options_(question.options), stopped_(stopped) {
    if (!question.silence || question.silence->same_id) return;
    options_.client_id += "-why";
    options_.clean_session = true;
  }

  Finding run();

 private:
  enum class Got : std::uint8_t { packet, nothing, closed, broken };

  [[nodiscard]] Patience patience(std::int64_t ms = limits::kProbeStepMs) const {
    return {Patience::Clock::now() + std::chrono::milliseconds(ms), stopped_};
  }
  [[nodiscard]] std::string endpoint() const { return endpoint_in(options_.server_uri).str(); }
  [[nodiscard]] bool is_encrypted() const { return uses_tls(options_) || options_.server_uri.starts_with("wss://"); }
  [[nodiscard]] bool uses_websockets() const {
    return options_.server_uri.starts_with("ws://") || options_.server_uri.starts_with("wss://");
  }
  [[nodiscard]] std::string path() const {
    const auto scheme = options_.server_uri.find("://");
    const auto slash = options_.server_uri.find('/', scheme == std::string::npos ? 0 : scheme + 3);
    return slash == std::string::npos ? "/" : options_.server_uri.substr(slash);
  }

  // The next packet of whatever kind: a lasting session may bring messages.
  Got next(const Patience& patience);
  Finding connect();
  Finding connect_failed(Got got);
  Finding what_else_is_there();
  bool shakes_hands_there();
  bool answers_mqtt_there();
  std::string answer_to_http();
  Finding refusal(const v5::Connack& connack) const;
  Finding old_refusal(int code) const;
  Finding login_refusal() const;
  Finding limits_of(const v5::Connack& connack) const;
  Finding linger();
  Finding reason_of_end(std::uint8_t code) const;
  Finding ask();
  Finding subscribed(const std::vector<std::string>& filters);
  Finding publish_refusal(std::uint8_t code) const;
  Finding hear_answer();
  bool has_mount_point();

  const Question& question_;
  Options options_;
  const std::atomic<bool>& stopped_;
  ProbeLink link_;
  v5::Reader reader_;
  v5::Packet packet_;
  Bytes heard_;  // the first bytes that came
};

Examination::Got Examination::next(const Patience& until) {
  while (true) {
    if (auto packet = reader_.next()) {
      packet_ = std::move(*packet);
      return Got::packet;
    }
    if (reader_.is_broken()) return Got::broken;
    Bytes bytes;
    switch (link_.receive(bytes, until)) {
      case ProbeLink::Heard::bytes:
        if (heard_.size() < kReplyShownBytes) heard_.insert(heard_.end(), bytes.begin(), bytes.end());
        reader_.add(bytes);
        break;
      case ProbeLink::Heard::nothing: return Got::nothing;
      case ProbeLink::Heard::closed: return Got::closed;
    }
  }
}

Finding Examination::login_refusal() const {
  if (options_.username.empty() && options_.certificate_file.empty()) return found(Fault::login_missing, {});
  const auto user = options_.username.empty() ? options_.certificate_file : options_.username;
  return found(Fault::login_refused, {{"user", user}, {"client", options_.client_id}});
}

Finding Examination::old_refusal(int code) const {
  switch (code) {
    case 1: return found(Fault::mqtt_version, {});
    case 2: return found(Fault::client_id_refused, {{"client", options_.client_id}});
    case 3: return found(Fault::broker_full, {{"reason", "server unavailable"}});
    case 4:
    case 5: return login_refusal();
    default: return {};
  }
}

Finding Examination::refusal(const v5::Connack& connack) const {
  // 1: the broker knows 3.1.1 only, which is what the client speaks.
  if (connack.old_form) return connack.code == 1 ? Finding{} : old_refusal(connack.code);
  const auto reason = connack.reason.empty() ? v5::reason_name(connack.code) : clean_line(connack.reason);
  switch (connack.code) {
    case v5::reason::kUnsupportedVersion: return {};  // of 5: the client itself speaks 3.1.1
    case v5::reason::kClientIdNotValid: return found(Fault::client_id_refused, {{"client", options_.client_id}});
    case v5::reason::kBadLogin:
    case v5::reason::kNotAuthorized:
    case v5::reason::kBadMethod: return login_refusal();
    case v5::reason::kBanned: return found(Fault::banned, {{"client", options_.client_id}});
    case v5::reason::kRetainNotSupported: return found(Fault::no_retained, {});
    case v5::reason::kQosNotSupported: return found(Fault::qos_too_high, {{"limit", "0"}});
    case v5::reason::kPacketTooLarge: return limits_of(connack);
    default: return found(Fault::broker_full, {{"reason", reason}});
  }
}

// Limits that what the client sends, or wants, goes past.
Finding Examination::limits_of(const v5::Connack& connack) const {
  const auto& sent = question_.sent;
  if (connack.keepalive_s && *connack.keepalive_s < options_.keepalive_s)
    return found(Fault::keepalive_too_long,
                 {{"limit", std::to_string(*connack.keepalive_s)}, {"seconds", std::to_string(options_.keepalive_s)}});
  if (connack.packet_bytes_max && sent.packet_bytes_max > *connack.packet_bytes_max)
    return found(Fault::packet_too_large, {{"limit", std::to_string(*connack.packet_bytes_max)},
                                           {"bytes", std::to_string(sent.packet_bytes_max)}});
  const bool wants_qos = sent.with_qos || (options_.will && options_.will->qos != wire::Qos::at_most_once);
  if (connack.qos_max == 0 && wants_qos)
    return found(Fault::qos_too_high, {{"limit", std::to_string(connack.qos_max)}});
  const bool retains = sent.retained || (options_.will && options_.will->retain == wire::Retain::yes);
  if (!connack.retain_available && retains) return found(Fault::no_retained, {});
  return {};
}

// Whether TLS is spoken there. Nothing is verified, and nothing sent.
bool Examination::shakes_hands_there() {
  ProbeLink link;
  const auto finding = link.open(options_, Encryption::unverified, patience());
  return finding.fault == Fault::unknown || finding.fault == Fault::tls_nothing_in_common ||
         finding.fault == Fault::tls_failed;
}

bool Examination::answers_mqtt_there() {
  ProbeLink link;
  const auto step = patience();
  if (link.open(options_, Encryption::none, step).fault != Fault::unknown) return false;
  if (!link.send(v5::anonymous_connect_packet(), step)) return false;
  v5::Reader reader;
  while (true) {
    Bytes bytes;
    if (link.receive(bytes, step) != ProbeLink::Heard::bytes) return false;
    reader.add(bytes);
    if (const auto packet = reader.next()) return packet->type == v5::Type::connack;
    if (reader.is_broken()) return false;
  }
}

// The first line of what answers a request for WebSockets. Empty: nothing does.
std::string Examination::answer_to_http() {
  ProbeLink link;
  const auto step = patience();
  const auto how = is_encrypted() ? Encryption::unverified : Encryption::none;
  if (link.open(options_, how, step).fault != Fault::unknown) return {};
  const std::string request = "GET " + path() + " HTTP/1.1\r\nHost: " + endpoint() +
                              "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: aW5zdGFyLWRpYWdub3Npcw==\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
  Bytes bytes;
  if (!link.send(as_bytes(request), step) || link.receive(bytes, step) != ProbeLink::Heard::bytes) return {};
  const auto text = as_text(bytes);
  return text.starts_with("HTTP/") ? std::string(text.substr(0, text.find('\r'))) : std::string();
}

// The other side hung up on what this client speaks.
Finding Examination::what_else_is_there() {
  if (stopped_) return {};
  if (is_encrypted() && answers_mqtt_there()) return found(Fault::no_tls_there, {{"endpoint", endpoint()}});
  if (!is_encrypted() && shakes_hands_there()) return found(Fault::tls_there, {{"endpoint", endpoint()}});
  if (const auto line = answer_to_http(); !line.empty()) {
    if (line.find(" 101") != std::string::npos) return found(Fault::websockets_there, {{"endpoint", endpoint()}});
    return found(Fault::not_mqtt, {{"endpoint", endpoint()}, {"reply", clean_text(line, kReplyShownBytes)}});
  }
  return found(Fault::closed, {{"endpoint", endpoint()}});
}

Finding Examination::connect_failed(Got got) {
  if (const auto ended = link_.ended_by(); ended.fault != Fault::unknown && ended.fault != Fault::tls_failed)
    return ended;
  if (link_.was_asked_for_certificate() && got == Got::closed) return found(Fault::client_certificate_missing, {});
  if (got == Got::nothing)
    return found(Fault::says_nothing,
                 {{"endpoint", endpoint()}, {"seconds", std::to_string(limits::kProbeStepMs / 1000)}});
  // An alert of TLS in answer to MQTT: content type 21, version 3.
  if (!is_encrypted() && heard_.size() >= 2 && heard_[0] == 21 && heard_[1] == 3)
    return found(Fault::tls_there, {{"endpoint", endpoint()}});
  if (as_text(heard_).starts_with("HTTP/")) return what_else_is_there();
  if (got == Got::broken || got == Got::packet)
    return found(Fault::not_mqtt,
                 {{"endpoint", endpoint()}, {"reply", clean_line(as_text(heard_).substr(0, kReplyShownBytes))}});
  return what_else_is_there();
}

// CONNECT as the client does, but in MQTT 5.
Finding Examination::connect() {
  const auto step = patience();
  auto finding = link_.open(options_, is_encrypted() ? Encryption::tls : Encryption::none, step);
  if (link_.ended_silently()) return what_else_is_there();
  if (finding.fault != Fault::unknown) return finding;
  if (uses_websockets()) {
    const bool speaks = answer_to_http().find(" 101") != std::string::npos;
    return speaks || stopped_ ? Finding{} : found(Fault::no_websockets_there, {{"endpoint", endpoint()}});
  }
  Bytes early;
  if (is_encrypted() && (link_.was_asked_for_certificate() || !options_.certificate_file.empty()) &&
      link_.receive(early, patience(kAlertMs)) == ProbeLink::Heard::closed)
    return connect_failed(Got::closed);
  const bool sent = link_.send(v5::connect_packet(options_), step);
  const auto got = sent ? next(step) : Got::closed;
  if (stopped_) return {};
  if (got != Got::packet || packet_.type != v5::Type::connack) return connect_failed(got);
  const auto connack = v5::decode_connack(packet_.body);
  if (!connack) return {};
  if (connack->code != 0) return refusal(*connack);
  if (auto limit = limits_of(*connack); limit.fault != Fault::unknown) return limit;
  if (question_.silence) return ask();
  return question_.was_lost ? linger() : Finding{};
}

Finding Examination::reason_of_end(std::uint8_t code) const {
  if (code == v5::reason::kTakenOver) return found(Fault::session_taken_over, {{"client", options_.client_id}});
  if (code == v5::reason::kRetainNotSupported) return found(Fault::no_retained, {});
  if (code == v5::reason::kQosNotSupported) return found(Fault::qos_too_high, {{"limit", "0"}});
  return {};
}

// Somebody with the same id comes back at once, too. Mosquitto 2.0.11 ends the older connection without a word, where
// newer ones say why; one that was taken, asks for nothing and is ended all the same has no other cause.
Finding Examination::linger() {
  const auto step = patience(limits::kProbeLingerMs);
  while (true) {
    const auto got = next(step);
    if (got == Got::closed) return reason_of_end(v5::reason::kTakenOver);
    if (got != Got::packet) return {};
    if (packet_.type == v5::Type::disconnect) return reason_of_end(v5::decode_disconnect(packet_.body));
  }
}

// The codes of the filters that are needed; the control topic itself may be refused.
Finding Examination::subscribed(const std::vector<std::string>& filters) {
  const auto step = patience();
  if (!link_.send(v5::subscribe_packet(kSubscribeId, filters), step)) return {};
  while (next(step) == Got::packet) {
    if (packet_.type != v5::Type::suback) continue;
    const auto codes = v5::decode_suback(packet_.body);
    const auto needed = question_.silence->answers_on.size();
    for (std::size_t i = 0; codes && i < codes->size() && i < needed; ++i)
      if ((*codes)[i] >= v5::reason::kFirstFailure) return found(Fault::may_not_read, {{"topic", filters[i]}});
    return {};
  }
  return {};
}

Finding Examination::publish_refusal(std::uint8_t code) const {
  const auto& message = question_.silence->message;
  if (code == v5::reason::kPacketTooLarge || code == v5::reason::kImplementation)
    return found(Fault::message_too_large,
                 {{"bytes", std::to_string(message.payload.size())}, {"topic", message.topic}});
  if (question_.silence->was_answered) return {};
  return found(Fault::may_not_write, {{"topic", message.topic}});
}

// Sends the message that nobody answers once more, and listens for its answer.
Finding Examination::ask() {
  const auto& silence = *question_.silence;
  auto filters = silence.answers_on;
  // Mosquitto hands what is sent to $CONTROL to plugins alone. Where it comes back, it was no such topic.
  const bool is_control = silence.message.topic.starts_with(kControl);
  if (is_control) filters.push_back(silence.message.topic);
  if (auto finding = subscribed(filters); finding.fault != Fault::unknown) return finding;
  if (!link_.send(v5::publish_packet(kPublishId, silence.message), patience())) return {};
  return hear_answer();
}

Finding Examination::hear_answer() {
  const auto& silence = *question_.silence;
  const auto step = patience(limits::kProbeAnswerMs);
  bool taken = false;
  while (next(step) == Got::packet) {
    if (packet_.type == v5::Type::disconnect) return reason_of_end(v5::decode_disconnect(packet_.body));
    if (packet_.type == v5::Type::puback) {
      const auto acked = v5::decode_puback(packet_.body);
      if (acked && acked->id == kPublishId && acked->code >= v5::reason::kFirstFailure)
        return publish_refusal(acked->code);
      if (silence.answers_on.empty()) return {};
      taken = true;
    }
    if (packet_.type != v5::Type::publish) continue;
    const auto topic = v5::publish_topic(packet_.body);
    // Mosquitto 2.0 leaves the mount_point before the topic.
    if (topic.ends_with(silence.message.topic) && silence.message.topic.starts_with(kControl))
      return found(Fault::mount_point, {{"topic", silence.message.topic}});
    if (std::ranges::find(silence.answers_on, topic) == silence.answers_on.end()) continue;
    if (!as_text(packet_.body).ends_with(kNoEndpoint)) return {};
    return found(Fault::no_plugin, {{"topic", silence.message.topic}});
  }
  if (!taken) return {};
  const auto& topic = silence.message.topic;
  if (topic.starts_with(kControl)) return found(Fault::no_plugin, {{"topic", topic}});
  return found(has_mount_point() ? Fault::mount_point : Fault::not_answered, {{"topic", topic}});
}

// Whether what is sent to $CONTROL comes back: then it is none for the broker, because its listener puts a name before
// each topic.
bool Examination::has_mount_point() {
  const std::string topic(kMountCheck);
  const auto step = patience(limits::kProbeAnswerMs);
  if (!link_.send(v5::subscribe_packet(kSubscribeId, {topic}), step)) return false;
  if (!link_.send(v5::publish_packet(kPublishId, {topic, {}, wire::Qos::at_least_once, wire::Retain::no}), step))
    return false;
  while (next(step) == Got::packet)
    if (packet_.type == v5::Type::publish && v5::publish_topic(packet_.body).ends_with(topic)) return true;
  return false;
}

Finding Examination::run() {
  auto finding = connect();
  static_cast<void>(link_.send(v5::disconnect_packet(), patience(limits::kProbeAnswerMs)));
  if (stopped_) return {};
  return finding.fault == Fault::unknown ? old_refusal(connack_code_of(question_.words)) : finding;
}

}  // namespace

Finding diagnose(const Question& question, const std::atomic<bool>& stopped) {
  return Examination(question, stopped).run();
}

}  // namespace instar::mqtt

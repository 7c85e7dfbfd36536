// The only file that includes Paho's C++ library. The library throws, so every call is made through guarded(), and no
// callback throws. The callbacks run on Paho's receive thread, of which a process has one, and while the C library
// holds its lock. So they report and do nothing else.
#include <mqtt/async_client.h>

#include <atomic>
#include <chrono>
#include <optional>

#include "core/base/limits.hpp"
#include "mqtt/option_checks.hpp"
#include "mqtt/reconnecting_client.hpp"
#include "mqtt/transport.hpp"

namespace instar::mqtt {
namespace {

namespace paho = ::mqtt;

// Turns an exception of the library into an error with the text of the C library.
template <typename Call>
Status guarded(Call&& call) noexcept {
  try {
    call();
    return {};
  } catch (const paho::exception& thrown) {
    return fail(Code::unavailable, paho::exception::error_str(thrown.get_return_code()));
  } catch (const std::exception& thrown) {
    return fail(Code::unavailable, thrown.what());
  }
}

// A token reveals its error text only by throwing it.
ConnectFailure failure_of(const paho::token& token) noexcept {
  ConnectFailure failure{token.get_return_code(), {}};
  try {
    static_cast<void>(token.get_connect_response());
  } catch (const paho::exception& thrown) {
    failure.words = thrown.get_message();
  } catch (const std::exception&) {  // then there is only the code
  }
  if (failure.words.empty()) failure.words = paho::exception::error_str(failure.code);
  return failure;
}

class PahoCpp final : public Transport, private paho::callback, private paho::iaction_listener {
 public:
  explicit PahoCpp(const Options& options) : Transport(options), options_(options) {}

  Status create() override;
  Status connect() override;
  Status publish(const Message& message) override;
  Status subscribe(const Subscription& subscription) override;
  Status unsubscribe(const std::string& filter) override;
  std::size_t unacknowledged() override;
  void drop() override;
  void disconnect(std::uint32_t timeout_ms) override;

 private:
  // Called by Paho's threads.
  void connection_lost(const std::string& cause) noexcept override;
  void message_arrived(paho::const_message_ptr message) noexcept override;
  // The end of an attempt to connect or of a subscription.
  void on_failure(const paho::token& token) noexcept override;
  void on_success(const paho::token& token) noexcept override;

  const Options options_;
  std::optional<paho::async_client> client_;
  std::atomic<bool> is_connecting_ = false;  // the outcome has not been reported
};

Status PahoCpp::create() {
  // The C++ library has no functions for these two, and its error handler of TLS may outlive what it points to.
  MQTTAsync_setTraceCallback([](enum MQTTASYNC_TRACE_LEVELS, char* line) { note_traced(line); });
  MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_PROTOCOL);
  paho::create_options create(MQTTVERSION_3_1_1);
  create.set_max_buffered_messages(limits::kBufferedMessagesMax);
  create.set_send_while_disconnected(false);
  return guarded([&] {
    client_.emplace(options_.server_uri, options_.client_id, create);
    client_->set_callback(*this);
  });
}

// Paho copies what it is given here.
Status PahoCpp::connect() {
  is_connecting_ = true;
  return guarded([&] {
    paho::connect_options connect;
    connect.set_mqtt_version(MQTTVERSION_3_1_1);
    connect.set_clean_session(options_.clean_session);
    connect.set_keep_alive_interval(static_cast<int>(options_.keepalive_s));
    connect.set_connect_timeout(static_cast<int>(options_.connect_timeout_s));
    connect.set_automatic_reconnect(false);  // Paho's own never retries a first connect that failed
    if (!options_.username.empty()) {
      connect.set_user_name(options_.username);
      connect.set_password(options_.password);
    }
    if (const auto& will = options_.will; will.has_value())
      connect.set_will(paho::will_options(will->topic, will->payload.data(), will->payload.size(),
                                          static_cast<int>(will->qos), will->retain == wire::Retain::yes));
    if (uses_tls(options_)) {
      paho::ssl_options tls;
      tls.set_trust_store(options_.ca_file);
      tls.set_key_store(options_.certificate_file);
      tls.set_private_key(options_.key_file);
      tls.set_enable_server_cert_auth(true);
      tls.set_verify(true);  // the host name too
      connect.set_ssl(std::move(tls));
    }
    client_->connect(std::move(connect), nullptr, *this);
  });
}

// The library says so twice of a connect: when the broker has answered, and when the C library is connected.
void PahoCpp::on_success(const paho::token& token) noexcept {
  if (token.get_type() == paho::token::SUBSCRIBE) return reports().subscription_granted();
  if (token.get_type() != paho::token::CONNECT || !is_connecting_.exchange(false)) return;
  bool is_lasting = false;
  static_cast<void>(guarded([&] { is_lasting = token.get_connect_response().is_session_present(); }));
  reports().connected(is_lasting);
}

void PahoCpp::connection_lost(const std::string& cause) noexcept {
  reports().connection_lost(cause);
}

void PahoCpp::message_arrived(paho::const_message_ptr message) noexcept {
  reports().message_arrived({message->get_topic(), to_bytes(std::string_view(message->get_payload())),
                             static_cast<wire::Qos>(message->get_qos()),
                             message->is_retained() ? wire::Retain::yes : wire::Retain::no});
}

// Paho reports the SUBACK code 0x80 of a single filter as a failure; a code of its own, below zero, says that the
// connection went before there was an answer, which is reported by itself.
void PahoCpp::on_failure(const paho::token& token) noexcept {
  if (token.get_type() == paho::token::CONNECT) return reports().connect_failed(failure_of(token));
  if (token.get_return_code() >= 0) reports().subscription_refused((*token.get_topics())[0]);
}

Status PahoCpp::publish(const Message& message) {
  return guarded([&] {
    client_->publish(message.topic, message.payload.data(), message.payload.size(), static_cast<int>(message.qos),
                     message.retain == wire::Retain::yes);
  });
}

Status PahoCpp::subscribe(const Subscription& subscription) {
  return guarded([&] { client_->subscribe(subscription.filter, static_cast<int>(subscription.qos), nullptr, *this); });
}

Status PahoCpp::unsubscribe(const std::string& filter) {
  return guarded([&] { client_->unsubscribe(filter); });
}

std::size_t PahoCpp::unacknowledged() {
  std::size_t count = 0;
  static_cast<void>(guarded([&] { count = client_->get_pending_delivery_tokens().size(); }));
  return count;
}

void PahoCpp::drop() {
  static_cast<void>(guarded([&] {
    if (client_->is_connected()) client_->disconnect(0);
  }));
}

void PahoCpp::disconnect(std::uint32_t timeout_ms) {
  // Paho waits the given time for messages in flight, then sends DISCONNECT. An error means that the connection was
  // lost already.
  static_cast<void>(guarded([&] {
    if (!client_->is_connected()) return;
    const auto ended = client_->disconnect(static_cast<int>(timeout_ms));
    ended->wait_for(std::chrono::milliseconds(timeout_ms));
  }));
}

}  // namespace

std::unique_ptr<Client> make_client(Options options) {
  auto transport = std::make_unique<PahoCpp>(options);
  return std::make_unique<ReconnectingClient>(std::move(options), std::move(transport));
}

}  // namespace instar::mqtt

// The only file that includes Paho's C library. Debian has it as a static archive too, so that a device can have all in
// one program. The callbacks run on Paho's receive thread, of which a process has one, and while Paho holds its lock.
// So they report and do nothing else.
#include <MQTTAsync.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

#include "core/base/limits.hpp"
#include "mqtt/option_checks.hpp"
#include "mqtt/reconnecting_client.hpp"
#include "mqtt/transport.hpp"

namespace instar::mqtt {
namespace {

Status answer(int code) {
  if (code == MQTTASYNC_SUCCESS) return {};
  return fail(Code::unavailable, MQTTAsync_strerror(code));
}

const char* text_or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

class PahoC final : public Transport {
 public:
  explicit PahoC(const Options& options) : Transport(options), options_(options) {}

  Status create() override;
  Status connect() override;
  Status publish(const Message& message) override;
  Status subscribe(const Subscription& subscription) override;
  Status unsubscribe(const std::string& filter) override;
  std::size_t unacknowledged() override;
  void drop() override;
  void disconnect(std::uint32_t timeout_ms) override;

 private:
  // For the report of a failed subscription. It is kept as long as the client, because Paho holds a pointer to it.
  struct Asked {
    PahoC* client = nullptr;
    std::string filter;
  };

  // Called by Paho's threads. `context` is the client, or an Asked.
  static PahoC& of(void* context) noexcept { return *static_cast<PahoC*>(context); }
  static void connect_succeeded(void* context, MQTTAsync_successData* success) noexcept;
  static void connection_lost(void* context, char* cause) noexcept;
  static void connect_failed(void* context, MQTTAsync_failureData* failure) noexcept;
  static void subscribe_succeeded(void* context, MQTTAsync_successData* success) noexcept;
  static void subscribe_failed(void* context, MQTTAsync_failureData* failure) noexcept;
  static int message_arrived(void* context, char* topic, int topic_bytes, MQTTAsync_message* message) noexcept;
  void disconnect_ended() noexcept;

  const Options options_;
  MQTTAsync client_ = nullptr;
  std::map<std::string, Asked> asked_;  // by filter
  std::mutex ending_mutex_;
  std::condition_variable ending_;
  bool disconnected_ = false;
};

Status PahoC::create() {
  MQTTAsync_setTraceCallback([](enum MQTTASYNC_TRACE_LEVELS, char* line) { note_traced(line); });
  MQTTAsync_setTraceLevel(MQTTASYNC_TRACE_PROTOCOL);
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
  create.MQTTVersion = MQTTVERSION_3_1_1;
  create.maxBufferedMessages = limits::kBufferedMessagesMax;
  create.sendWhileDisconnected = 0;
  int code = MQTTAsync_createWithOptions(&client_, options_.server_uri.c_str(), options_.client_id.c_str(),
                                         MQTTCLIENT_PERSISTENCE_NONE, nullptr, &create);
  if (code == MQTTASYNC_SUCCESS)
    code = MQTTAsync_setCallbacks(client_, this, connection_lost, message_arrived, nullptr);
  if (code != MQTTASYNC_SUCCESS && client_ != nullptr) MQTTAsync_destroy(&client_);
  return answer(code);
}

// Paho copies what it is given here.
Status PahoC::connect() {
  MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
  connect.MQTTVersion = MQTTVERSION_3_1_1;
  connect.cleansession = options_.clean_session ? 1 : 0;
  connect.keepAliveInterval = static_cast<int>(options_.keepalive_s);
  connect.connectTimeout = static_cast<int>(options_.connect_timeout_s);
  connect.automaticReconnect = 0;  // Paho's own never retries a first connect that failed
  connect.context = this;
  connect.onSuccess = connect_succeeded;
  connect.onFailure = connect_failed;
  connect.username = text_or_null(options_.username);
  if (!options_.username.empty()) {
    connect.binarypwd.len = static_cast<int>(options_.password.size());
    connect.binarypwd.data = options_.password.data();
  }
  MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
  if (options_.will.has_value()) {
    will.topicName = options_.will->topic.c_str();
    will.payload.len = static_cast<int>(options_.will->payload.size());
    will.payload.data = options_.will->payload.data();
    will.qos = static_cast<int>(options_.will->qos);
    will.retained = options_.will->retain == wire::Retain::yes ? 1 : 0;
    connect.will = &will;
  }
  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  if (uses_tls(options_)) {
    tls.trustStore = text_or_null(options_.ca_file);
    tls.keyStore = text_or_null(options_.certificate_file);
    tls.privateKey = text_or_null(options_.key_file);
    tls.enableServerCertAuth = 1;
    tls.verify = 1;  // the host name too
    connect.ssl = &tls;
  }
  return answer(MQTTAsync_connect(client_, &connect));
}

void PahoC::connect_succeeded(void* context, MQTTAsync_successData* success) noexcept {
  of(context).reports().connected(success != nullptr && success->alt.connect.sessionPresent != 0);
}

void PahoC::connection_lost(void* context, char* cause) noexcept {
  of(context).reports().connection_lost(cause != nullptr ? cause : "");
}

void PahoC::connect_failed(void* context, MQTTAsync_failureData* failure) noexcept {
  ConnectFailure reported{failure != nullptr ? failure->code : MQTTASYNC_FAILURE, {}};
  reported.words =
      failure != nullptr && failure->message != nullptr ? failure->message : MQTTAsync_strerror(reported.code);
  of(context).reports().connect_failed(reported);
}

// Returns 1: the message has been taken. `topic_bytes` is 0 for a topic without a zero byte in it.
int PahoC::message_arrived(void* context, char* topic, int topic_bytes, MQTTAsync_message* message) noexcept {
  Message arrived;
  arrived.topic = topic_bytes > 0 ? std::string(topic, static_cast<std::size_t>(topic_bytes)) : std::string(topic);
  const auto* const payload = static_cast<const std::uint8_t*>(message->payload);
  if (message->payloadlen > 0) arrived.payload.assign(payload, payload + message->payloadlen);
  arrived.qos = static_cast<wire::Qos>(message->qos);
  arrived.retain = message->retained != 0 ? wire::Retain::yes : wire::Retain::no;
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  of(context).reports().message_arrived(std::move(arrived));
  return 1;
}

void PahoC::subscribe_succeeded(void* context, MQTTAsync_successData* success) noexcept {
  static_cast<void>(success);
  static_cast<const Asked*>(context)->client->reports().subscription_granted();
}

// Paho reports the SUBACK code 0x80 of a single filter as a failure; a code of its own, below zero, says that the
// connection went before there was an answer, which is reported by itself.
void PahoC::subscribe_failed(void* context, MQTTAsync_failureData* failure) noexcept {
  if (failure != nullptr && failure->code < 0) return;
  const Asked& asked = *static_cast<const Asked*>(context);
  asked.client->reports().subscription_refused(asked.filter);
}

Status PahoC::publish(const Message& message) {
  MQTTAsync_message sent = MQTTAsync_message_initializer;
  sent.payload = const_cast<std::uint8_t*>(message.payload.data());  // Paho copies it
  sent.payloadlen = static_cast<int>(message.payload.size());
  sent.qos = static_cast<int>(message.qos);
  sent.retained = message.retain == wire::Retain::yes ? 1 : 0;
  return answer(MQTTAsync_sendMessage(client_, message.topic.c_str(), &sent, nullptr));
}

Status PahoC::subscribe(const Subscription& subscription) {
  Asked& asked = asked_.try_emplace(subscription.filter, Asked{this, subscription.filter}).first->second;
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  response.context = &asked;
  response.onSuccess = subscribe_succeeded;
  response.onFailure = subscribe_failed;
  return answer(
      MQTTAsync_subscribe(client_, subscription.filter.c_str(), static_cast<int>(subscription.qos), &response));
}

Status PahoC::unsubscribe(const std::string& filter) {
  return answer(MQTTAsync_unsubscribe(client_, filter.c_str(), nullptr));
}

std::size_t PahoC::unacknowledged() {
  MQTTAsync_token* tokens = nullptr;
  if (MQTTAsync_getPendingTokens(client_, &tokens) != MQTTASYNC_SUCCESS || tokens == nullptr) return 0;
  std::size_t count = 0;
  while (tokens[count] != -1) ++count;
  MQTTAsync_free(tokens);
  return count;
}

void PahoC::drop() {
  const MQTTAsync_disconnectOptions now = MQTTAsync_disconnectOptions_initializer;
  if (MQTTAsync_isConnected(client_) != 0) MQTTAsync_disconnect(client_, &now);
}

void PahoC::disconnect_ended() noexcept {
  const std::scoped_lock lock(ending_mutex_);
  disconnected_ = true;
  ending_.notify_all();
}

void PahoC::disconnect(std::uint32_t timeout_ms) {
  if (MQTTAsync_isConnected(client_) == 0) return;
  // Paho waits the given time for messages in flight, then sends DISCONNECT.
  MQTTAsync_disconnectOptions ending = MQTTAsync_disconnectOptions_initializer;
  ending.timeout = static_cast<int>(timeout_ms);
  ending.context = this;
  ending.onSuccess = [](void* context, MQTTAsync_successData*) { of(context).disconnect_ended(); };
  ending.onFailure = [](void* context, MQTTAsync_failureData*) { of(context).disconnect_ended(); };
  if (MQTTAsync_disconnect(client_, &ending) != MQTTASYNC_SUCCESS) return;  // the connection was lost already
  std::unique_lock lock(ending_mutex_);
  ending_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return disconnected_; });
}

}  // namespace

std::unique_ptr<Client> make_client(Options options) {
  auto transport = std::make_unique<PahoC>(options);
  return std::make_unique<ReconnectingClient>(std::move(options), std::move(transport));
}

}  // namespace instar::mqtt

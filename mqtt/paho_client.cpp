// The only file that includes Paho: its C library, of which Debian ships an archive too, so that a device can have all
// in one program. Its callbacks run on Paho's process-wide receive thread, with Paho's own lock held: they push into
// the queue and do nothing else.
#include <MQTTAsync.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <random>

#include "core/base/assert.hpp"
#include "mqtt/backoff.hpp"
#include "mqtt/client.hpp"

namespace instar::mqtt {
namespace {

using Clock = std::chrono::steady_clock;

// A connection shorter than this does not count as success: a broker that accepts and then throws out is not hammered.
constexpr std::chrono::seconds kLastedS{5};
// Messages that Paho holds while the socket is busy or QoS 1 is unanswered; past it publish() says `unavailable`.
constexpr int kBufferedMessagesMax = 256;

// Events from Paho's thread to the owner, and an eventfd that is readable while there are some.
class EventQueue {
 public:
  explicit EventQueue(std::size_t events_max) : events_max_(events_max), fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    INSTAR_ASSERT(fd_ >= 0);
  }
  ~EventQueue() = default;  // whoever closes the queue closes fd()
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  // Paho's thread. Connects and disconnects always fit; QoS 0 messages over the bound are dropped; others wait for
  // room.
  void push(Event event) noexcept {
    std::unique_lock lock(mutex_);
    if (event.kind == EventKind::message && events_.size() >= events_max_) {
      if (event.message.qos == 0) {
        ++dropped_;
        return;
      }
      room_.wait(lock, [this] { return events_.size() < events_max_ || no_waiting_ > 0 || closed_; });
    }
    if (closed_) return;
    events_.push_back(std::move(event));
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
  }

  // Owner's thread.
  std::optional<Event> pop() {
    const std::scoped_lock lock(mutex_);
    if (events_.empty()) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    if (events_.empty()) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
    }
    room_.notify_all();
    return event;
  }

  // While one lives, push() does not wait: the owner is inside Paho, which may need the lock that a waiting callback
  // holds.
  class NoWaiting {
   public:
    explicit NoWaiting(EventQueue& queue) : queue_(queue) { queue_.change_no_waiting(1); }
    ~NoWaiting() { queue_.change_no_waiting(-1); }
    NoWaiting(const NoWaiting&) = delete;
    NoWaiting& operator=(const NoWaiting&) = delete;

   private:
    EventQueue& queue_;
  };

  // Drops what is there and all that comes.
  void close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    events_.clear();
    room_.notify_all();
  }

  int fd() const noexcept { return fd_; }
  std::uint64_t dropped() const noexcept {
    const std::scoped_lock lock(mutex_);
    return dropped_;
  }

 private:
  void change_no_waiting(int by) {
    const std::scoped_lock lock(mutex_);
    no_waiting_ += by;
    room_.notify_all();
  }

  std::size_t events_max_;
  int fd_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::deque<Event> events_;
  int no_waiting_ = 0;
  bool closed_ = false;
  std::uint64_t dropped_ = 0;
};

// What Paho says when an action has failed: the CONNACK code of the broker, or Paho's own code and words.
std::string paho_reason(const MQTTAsync_failureData* failure) {
  switch (failure != nullptr ? failure->code : MQTTASYNC_FAILURE) {
    case 1: return "the broker does not speak MQTT 3.1.1";
    case 2: return "the broker refused the client id";
    case 3: return "the broker is not available";
    case 4: return "the broker refused the user name or password";
    case 5: return "the broker does not authorize this client";
    default: break;
  }
  if (failure != nullptr && failure->message != nullptr) return failure->message;
  return MQTTAsync_strerror(failure != nullptr ? failure->code : MQTTASYNC_FAILURE);
}

const char* text_or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

class PahoClient final : public Client {
 public:
  explicit PahoClient(Options options)
      : options_(std::move(options)),
        queue_(options_.queue_events_max),
        backoff_(options_.reconnect_ms_min, options_.reconnect_ms_max) {
    timer_fd_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
    INSTAR_ASSERT(timer_fd_ >= 0 && epoll_fd_ >= 0);
    for (const int fd : {timer_fd_, queue_.fd()}) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = fd;
      INSTAR_ASSERT(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0);
    }
  }

  // Never destroyed, see LastingClient.
  ~PahoClient() override = default;
  // After stop(): nothing comes through them any more.
  void close_descriptors() noexcept {
    for (const int fd : {epoll_fd_, timer_fd_, queue_.fd()}) ::close(fd);
  }

  Status start() override;
  Status publish(Message message) override;
  std::optional<Event> take(std::uint32_t timeout_ms) override;
  bool is_connected() const noexcept override { return connected_.load(); }
  Status subscribe(Subscription subscription) override;
  Status unsubscribe(const std::string& filter) override;
  int event_fd() const noexcept override { return epoll_fd_; }
  std::uint64_t dropped_messages() const noexcept override { return queue_.dropped(); }
  void stop(std::uint32_t timeout_ms) override;

 private:
  // What a subscription's end is told with. Kept as long as the client: Paho holds a pointer to it.
  struct Asked {
    PahoClient* client = nullptr;
    std::string filter;
  };

  // Paho's thread. `context` is the client, or what was asked.
  static PahoClient& of(void* context) noexcept { return *static_cast<PahoClient*>(context); }
  static void connected(void* context, char* cause) noexcept;
  static void connection_lost(void* context, char* cause) noexcept;
  static void connect_failed(void* context, MQTTAsync_failureData* failure) noexcept;
  static void subscribe_failed(void* context, MQTTAsync_failureData* failure) noexcept;
  static int message_arrived(void* context, char* topic, int topic_bytes, MQTTAsync_message* message) noexcept;
  void disconnect_ended() noexcept;

  // Owner's thread.
  [[nodiscard]] Status check_options() const;
  [[nodiscard]] int connect();
  void attempt();
  void schedule_attempt();
  void set_timer(std::uint32_t ms);
  bool timer_fired();
  void send_subscriptions(const std::vector<Subscription>& subscriptions);
  // Keeps our own state in step with an event before the owner sees it.
  void note(const Event& event);

  Options options_;
  EventQueue queue_;
  Backoff backoff_;
  MQTTAsync client_ = nullptr;
  std::map<std::string, Asked> asked_;  // by filter
  std::mutex ending_mutex_;
  std::condition_variable ending_;
  bool disconnected_ = false;
  int timer_fd_ = -1;
  int epoll_fd_ = -1;
  std::atomic<bool> connected_ = false;
  Clock::time_point connected_at_;
  bool stopped_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

Status PahoClient::check_options() const {
  if (options_.server_uri.find("://") == std::string::npos)
    return fail(Code::invalid_argument, "server \"" + options_.server_uri +
                                            "\" is not a URI: write tcp://HOST:1883, or ssl://HOST:8883 for TLS");
  for (const std::string& file : {options_.ca_file, options_.certificate_file, options_.key_file})
    if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
      return fail(Code::invalid_argument,
                  "cannot read " + file + ", named for the connection to " + options_.server_uri);
  if (options_.keepalive_s == 0 || options_.keepalive_s > 65535)
    return fail(Code::invalid_argument, "keepalive must be 1 to 65535 seconds");
  return {};
}

Status PahoClient::start() {
  INSTAR_ASSERT(client_ == nullptr);
  INSTAR_CHECK(check_options());
  MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer;
  create.MQTTVersion = MQTTVERSION_3_1_1;
  create.maxBufferedMessages = kBufferedMessagesMax;
  create.sendWhileDisconnected = 0;
  const char* const uri = options_.server_uri.c_str();
  int code = MQTTAsync_createWithOptions(&client_, uri, options_.client_id.c_str(), MQTTCLIENT_PERSISTENCE_NONE,
                                         nullptr, &create);
  if (code == MQTTASYNC_SUCCESS)
    code = MQTTAsync_setCallbacks(client_, this, connection_lost, message_arrived, nullptr);
  if (code == MQTTASYNC_SUCCESS) code = MQTTAsync_setConnected(client_, this, connected);
  if (code != MQTTASYNC_SUCCESS) {
    if (client_ != nullptr) MQTTAsync_destroy(&client_);
    return fail(Code::invalid_argument,
                "cannot make an MQTT client for " + options_.server_uri + ": " + MQTTAsync_strerror(code));
  }
  attempt();
  return {};
}

// Paho copies what it is given here.
int PahoClient::connect() {
  MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer;
  connect.MQTTVersion = MQTTVERSION_3_1_1;
  connect.cleansession = options_.clean_session ? 1 : 0;
  connect.keepAliveInterval = static_cast<int>(options_.keepalive_s);
  connect.connectTimeout = static_cast<int>(options_.connect_timeout_s);
  connect.automaticReconnect = 0;  // Paho's own never retries a first connect that failed
  connect.context = this;
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
    will.qos = options_.will->qos;
    will.retained = options_.will->retained ? 1 : 0;
    connect.will = &will;
  }
  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  if (options_.server_uri.starts_with("ssl://") || options_.server_uri.starts_with("mqtts://")) {
    tls.trustStore = text_or_null(options_.ca_file);
    tls.keyStore = text_or_null(options_.certificate_file);
    tls.privateKey = text_or_null(options_.key_file);
    tls.enableServerCertAuth = 1;
    tls.verify = 1;  // the host name too
    connect.ssl = &tls;
  }
  return MQTTAsync_connect(client_, &connect);
}

void PahoClient::attempt() {
  const EventQueue::NoWaiting guard(queue_);
  if (const int code = connect(); code != MQTTASYNC_SUCCESS)
    queue_.push({EventKind::disconnected, {}, MQTTAsync_strerror(code)});
}

void PahoClient::connected(void* context, char* cause) noexcept {
  static_cast<void>(cause);
  of(context).queue_.push({EventKind::connected, {}, {}});
}

void PahoClient::connection_lost(void* context, char* cause) noexcept {
  PahoClient& client = of(context);
  client.connected_ = false;
  const bool known = cause != nullptr && *cause != '\0';
  client.queue_.push({EventKind::disconnected,
                      {},
                      known ? std::string("the connection was lost: ") + cause : "the connection was lost"});
}

void PahoClient::connect_failed(void* context, MQTTAsync_failureData* failure) noexcept {
  of(context).queue_.push({EventKind::disconnected, {}, paho_reason(failure)});
}

void PahoClient::set_timer(std::uint32_t ms) {
  itimerspec spec{};
  spec.it_value.tv_sec = ms / 1000;
  spec.it_value.tv_nsec = static_cast<long>(ms % 1000) * 1'000'000;
  INSTAR_ASSERT(::timerfd_settime(timer_fd_, 0, &spec, nullptr) == 0);
}

bool PahoClient::timer_fired() {
  std::uint64_t expirations = 0;
  return ::read(timer_fd_, &expirations, sizeof expirations) == sizeof expirations;
}

void PahoClient::schedule_attempt() {
  set_timer(backoff_.next_ms(static_cast<std::uint32_t>(random_()) << 1U));  // minstd_rand gives 31 bits
}

// 1: it has been taken. `topic_bytes` is 0 for a topic without a zero byte in it.
int PahoClient::message_arrived(void* context, char* topic, int topic_bytes, MQTTAsync_message* message) noexcept {
  Message arrived;
  arrived.topic = topic_bytes > 0 ? std::string(topic, static_cast<std::size_t>(topic_bytes)) : std::string(topic);
  const auto* const payload = static_cast<const std::uint8_t*>(message->payload);
  if (message->payloadlen > 0) arrived.payload.assign(payload, payload + message->payloadlen);
  arrived.qos = message->qos;
  arrived.retained = message->retained != 0;
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  of(context).queue_.push({EventKind::message, std::move(arrived), {}});
  return 1;
}

// Paho reports the SUBACK code 0x80 of a single filter as a failure.
void PahoClient::subscribe_failed(void* context, MQTTAsync_failureData* failure) noexcept {
  static_cast<void>(failure);
  const Asked& asked = *static_cast<const Asked*>(context);
  if (!asked.client->connected_) return;  // when the connection went, that has been told already
  // A client without its subscriptions is deaf: as good as not connected, and said so.
  asked.client->queue_.push({EventKind::disconnected, {}, "the broker refused the subscription to " + asked.filter});
}

void PahoClient::send_subscriptions(const std::vector<Subscription>& subscriptions) {
  const EventQueue::NoWaiting guard(queue_);
  for (const Subscription& subscription : subscriptions) {
    Asked& asked = asked_.try_emplace(subscription.filter, Asked{this, subscription.filter}).first->second;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.context = &asked;
    response.onFailure = subscribe_failed;
    const int code = MQTTAsync_subscribe(client_, subscription.filter.c_str(), subscription.qos, &response);
    if (code == MQTTASYNC_SUCCESS) continue;
    queue_.push({EventKind::disconnected, {}, std::string("cannot subscribe: ") + MQTTAsync_strerror(code)});
    return;
  }
}

void PahoClient::note(const Event& event) {
  if (event.kind == EventKind::connected) {
    connected_ = true;
    connected_at_ = Clock::now();
    set_timer(0);
    send_subscriptions(options_.subscriptions);
  } else if (event.kind == EventKind::disconnected) {
    if (connected_at_ != Clock::time_point() && Clock::now() - connected_at_ >= kLastedS) backoff_.reset();
    connected_at_ = {};
    connected_ = false;
    {
      const EventQueue::NoWaiting guard(queue_);
      const MQTTAsync_disconnectOptions now = MQTTAsync_disconnectOptions_initializer;
      // A refused subscription: the connection itself still stands. If it is lost in between, that is what was wanted.
      if (MQTTAsync_isConnected(client_) != 0) MQTTAsync_disconnect(client_, &now);
    }
    schedule_attempt();
  }
}

std::optional<Event> PahoClient::take(std::uint32_t timeout_ms) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!stopped_ && client_ != nullptr) {
    if (timer_fired()) attempt();
    if (auto event = queue_.pop()) {
      note(*event);
      return event;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return std::nullopt;
    pollfd waiting{epoll_fd_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) < 0 && errno == EINTR)
      return std::nullopt;
  }
  return std::nullopt;
}

Status PahoClient::publish(Message message) {
  if (!connected_ || stopped_) return fail(Code::unavailable, "not connected to " + options_.server_uri);
  const EventQueue::NoWaiting guard(queue_);
  MQTTAsync_message sent = MQTTAsync_message_initializer;
  sent.payload = message.payload.data();
  sent.payloadlen = static_cast<int>(message.payload.size());
  sent.qos = message.qos;
  sent.retained = message.retained ? 1 : 0;
  const int code = MQTTAsync_sendMessage(client_, message.topic.c_str(), &sent, nullptr);
  if (code != MQTTASYNC_SUCCESS)
    return fail(Code::unavailable, "cannot publish on " + message.topic + " now: " + MQTTAsync_strerror(code));
  return {};
}

Status PahoClient::subscribe(Subscription subscription) {
  options_.subscriptions.push_back(subscription);
  if (connected_ && !stopped_) send_subscriptions({subscription});
  return {};
}

Status PahoClient::unsubscribe(const std::string& filter) {
  std::erase_if(options_.subscriptions, [&](const Subscription& one) { return one.filter == filter; });
  if (!connected_ || stopped_) return {};
  const EventQueue::NoWaiting guard(queue_);
  const int code = MQTTAsync_unsubscribe(client_, filter.c_str(), nullptr);
  if (code != MQTTASYNC_SUCCESS)
    return fail(Code::unavailable, "cannot unsubscribe from " + filter + " now: " + MQTTAsync_strerror(code));
  return {};
}

void PahoClient::disconnect_ended() noexcept {
  const std::scoped_lock lock(ending_mutex_);
  disconnected_ = true;
  ending_.notify_all();
}

void PahoClient::stop(std::uint32_t timeout_ms) {
  if (stopped_) return;
  stopped_ = true;
  connected_ = false;
  set_timer(0);
  queue_.close();
  if (client_ == nullptr) return;
  const EventQueue::NoWaiting guard(queue_);
  if (MQTTAsync_isConnected(client_) == 0) return;
  // Paho lets what is in flight finish within the time given, then sends DISCONNECT.
  MQTTAsync_disconnectOptions ending = MQTTAsync_disconnectOptions_initializer;
  ending.timeout = static_cast<int>(timeout_ms);
  ending.context = this;
  ending.onSuccess = [](void* context, MQTTAsync_successData*) { of(context).disconnect_ended(); };
  ending.onFailure = [](void* context, MQTTAsync_failureData*) { of(context).disconnect_ended(); };
  if (MQTTAsync_disconnect(client_, &ending) != MQTTASYNC_SUCCESS)
    return;  // it went by itself: nothing left to be polite to
  std::unique_lock lock(ending_mutex_);
  ending_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return disconnected_; });
}

// A PahoClient that is stopped at its end and never freed. Paho's threads may still be at work on a client while
// MQTTAsync_destroy() frees it (https://github.com/eclipse-paho/paho.mqtt.c/issues/1669; here a command once ended with
// a corrupted heap, among some 30,000 that did not). A process makes one client or two: what stays is some KB, and
// Paho's threads, which have nothing to do.
class LastingClient final : public Client {
 public:
  explicit LastingClient(Options options) : client_(*new PahoClient(std::move(options))) {}
  ~LastingClient() override {
    client_.stop(0);
    client_.close_descriptors();
  }
  LastingClient(const LastingClient&) = delete;
  LastingClient& operator=(const LastingClient&) = delete;

  Status start() override { return client_.start(); }
  Status publish(Message message) override { return client_.publish(std::move(message)); }
  std::optional<Event> take(std::uint32_t timeout_ms) override { return client_.take(timeout_ms); }
  bool is_connected() const noexcept override { return client_.is_connected(); }
  Status subscribe(Subscription subscription) override { return client_.subscribe(std::move(subscription)); }
  Status unsubscribe(const std::string& filter) override { return client_.unsubscribe(filter); }
  int event_fd() const noexcept override { return client_.event_fd(); }
  std::uint64_t dropped_messages() const noexcept override { return client_.dropped_messages(); }
  void stop(std::uint32_t timeout_ms) override { client_.stop(timeout_ms); }

 private:
  PahoClient& client_;
};

}  // namespace

std::unique_ptr<Client> make_paho_client(Options options) {
  return std::make_unique<LastingClient>(std::move(options));
}

}  // namespace instar::mqtt

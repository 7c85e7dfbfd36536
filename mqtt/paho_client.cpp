// The only file that includes Paho. Its callbacks run on Paho's process-wide receive thread, with Paho's own lock held: they push
// into the queue and do nothing else.
#include <mqtt/async_client.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
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
  ~EventQueue() { ::close(fd_); }
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  // Paho's thread. Connects and disconnects always fit; QoS 0 messages over the bound are dropped; others wait for room.
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

  // While one lives, push() does not wait: the owner is inside Paho, which may need the lock that a waiting callback holds.
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

std::string paho_reason(const ::mqtt::token& token) {
  switch (const int rc = token.get_return_code()) {
    case 1: return "the broker does not speak MQTT 3.1.1";
    case 2: return "the broker refused the client id";
    case 3: return "the broker is not available";
    case 4: return "the broker refused the user name or password";
    case 5: return "the broker does not authorize this client";
    default: return ::mqtt::exception(rc).what();
  }
}

// Hands the end of an action to a function; Paho keeps a pointer to it.
class Listener final : public virtual ::mqtt::iaction_listener {
 public:
  using Handler = std::function<void(const ::mqtt::token&, bool ok)>;
  explicit Listener(Handler handler) : handler_(std::move(handler)) {}
  void on_failure(const ::mqtt::token& token) override { handler_(token, false); }
  void on_success(const ::mqtt::token& token) override { handler_(token, true); }

 private:
  Handler handler_;
};

class PahoClient final : public Client {
 public:
  explicit PahoClient(Options options)
      : options_(std::move(options)),
        queue_(options_.queue_events_max),
        backoff_(options_.reconnect_ms_min, options_.reconnect_ms_max),
        on_connect_([this](const ::mqtt::token& token, bool ok) { connect_ended(token, ok); }),
        on_subscribe_([this](const ::mqtt::token& token, bool ok) { subscribe_ended(token, ok); }) {
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

  ~PahoClient() override {
    stop(0);
    client_.reset();  // joins nothing, but no callback comes after it
    ::close(epoll_fd_);
    ::close(timer_fd_);
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
  // Paho's thread.
  void connect_ended(const ::mqtt::token& token, bool ok) noexcept {
    if (!ok) queue_.push({EventKind::disconnected, {}, paho_reason(token)});
  }
  void subscribe_ended(const ::mqtt::token& token, bool ok) noexcept;
  void message_arrived(const ::mqtt::const_message_ptr& message) noexcept;

  // Owner's thread.
  [[nodiscard]] Status check_options() const;
  ::mqtt::connect_options connect_options() const;
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
  Listener on_connect_;
  Listener on_subscribe_;
  std::unique_ptr<::mqtt::async_client> client_;
  int timer_fd_ = -1;
  int epoll_fd_ = -1;
  std::atomic<bool> connected_ = false;
  Clock::time_point connected_at_;
  bool stopped_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

Status PahoClient::check_options() const {
  if (options_.server_uri.find("://") == std::string::npos)
    return fail(Code::invalid_argument,
                "server \"" + options_.server_uri + "\" is not a URI: write tcp://HOST:1883, or ssl://HOST:8883 for TLS");
  for (const std::string& file : {options_.ca_file, options_.certificate_file, options_.key_file})
    if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
      return fail(Code::invalid_argument, "cannot read " + file + ", named for the connection to " + options_.server_uri);
  if (options_.keepalive_s == 0 || options_.keepalive_s > 65535)
    return fail(Code::invalid_argument, "keepalive must be 1 to 65535 seconds");
  return {};
}

Status PahoClient::start() {
  INSTAR_ASSERT(!client_);
  INSTAR_CHECK(check_options());
  try {
    ::mqtt::create_options create(MQTTVERSION_3_1_1, kBufferedMessagesMax);
    create.set_send_while_disconnected(false);
    client_ = std::make_unique<::mqtt::async_client>(options_.server_uri, options_.client_id, create, nullptr);
    client_->set_message_callback([this](const ::mqtt::const_message_ptr& message) { message_arrived(message); });
    client_->set_connected_handler([this](const std::string&) { queue_.push({EventKind::connected, {}, {}}); });
    client_->set_connection_lost_handler([this](const std::string& cause) {
      connected_ = false;
      queue_.push({EventKind::disconnected, {}, cause.empty() ? "the connection was lost" : "the connection was lost: " + cause});
    });
  } catch (const std::exception& error) {
    client_.reset();
    return fail(Code::invalid_argument, "cannot make an MQTT client for " + options_.server_uri + ": " + error.what());
  }
  attempt();
  return {};
}

::mqtt::connect_options PahoClient::connect_options() const {
  ::mqtt::connect_options connect;
  connect.set_mqtt_version(MQTTVERSION_3_1_1);
  connect.set_clean_session(options_.clean_session);
  connect.set_keep_alive_interval(static_cast<int>(options_.keepalive_s));
  connect.set_connect_timeout(static_cast<int>(options_.connect_timeout_s));
  connect.set_automatic_reconnect(false);  // Paho's own never retries a first connect that failed
  if (!options_.username.empty()) {
    connect.set_user_name(options_.username);
    connect.set_password(options_.password);
  }
  if (options_.will.has_value()) {
    const Message& will = *options_.will;
    connect.set_will_message(::mqtt::message(will.topic, will.payload.data(), will.payload.size(), will.qos, will.retained));
  }
  if (options_.server_uri.starts_with("ssl://") || options_.server_uri.starts_with("mqtts://")) {
    ::mqtt::ssl_options tls;
    if (!options_.ca_file.empty()) tls.set_trust_store(options_.ca_file);
    if (!options_.certificate_file.empty()) tls.set_key_store(options_.certificate_file);
    if (!options_.key_file.empty()) tls.set_private_key(options_.key_file);
    tls.set_enable_server_cert_auth(true);
    tls.set_verify(true);  // the host name too
    connect.set_ssl(std::move(tls));
  }
  return connect;
}

void PahoClient::attempt() {
  try {
    const EventQueue::NoWaiting guard(queue_);
    client_->connect(connect_options(), nullptr, on_connect_);
  } catch (const std::exception& error) {
    queue_.push({EventKind::disconnected, {}, error.what()});
  }
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

void PahoClient::message_arrived(const ::mqtt::const_message_ptr& message) noexcept {
  if (!message) return;
  Bytes payload;
  if (const auto& bytes = message->get_payload_ref(); !bytes.empty()) payload = to_bytes(std::string_view(bytes.data(), bytes.length()));
  queue_.push({EventKind::message, {message->get_topic(), std::move(payload), message->get_qos(), message->is_retained()}, {}});
}

void PahoClient::subscribe_ended(const ::mqtt::token& token, bool ok) noexcept {
  // Paho reports the SUBACK code 0x80 of a single filter as a failure. When the connection went, that has been told already.
  if (ok || !connected_) return;
  std::string filter;
  if (const auto topics = token.get_topics(); topics && !topics->empty()) filter = (*topics)[0];
  // A client without its subscriptions is deaf: as good as not connected, and said so.
  queue_.push({EventKind::disconnected, {}, "the broker refused the subscription to " + filter});
}

void PahoClient::send_subscriptions(const std::vector<Subscription>& subscriptions) {
  try {
    const EventQueue::NoWaiting guard(queue_);
    for (const Subscription& subscription : subscriptions)
      client_->subscribe(subscription.filter, subscription.qos, nullptr, on_subscribe_);
  } catch (const std::exception& error) {
    queue_.push({EventKind::disconnected, {}, std::string("cannot subscribe: ") + error.what()});
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
    try {
      const EventQueue::NoWaiting guard(queue_);
      if (client_->is_connected()) client_->disconnect(0);  // a refused subscription: the connection itself still stands
    } catch (const std::exception&) {
      // Lost in between, which is what was wanted.
    }
    schedule_attempt();
  }
}

std::optional<Event> PahoClient::take(std::uint32_t timeout_ms) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!stopped_ && client_) {
    if (timer_fired()) attempt();
    if (auto event = queue_.pop()) {
      note(*event);
      return event;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return std::nullopt;
    pollfd waiting{epoll_fd_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) < 0 && errno == EINTR) return std::nullopt;
  }
  return std::nullopt;
}

Status PahoClient::publish(Message message) {
  if (!connected_ || stopped_) return fail(Code::unavailable, "not connected to " + options_.server_uri);
  try {
    const EventQueue::NoWaiting guard(queue_);
    client_->publish(::mqtt::make_message(message.topic, message.payload.data(), message.payload.size(), message.qos, message.retained));
  } catch (const std::exception& error) {
    return fail(Code::unavailable, "cannot publish on " + message.topic + " now: " + error.what());
  }
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
  try {
    const EventQueue::NoWaiting guard(queue_);
    client_->unsubscribe(filter);
  } catch (const std::exception& error) {
    return fail(Code::unavailable, "cannot unsubscribe from " + filter + " now: " + error.what());
  }
  return {};
}

void PahoClient::stop(std::uint32_t timeout_ms) {
  if (stopped_) return;
  stopped_ = true;
  connected_ = false;
  set_timer(0);
  queue_.close();
  if (!client_) return;
  const EventQueue::NoWaiting guard(queue_);
  try {
    // Paho lets what is in flight finish within the time given, then sends DISCONNECT.
    if (client_->is_connected()) client_->disconnect(static_cast<int>(timeout_ms))->wait_for(std::chrono::milliseconds(timeout_ms));
  } catch (const std::exception&) {
    // The connection went by itself: nothing left to be polite to.
  }
}

}  // namespace

std::unique_ptr<Client> make_paho_client(Options options) {
  return std::make_unique<PahoClient>(std::move(options));
}

}  // namespace instar::mqtt

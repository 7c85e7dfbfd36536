#include "mqtt/reconnecting_client.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/assert.hpp"
#include "mqtt/option_checks.hpp"
#include "mqtt/wire_tap.hpp"

namespace instar::mqtt {
namespace {

// A shorter connection does not count as a success. So a broker that accepts a connection and then ends it does not get
// one attempt right after the other.
constexpr std::chrono::seconds kLastedS{5};
// A connection that ends after a longer time was a good one: that the link is gone needs no cause.
constexpr std::chrono::seconds kWasGoodS{60};
// So many in a row that ended sooner, and the link may not be what ends them: another client of the same name, perhaps.
constexpr std::uint64_t kManyShortLived = 32;
// A connection that goes on with the session of the one before, whose subscriptions the broker had granted, makes them
// again only after this time: with them all retained messages come again, some KB. Meanwhile what the session has is
// relied on, which a broker that was restarted may have from an earlier day.
constexpr std::uint32_t kSubscribeAgainMs = 120'000;
// Bytes of a PUBLISH packet beside topic and payload, at most.
constexpr std::size_t kPublishHeadBytes = 1 + 4 + 2 + 2;
// The owner is given the end of the connection first: it may have something for the next one to open with.
constexpr std::uint32_t kAtOnceMs = 1;

// A PUBLISH of QoS 0.
Bytes publish_packet(const Message& message) {
  constexpr std::uint8_t kPublish = 0x30;
  Bytes packet{kPublish};
  std::size_t left = 2 + message.topic.size() + message.payload.size();
  do {
    const auto digit = static_cast<std::uint8_t>(left & 0x7fU);
    left >>= 7U;
    packet.push_back(left != 0 ? digit | 0x80U : digit);
  } while (left != 0);
  packet.push_back(static_cast<std::uint8_t>(message.topic.size() >> 8U));
  packet.push_back(static_cast<std::uint8_t>(message.topic.size() & 0xffU));
  packet.insert(packet.end(), message.topic.begin(), message.topic.end());
  packet.insert(packet.end(), message.payload.begin(), message.payload.end());
  return packet;
}

bool is_power_of_two(std::uint64_t number) {
  return number != 0 && (number & (number - 1)) == 0;
}

}  // namespace

ReconnectingClient::ReconnectingClient(Options options, std::unique_ptr<Transport> transport)
    : options_(std::move(options)),
      transport_(std::move(transport)),
      backoff_(options_.reconnect_ms_min, options_.reconnect_ms_max),
      timer_fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  INSTAR_ASSERT(timer_fd_ >= 0 && epoll_fd_ >= 0);
  for (const int fd : {timer_fd_, queue().fd(), diagnosis_.fd()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    INSTAR_ASSERT(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0);
  }
}

ReconnectingClient::~ReconnectingClient() {
  stop(0);
  for (const int fd : {epoll_fd_, timer_fd_}) ::close(fd);
  if (created_) static_cast<void>(transport_.release());  // it is never deleted, see Transport
}

Status ReconnectingClient::start() {
  INSTAR_ASSERT(!created_);
  INSTAR_CHECK(check_options(options_));
  if (const Status created = transport_->create(); !created.has_value())
    return fail(Code::invalid_argument,
                "cannot make an MQTT client for " + options_.server_uri + ": " + created.error().message);
  created_ = true;
  attempt();
  return {};
}

void ReconnectingClient::attempt() {
  const EventQueue::NoWaiting guard(queue());
  forget_traced_causes();
  forget_cut_packet();
  if (const Status begun = transport_->connect(); !begun.has_value())
    queue().push({EventKind::disconnected, {}, begun.error().message});
}

void ReconnectingClient::set_timer(std::uint32_t ms) {
  itimerspec spec{};
  spec.it_value.tv_sec = ms / 1000;
  spec.it_value.tv_nsec = static_cast<long>(ms % 1000) * 1'000'000;
  INSTAR_ASSERT(::timerfd_settime(timer_fd_, 0, &spec, nullptr) == 0);
}

bool ReconnectingClient::timer_fired() {
  std::uint64_t expirations = 0;
  return ::read(timer_fd_, &expirations, sizeof expirations) == sizeof expirations;
}

void ReconnectingClient::schedule_attempt() {
  set_timer(backoff_.next_ms(static_cast<std::uint32_t>(random_()) << 1U));  // minstd_rand gives 31 bits
}

void ReconnectingClient::send_subscriptions(const std::vector<Subscription>& subscriptions) {
  const EventQueue::NoWaiting guard(queue());
  for (const Subscription& subscription : subscriptions) {
    ++subscriptions_sent_;
    const Status sent = transport_->subscribe(subscription);
    if (sent.has_value()) continue;
    queue().push({EventKind::disconnected, {}, "cannot subscribe: " + sent.error().message});
    return;
  }
}

void ReconnectingClient::subscribe_again() {
  has_subscriptions_ = true;
  send_subscriptions(options_.subscriptions);
}

bool ReconnectingClient::is_refusal_of_what_is_not_needed(const Event& event) const noexcept {
  if (event.kind != EventKind::disconnected || event.message.topic.empty()) return false;
  return std::ranges::none_of(options_.subscriptions, [&](const Subscription& one) {
    return one.is_needed && one.filter == event.message.topic;
  });
}

void ReconnectingClient::note(Event& event) {
  if (event.kind == EventKind::connected) {
    event.is_opened = was_sent_behind_connect();
    send_behind_connect({});
    transport_->reports().set_connected(true);
    connected_at_ = Clock::now();
    subscriptions_sent_ = 0;
    transport_->reports().forget_granted();
    const bool goes_on = std::exchange(comes_back_, false) && event.is_lasting && has_subscriptions_;
    set_timer(goes_on ? kSubscribeAgainMs : 0);
    if (!goes_on) subscribe_again();
  } else if (event.kind == EventKind::disconnected) {
    const auto lasted = connected_at_ == Clock::time_point() ? Clock::duration::zero() : Clock::now() - connected_at_;
    if (lasted >= kLastedS) backoff_.reset();
    connected_at_ = {};
    has_subscriptions_ =
        has_subscriptions_ && event.message.topic.empty() && transport_->reports().granted() >= subscriptions_sent_;
    transport_->reports().set_connected(false);
    {
      // After a refused subscription the connection still exists, and is ended here. If it was lost meanwhile, that is
      // fine.
      const EventQueue::NoWaiting guard(queue());
      transport_->drop();
    }
    send_behind_connect({});
    if (is_to_come_back(event, lasted)) return set_timer(kAtOnceMs);
    if (!std::exchange(comes_back_, false)) explain(event, lasted);
    if (!diagnosis_.is_running()) schedule_attempt();
  }
}

bool ReconnectingClient::is_to_come_back(const Event& event, Clock::duration lasted) {
  if (lasted < kLastedS || takes_over_ || !event.message.topic.empty()) return false;
  short_lived_ = lasted < kWasGoodS ? short_lived_ + 1 : 0;
  if (short_lived_ >= kManyShortLived && is_power_of_two(short_lived_)) return false;
  failures_ = 0;
  return comes_back_ = true;
}

void ReconnectingClient::explain(const Event& event, Clock::duration lasted) {
  if (std::exchange(takes_over_, false)) return;
  if (const auto& filter = event.message.topic; !filter.empty()) {
    const auto finding = found(Fault::may_not_read, {{"topic", filter}});
    explained_ = Event{EventKind::explained, event.message, finding.text(), finding.fault};
    return;
  }
  const bool is_other = std::exchange(failure_, event.reason) != event.reason;
  failures_ = is_other ? 1 : failures_ + 1;
  if (is_other) explanation_.reset();
  if (is_power_of_two(failures_) || !explanation_)
    diagnosis_.begin({options_, sent_, event.reason, lasted > Clock::duration::zero(), {}});
  else
    explained_ = Event{EventKind::explained, {}, explanation_->text(), explanation_->fault};
}

std::optional<Event> ReconnectingClient::take_explanation() {
  if (explained_) return std::exchange(explained_, std::nullopt);
  auto finding = diagnosis_.take();
  if (!finding) return std::nullopt;
  if (!is_connected() && connected_at_ == Clock::time_point()) schedule_attempt();
  if (!asks_why_ && finding->fault == Fault::unknown) finding->sentence = failure_;
  if (!std::exchange(asks_why_, false)) explanation_ = *finding;
  takes_over_ = false;
  return Event{EventKind::explained, {}, finding->text(), finding->fault};
}

void ReconnectingClient::open_with(Message message) {
  // Not behind that of a diagnosis.
  if (is_connected() || stopped_ || diagnosis_.is_running()) return;
  send_behind_connect(publish_packet(message));
}

std::size_t ReconnectingClient::unacknowledged() {
  if (!can_send()) return 0;
  const EventQueue::NoWaiting guard(queue());
  return transport_->unacknowledged();
}

void ReconnectingClient::find_out_why(Silence silence) {
  if (diagnosis_.is_running() || !can_send()) return;
  asks_why_ = true;
  takes_over_ = silence.same_id;
  diagnosis_.begin({options_, sent_, {}, false, std::move(silence)});
}

std::optional<Event> ReconnectingClient::take(std::uint32_t timeout_ms) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!stopped_ && created_) {
    if (timer_fired()) is_connected() ? subscribe_again() : attempt();
    if (auto event = queue().pop()) {
      if (is_refusal_of_what_is_not_needed(*event)) continue;
      note(*event);
      return event;
    }
    if (auto explanation = take_explanation()) return explanation;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return std::nullopt;
    pollfd waiting{epoll_fd_, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) < 0 && errno == EINTR)
      return std::nullopt;
  }
  return std::nullopt;
}

Status ReconnectingClient::publish(Message message) {
  if (!can_send()) return fail(Code::unavailable, "not connected to " + options_.server_uri);
  const EventQueue::NoWaiting guard(queue());
  const Status sent = transport_->publish(message);
  if (!sent.has_value())
    return fail(Code::unavailable, "cannot publish on " + message.topic + " now: " + sent.error().message);
  sent_.packet_bytes_max =
      std::max(sent_.packet_bytes_max, kPublishHeadBytes + message.topic.size() + message.payload.size());
  sent_.with_qos = sent_.with_qos || message.qos != wire::Qos::at_most_once;
  sent_.retained = sent_.retained || message.retain == wire::Retain::yes;
  return {};
}

Status ReconnectingClient::subscribe(Subscription subscription) {
  options_.subscriptions.push_back(subscription);
  if (can_send())
    send_subscriptions({subscription});
  else
    has_subscriptions_ = false;
  return {};
}

Status ReconnectingClient::unsubscribe(const std::string& filter) {
  std::erase_if(options_.subscriptions, [&](const Subscription& one) { return one.filter == filter; });
  if (!can_send()) return {};
  const EventQueue::NoWaiting guard(queue());
  const Status sent = transport_->unsubscribe(filter);
  if (!sent.has_value())
    return fail(Code::unavailable, "cannot unsubscribe from " + filter + " now: " + sent.error().message);
  return {};
}

void ReconnectingClient::stop(std::uint32_t timeout_ms) {
  if (stopped_) return;
  stopped_ = true;
  transport_->reports().set_connected(false);
  set_timer(0);
  queue().close();
  diagnosis_.stop();
  if (!created_) return;
  const EventQueue::NoWaiting guard(queue());
  transport_->disconnect(timeout_ms);
}

}  // namespace instar::mqtt

// A client for tests: the test plays the broker.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "mqtt/client.hpp"

namespace instar::mqtt {

class FakeClient final : public Client {
 public:
  // --- what the test sees and does
  std::vector<Message> published;
  std::vector<Subscription> subscriptions;
  bool started = false;
  bool stopped = false;
  // publish() answers `unavailable` at this call and all later ones, counted from 1; 0 = never.
  std::size_t fail_publish_at = 0;

  void connect() {
    connected_ = true;
    events_.push_back({EventKind::connected, {}, {}});
  }
  void disconnect(std::string reason) {
    connected_ = false;
    events_.push_back({EventKind::disconnected, {}, std::move(reason)});
  }
  void deliver(Message message) { events_.push_back({EventKind::message, std::move(message), {}}); }

  // --- Client
  Status start() override {
    started = true;
    return {};
  }
  Status publish(Message message) override {
    ++publish_calls_;
    if (!connected_) return fail(Code::unavailable, "not connected");
    if (fail_publish_at != 0 && publish_calls_ >= fail_publish_at) return fail(Code::unavailable, "buffer full");
    published.push_back(std::move(message));
    return {};
  }
  std::optional<Event> take(std::uint32_t /*timeout_ms*/) override {
    if (events_.empty()) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  bool is_connected() const noexcept override { return connected_; }
  Status subscribe(Subscription subscription) override {
    subscriptions.push_back(std::move(subscription));
    return {};
  }
  Status unsubscribe(const std::string& filter) override {
    std::erase_if(subscriptions, [&](const Subscription& one) { return one.filter == filter; });
    return {};
  }
  int event_fd() const noexcept override { return -1; }
  std::uint64_t dropped_messages() const noexcept override { return 0; }
  void stop(std::uint32_t /*timeout_ms*/) override {
    stopped = true;
    connected_ = false;
    events_.clear();
  }

 private:
  std::deque<Event> events_;
  bool connected_ = false;
  std::size_t publish_calls_ = 0;
};

}  // namespace instar::mqtt

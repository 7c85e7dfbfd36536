// A client for tests, in which the test takes the part of the broker.
#pragma once

#include <deque>
#include <vector>

#include "mqtt/client.hpp"

namespace instar::mqtt {

class FakeClient final : public Client {
 public:
  // --- what the test sees and does
  std::vector<Message> published;
  std::vector<Subscription> subscriptions;
  std::vector<Silence> asked_why;
  bool started = false;
  bool stopped = false;
  // publish() returns `unavailable` from this call on, counted from 1. 0 = never.
  std::size_t fail_publish_at = 0;

  void connect();
  void disconnect(std::string reason);
  void deliver(Message message);
  void explain(Fault fault, std::string words);

  // --- Client
  Status start() override;
  Status publish(Message message) override;
  std::optional<Event> take(std::uint32_t timeout_ms) override;
  bool is_connected() const noexcept override { return connected_; }
  Status subscribe(Subscription subscription) override;
  Status unsubscribe(const std::string& filter) override;
  void find_out_why(Silence silence) override { asked_why.push_back(std::move(silence)); }
  int event_fd() const noexcept override { return -1; }
  std::uint64_t dropped_messages() const noexcept override { return 0; }
  void stop(std::uint32_t timeout_ms) override;

 private:
  std::deque<Event> events_;
  bool connected_ = false;
  std::size_t publish_calls_ = 0;
};

}  // namespace instar::mqtt

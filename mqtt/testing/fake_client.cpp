#include "mqtt/testing/fake_client.hpp"

#include <utility>

namespace instar::mqtt {

void FakeClient::connect() {
  connected_ = true;
  events_.push_back({EventKind::connected, {}, {}});
}

void FakeClient::disconnect(std::string reason) {
  connected_ = false;
  events_.push_back({EventKind::disconnected, {}, std::move(reason)});
}

void FakeClient::explain(Fault fault, std::string words) {
  events_.push_back({EventKind::explained, {}, std::move(words), fault});
}

void FakeClient::deliver(Message message) {
  events_.push_back({EventKind::message, std::move(message), {}});
}

Status FakeClient::start() {
  started = true;
  return {};
}

Status FakeClient::publish(Message message) {
  ++publish_calls_;
  if (!connected_) return fail(Code::unavailable, "not connected");
  if (fail_publish_at != 0 && publish_calls_ >= fail_publish_at) return fail(Code::unavailable, "buffer full");
  published.push_back(std::move(message));
  return {};
}

std::optional<Event> FakeClient::take(std::uint32_t /*timeout_ms*/) {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Status FakeClient::subscribe(Subscription subscription) {
  subscriptions.push_back(std::move(subscription));
  return {};
}

Status FakeClient::unsubscribe(const std::string& filter) {
  std::erase_if(subscriptions, [&](const Subscription& one) { return one.filter == filter; });
  return {};
}

void FakeClient::stop(std::uint32_t /*timeout_ms*/) {
  stopped = true;
  connected_ = false;
  events_.clear();
}

}  // namespace instar::mqtt

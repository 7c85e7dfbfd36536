#include "mqtt/transport.hpp"

#include <string>
#include <utility>

#include "core/base/limits.hpp"
#include "mqtt/packet_bound.hpp"

namespace instar::mqtt {

void Reports::connect_failed(const ConnectFailure& failure) noexcept {
  queue_.push({EventKind::disconnected, {}, failure_text(failure, options_)});
}

void Reports::connection_lost(std::string_view cause) noexcept {
  connected_ = false;
  std::string reason = "the connection was lost";
  if (const auto bytes = take_refused_packet(); bytes > 0) {
    reason = "the broker sent a packet of " + std::to_string(bytes) + " bytes, at most " +
             std::to_string(limits::kPacketBytesMax) + " are taken: the connection was ended";
  } else if (!cause.empty()) {
    reason.append(": ").append(cause);
  }
  queue_.push({EventKind::disconnected, {}, std::move(reason)});
}

void Reports::subscription_refused(const std::string& filter) noexcept {
  if (!connected_) return;  // when the connection went, that has been reported already
  // A client without its subscriptions receives nothing: as good as not connected, and reported so.
  Event event{EventKind::disconnected, {}, "the broker refused the subscription to " + filter};
  event.message.topic = filter;
  queue_.push(std::move(event));
}

}  // namespace instar::mqtt

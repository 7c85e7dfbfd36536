#include "mqtt/transport.hpp"

#include <string>
#include <utility>

#include "core/base/limits.hpp"
#include "mqtt/packet_bound.hpp"
#include "mqtt/wire_tap.hpp"

namespace instar::mqtt {

void Reports::connect_failed(const ConnectFailure& failure) noexcept {
  queue_.push({EventKind::disconnected, {}, failure_text(failure, options_)});
}

void Reports::connected(bool is_lasting) noexcept {
  Event event{EventKind::connected, {}, {}};
  event.is_lasting = is_lasting;
  queue_.push(std::move(event));
}

// A message of QoS 0 is its topic and its payload. What comes again of itself, with QoS 1, nobody misses.
void Reports::report_cut_message() noexcept {
  const auto packet = options_.takes_cut_messages ? take_cut_packet() : std::nullopt;
  if (!packet || packet->start.size() < 2) return;
  const std::size_t topic_bytes = packet->start[0] * 256U + packet->start[1];
  const std::size_t head_bytes = 2 + topic_bytes;
  if (packet->start.size() <= head_bytes || packet->bytes <= head_bytes) return;
  const auto topic_end = packet->start.begin() + static_cast<std::ptrdiff_t>(head_bytes);
  Event event{EventKind::cut_off, {}, {}};
  event.message.topic.assign(packet->start.begin() + 2, topic_end);
  event.message.payload.assign(topic_end, packet->start.end());
  event.bytes = packet->bytes - head_bytes;
  queue_.push(std::move(event));
}

void Reports::connection_lost(std::string_view cause) noexcept {
  connected_ = false;
  report_cut_message();
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

// What devices send.
#include <utility>

#include "broker-plugin/service_impl.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

Status store_is_busy() {
  return fail(Code::unavailable, "the store is behind or down; the device sends it again");
}

}  // namespace

Status ServiceImpl::take_device_message(const Sender& sender, const wire::Topic& topic, ByteView payload) {
  if (sender.identity_known && connected_.insert(topic.device).second) tracker_.is_there(topic.device);
  switch (topic.kind) {
    case wire::TopicKind::device_hello: return take_hello(sender, topic.device, payload);
    case wire::TopicKind::device_report: return take_report(sender, topic.device, payload);
    case wire::TopicKind::device_fetch: return take_fetch(topic.device, payload);
    default: return fail(Code::refused, "only the broker publishes here");
  }
}

Status ServiceImpl::take_hello(const Sender& sender, const DeviceId& device, ByteView payload) {
  if (is_behind()) return store_is_busy();
  const auto* known = tracker_.device(device);
  const auto pinned = known == nullptr ? std::nullopt : std::optional(known->record.key);
  const auto via = sender.identity_known ? rollout::Via::own_connection : rollout::Via::bridge;
  opener_->hello(device, payload, pinned,
                 [this, device, via](const Result<wire::Hello>& hello) { hello_opened(device, via, hello); });
  return {};
}

void ServiceImpl::hello_opened(const DeviceId& device, rollout::Via via, const Result<wire::Hello>& hello) {
  if (commits_.is_down()) return;
  if (!hello.has_value()) return refuse_device(device, hello.error());
  rollout::Effects effects;
  const auto status = tracker_.hello(*hello, via, now_, effects);
  if (!status.has_value()) return refuse_device(device, status.error());
  // It may have gone while its hello was opened.
  if (via == rollout::Via::own_connection && !connected_.contains(hello->device)) tracker_.gone(hello->device, now_);
  carry_out(std::move(effects));
}

// Reports are believed by the key that the device was first seen with, or, where the deployment says so, by its
// connection.
Status ServiceImpl::take_report(const Sender& sender, const DeviceId& device, ByteView payload) {
  if (is_behind()) return store_is_busy();
  const auto* known = tracker_.device(device);
  if (known == nullptr) {
    const Error error{Code::not_found, "device " + device.str() + " is not known here: it must say hello first"};
    // Its hello may be in the opener still.
    if (opener_->pending() > 0)
      return fail(Code::unavailable, "the hello of device " + device.str() + " is still being checked");
    refuse_device(device, error);
    return {};
  }
  if (options_.trust_connections && sender.identity_known) {
    report_opened(device, open_report(device, payload, std::nullopt));
  } else {
    opener_->report(device, payload, known->record.key,
                    [this, device](const Result<wire::Report>& report) { report_opened(device, report); });
  }
  return {};
}

void ServiceImpl::report_opened(const DeviceId& device, const Result<wire::Report>& report) {
  if (commits_.is_down()) return;
  if (!report.has_value()) return refuse_device(device, report.error());
  rollout::Effects effects;
  const auto status = tracker_.report(*report, now_, effects);
  if (!status.has_value()) return refuse_device(device, status.error());
  carry_out(std::move(effects));
}

// By an ack with the reason, so that the device can say why; a stale hello over a bridge is nobody's fault.
void ServiceImpl::refuse_device(const DeviceId& device, const Error& error) {
  complaints_.add("a message of device " + device.str(), error, now_.monotonic);
  if (error.code == Code::stale) return;
  const auto* known = tracker_.device(device);
  wire::Ack ack{known == nullptr ? 0 : known->record.applied_sequence, error.code, error.message, 0, 0};
  commits_.when_durable({}, [this, device, ack = std::move(ack)] { outbox_.ack(device, ack); });
}

Status ServiceImpl::take_fetch(const DeviceId& device, ByteView payload) {
  INSTAR_TRY(const auto fetch, wire::decode_fetch(payload));
  if (tracker_.device(device) == nullptr) {
    return fail(Code::not_found, "device " + device.str() + " is not known here: it must say hello first");
  }
  tracker_.heard(device, now_);
  chunks_.fetch(device, fetch, now_.monotonic);
  return {};
}

wire::ChunkFault ServiceImpl::account(const SentPiece& piece) {
  switch (tracker_.charge(piece.device, piece.rollout, piece.bytes)) {
    case rollout::Charge::ok: break;
    case rollout::Charge::device_spent: return wire::ChunkFault::over_budget;
    case rollout::Charge::rollout_spent:
    case rollout::Charge::wait: return wire::ChunkFault::busy;
  }
  if (transfer_log_) transfer_log_(piece.device, piece.pack, piece.ordinal, piece.offset, piece.bytes);
  return wire::ChunkFault::none;
}

bool ServiceImpl::is_behind() const {
  return commits_.is_behind() || opener_->pending() >= limits::kVerifyQueueMax;
}

}  // namespace instar::broker

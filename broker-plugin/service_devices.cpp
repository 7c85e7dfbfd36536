// What devices and uploading operators send.
#include <algorithm>
#include <utility>

#include "broker-plugin/service_impl.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

// When so many devices are acked in a turn the broker is busy, and the next acks wait a little: what a device says in
// the meantime is confirmed by one message, not by many. A message costs the broker more than all of our own work for a
// report.
constexpr std::size_t kBusyAcks = 32;
constexpr std::int64_t kBusyPauseMs = 50;
constexpr std::size_t kAcksATick = 8;

Status store_is_busy() {
  return fail(Code::unavailable, "the store is behind or down; the device sends it again");
}

}  // namespace

Status ServiceImpl::take_hello(const Sender& sender, const DeviceId& device, ByteView payload) {
  if (is_behind()) return store_is_busy();
  const auto* known = tracker_.device(device);
  const auto pinned = known == nullptr ? std::nullopt : std::optional(known->record.key);
  const auto via = sender.identity_known ? rollout::Via::own_connection : rollout::Via::bridge;
  opener_->hello(device, payload, pinned, [this, device, via](Result<wire::Hello> hello) {
    if (store_is_down_) return;
    if (const auto status = heed_hello(via, hello); !status.has_value()) refuse_device(device, status.error());
  });
  return {};
}

void ServiceImpl::note_connected(const Sender& sender, const DeviceId& device) {
  if (sender.identity_known && connected_.insert(device).second) tracker_.is_there(device);
}

Status ServiceImpl::heed_hello(rollout::Via via, const Result<wire::Hello>& hello) {
  if (!hello.has_value()) return fail(hello.error());
  rollout::Effects effects;
  INSTAR_CHECK(tracker_.hello(*hello, via, now_, effects));
  // It may have gone while its hello was opened.
  if (via == rollout::Via::own_connection && !connected_.contains(hello->device)) tracker_.gone(hello->device, now_);
  carry_out(std::move(effects));
  return {};
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
  const auto heed = [this, device](const Result<wire::Report>& report) {
    if (store_is_down_) return;
    if (const auto status = heed_report(report); !status.has_value()) refuse_device(device, status.error());
  };
  if (options_.trust_connections && sender.identity_known) {
    heed(open_report(device, payload, std::nullopt));
  } else {
    opener_->report(device, payload, known->record.key, heed);
  }
  return {};
}

Status ServiceImpl::heed_report(const Result<wire::Report>& report) {
  if (!report.has_value()) return fail(report.error());
  rollout::Effects effects;
  INSTAR_CHECK(tracker_.report(*report, now_, effects));
  carry_out(std::move(effects));
  return {};
}

// Told, so that the device can say why; a stale hello over a bridge is nobody's fault.
void ServiceImpl::refuse_device(const DeviceId& device, const Error& error) {
  complaints_.add("a message of device " + device.str(), error, now_.monotonic);
  if (error.code == Code::stale) return;
  const auto* known = tracker_.device(device);
  wire::Ack ack{known == nullptr ? 0 : known->record.applied_sequence, error.code, error.message, 0, 0};
  when_durable({}, [this, device, ack = std::move(ack)] { send_ack(device, ack); });
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

Status ServiceImpl::take_put(const ClientId& client, ByteView payload) {
  INSTAR_TRY(const auto put, wire::decode_put(payload));
  if (is_behind()) {
    const Error error{Code::unavailable, "the store is behind or down: send again later"};
    wire::Stored stored;
    stored.pack = put.pack;
    stored.code = error.code;
    stored.reason = error.message;
    broker_.publish(options_.topics.stored(client), wire::encode(stored), wire::Qos::at_least_once, wire::Retain::no);
    return fail(error);
  }
  return upload_.put(client, put);
}

bool ServiceImpl::is_behind() const {
  return store_is_down_ || store_.pending_commits() >= limits::kStoreQueueMax ||
         opener_->pending() >= limits::kVerifyQueueMax;
}

void ServiceImpl::queue_ack(const DeviceId& device, const wire::Ack& ack) {
  const auto [queued, is_new] = acks_.try_emplace(device, ack);
  if (is_new) return;
  queued->second.sequence = std::max(queued->second.sequence, ack.sequence);
  if (ack.start_rollout == 0) return;
  queued->second.start_rollout = ack.start_rollout;
  queued->second.start_attempt = ack.start_attempt;
}

void ServiceImpl::send_acks() {
  if (acks_leaving_.empty() && !acks_.empty() && now_.monotonic >= acks_after_) {
    if (acks_.size() >= kBusyAcks) acks_after_ = now_.monotonic + kBusyPauseMs;
    acks_leaving_.assign(acks_.begin(), acks_.end());
    acks_.clear();
  }
  // Never so many at once that others' messages wait for them.
  for (std::size_t i = 0; i < kAcksATick && !acks_leaving_.empty(); ++i) {
    auto& [device, ack] = acks_leaving_.back();
    // The device may have given it up since.
    if (ack.start_rollout != 0 && !tracker_.has_turn(device, ack.start_rollout, ack.start_attempt))
      ack.start_rollout = ack.start_attempt = 0;
    send_ack(device, ack);
    acks_leaving_.pop_back();
  }
}

void ServiceImpl::send_ack(const DeviceId& device, const wire::Ack& ack) {
  broker_.publish(options_.topics.device(device, wire::TopicKind::device_ack), wire::encode(ack),
                  wire::Qos::at_least_once, wire::Retain::no);
}

}  // namespace instar::broker

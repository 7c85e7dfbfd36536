// What devices and uploading operators send.
#include "broker-plugin/service_impl.hpp"
#include "core/base/limits.hpp"
#include "core/trust/envelope.hpp"

namespace instar::broker {
namespace {

Status store_is_busy() {
  return fail(Code::unavailable, "the store is behind or down; the device sends it again");
}

}  // namespace

Status ServiceImpl::take_hello(const Sender& sender, const DeviceId& device, ByteView payload) {
  online_.insert(device);
  if (store_is_down_ || store_.pending_commits() >= limits::kStoreQueueMax) return store_is_busy();
  auto status = [&]() -> Status {
    INSTAR_TRY(const auto hello, open_hello(device, payload));
    rollout::Effects effects;
    const auto via = sender.identity_known ? rollout::Via::own_connection : rollout::Via::bridge;
    INSTAR_CHECK(tracker_.hello(hello, via, now_, effects));
    carry_out(std::move(effects));
    return {};
  }();
  if (!status.has_value() && status.error().code != Code::stale) {
    const auto* known = tracker_.device(device);
    const auto applied = known == nullptr ? 0 : known->record.applied_sequence;
    wire::Ack ack{applied, status.error().code, status.error().message};
    when_durable({}, [this, device, ack = std::move(ack)] { send_ack(device, ack); });
  }
  return status;
}

// A known device is held to its pinned key before its hello is read. A new one brings its key in the hello: there is no way but to
// read that first; what it says counts only when the same key has signed it.
Result<wire::Hello> ServiceImpl::open_hello(const DeviceId& device, ByteView payload) const {
  const auto* known = tracker_.device(device);
  if (known != nullptr) {
    auto opened = trust::open_by_key(payload, trust::Kind::hello, known->record.key);
    if (!opened.has_value()) {
      return fail(
          with_context(std::move(opened.error()), "the key pinned for device " + device.str() +
                                                      " did not sign this hello (an operator can forget the device: control command "
                                                      "forgetDevice)"));
    }
  }
  INSTAR_TRY(const auto envelope, trust::parse_envelope(payload));
  INSTAR_TRY(auto hello, wire::decode_hello(envelope.payload));
  if (known == nullptr) INSTAR_CHECK(trust::open_by_key(payload, trust::Kind::hello, hello.key));
  if (hello.device != device) return fail(Code::refused, "the hello is of device " + hello.device.str());
  return hello;
}

Status ServiceImpl::take_report(const DeviceId& device, ByteView payload) {
  if (store_is_down_ || store_.pending_commits() >= limits::kStoreQueueMax) return store_is_busy();
  const auto* known = tracker_.device(device);
  auto status = [&]() -> Status {
    if (known == nullptr) return fail(Code::not_found, "device " + device.str() + " is not known here: it must say hello first");
    INSTAR_TRY(const auto envelope, trust::open_by_key(payload, trust::Kind::report, known->record.key));
    INSTAR_TRY(const auto report, wire::decode_report(envelope.payload));
    if (report.device != device) return fail(Code::refused, "the report is of device " + report.device.str());
    rollout::Effects effects;
    INSTAR_CHECK(tracker_.report(report, now_, effects));
    carry_out(std::move(effects));
    return {};
  }();
  if (!status.has_value()) {
    wire::Ack ack{known == nullptr ? 0 : known->record.applied_sequence, status.error().code, status.error().message};
    when_durable({}, [this, device, ack = std::move(ack)] { send_ack(device, ack); });
  }
  return status;
}

Status ServiceImpl::take_fetch(const DeviceId& device, ByteView payload) {
  INSTAR_TRY(const auto fetch, wire::decode_fetch(payload));
  if (tracker_.device(device) == nullptr) {
    return fail(Code::not_found, "device " + device.str() + " is not known here: it must say hello first");
  }
  chunks_.fetch(device, fetch, now_.monotonic);
  return {};
}

Status ServiceImpl::take_put(const DeviceId& client, ByteView payload) {
  INSTAR_TRY(const auto put, wire::decode_put(payload));
  if (store_is_down_ || store_.pending_commits() >= limits::kStoreQueueMax) {
    const Error error{Code::unavailable, "the store is behind or down: send again later"};
    wire::Stored stored;
    stored.pack = put.pack;
    stored.code = error.code;
    stored.reason = error.message;
    broker_.publish(options_.topics.stored(client), wire::encode(stored), 1, false);
    return fail(error);
  }
  return upload_.put(client, put);
}

void ServiceImpl::send_ack(const DeviceId& device, const wire::Ack& ack) {
  broker_.publish(options_.topics.device(device, wire::TopicKind::device_ack), wire::encode(ack), 1, false);
}

}  // namespace instar::broker

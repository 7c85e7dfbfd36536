#include "broker-plugin/opener.hpp"

#include "core/trust/envelope.hpp"

namespace instar::broker {

Result<wire::Hello> open_hello(const DeviceId& device, ByteView payload) {
  INSTAR_TRY(const auto envelope, trust::parse_envelope(payload));
  INSTAR_TRY(auto hello, wire::decode_hello(envelope.payload));
  INSTAR_CHECK(trust::open_by_key(payload, trust::Kind::hello, hello.key));
  if (hello.device != device) return fail(Code::refused, "the hello is of device " + hello.device.str());
  return hello;
}

Result<wire::Report> open_report(const DeviceId& device, ByteView payload, const std::optional<trust::PublicKey>& key) {
  if (key.has_value()) INSTAR_CHECK(trust::open_by_key(payload, trust::Kind::report, *key));
  INSTAR_TRY(const auto envelope, trust::parse_envelope(payload));
  if (envelope.kind != trust::Kind::report) return fail(Code::malformed, "the envelope holds no report");
  INSTAR_TRY(auto report, wire::decode_report(envelope.payload));
  if (report.device != device) return fail(Code::refused, "the report is of device " + report.device.str());
  return report;
}

}  // namespace instar::broker

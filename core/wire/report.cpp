#include <algorithm>

#include "core/base/limits.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"
#include "core/wire/revision_info.hpp"
#include "schemas/report_generated.h"

namespace instar::wire {
namespace {

// The broker adds these numbers of all devices up.
Result<std::uint64_t> read_bytes(std::uint64_t bytes, std::string_view field) {
  INSTAR_CHECK(check_range(bytes, 0, limits::kReportedBytesMax, field));
  return bytes;
}

std::uint64_t write_bytes(std::uint64_t bytes) {
  return std::min(bytes, limits::kReportedBytesMax);
}

Result<Report> read_report(const fb::Report& from) {
  INSTAR_CHECK(check_format(from.format()));
  Report report;
  INSTAR_TRY(report.device, read_device(from.device(), "device"));
  if (from.sequence() == 0) return bad_field("sequence", "is 0, the first is 1");
  report.sequence = from.sequence();
  report.rollout = ManifestId(read_hash(from.rollout()));
  report.attempt = from.attempt();
  INSTAR_TRY(report.step, read_enum(from.step(), Step::failed, "step"));
  report.code = static_cast<Code>(from.code());
  INSTAR_TRY(report.reason, read_text(from.reason(), "reason", limits::kTextBytesMax));
  INSTAR_TRY(report.bytes_planned, read_bytes(from.bytes_planned(), "bytes_planned"));
  INSTAR_TRY(report.bytes_fetched, read_bytes(from.bytes_fetched(), "bytes_fetched"));
  INSTAR_TRY(report.bytes_full, read_bytes(from.bytes_full(), "bytes_full"));
  INSTAR_TRY(report.pack_kind, read_enum(from.pack_kind(), artifact::PackKind::delta, "pack_kind"));
  report.downtime_ms = from.downtime_ms();
  report.switch_ms = from.switch_ms();
  INSTAR_TRY(report.device_time, read_time(from.device_ms(), "device_ms"));
  INSTAR_TRY(report.running, read_revision(from.running(), "running"));
  report.again = from.again();
  report.asks_start = from.asks_start();
  return report;
}

}  // namespace

std::string_view step_name(Step step) noexcept {
  switch (step) {
    case Step::idle: return "idle";
    case Step::waiting: return "waiting";
    case Step::fetching: return "fetching";
    case Step::staging: return "staging";
    case Step::trying: return "trying";
    case Step::committed: return "committed";
    case Step::rolled_back: return "rolled_back";
    case Step::refused: return "refused";
    case Step::failed: return "failed";
  }
  return "unknown";
}

Bytes encode(const Report& report) {
  FlatBuilder builder(512);
  const auto device = builder.CreateString(report.device.str());
  const auto reason = write_clean(builder, report.reason, limits::kTextBytesMax);
  const auto running = write_revision(builder, report.running);
  const auto rollout = flat_hash(report.rollout);
  const auto table = fb::CreateReport(
      builder, 1, device, report.sequence, &rollout, report.attempt, static_cast<fb::Step>(report.step),
      static_cast<std::uint16_t>(report.code), reason, write_bytes(report.bytes_planned),
      write_bytes(report.bytes_fetched), write_bytes(report.bytes_full), static_cast<std::uint8_t>(report.pack_kind),
      report.downtime_ms, report.switch_ms, flat_time(report.device_time), running, report.again, report.asks_start);
  builder.Finish(table, fb::ReportIdentifier());
  return flat::take(builder);
}

Result<Report> decode_report(ByteView payload) {
  INSTAR_TRY(const auto from, flat::open<fb::Report>(payload, "report", fb::ReportIdentifier()));
  return read_in("report", read_report(*from));
}

}  // namespace instar::wire

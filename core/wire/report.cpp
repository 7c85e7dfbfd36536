// A report is packed by hand: one is due at each step of each device, and a table of FlatBuffers would take as much for
// its offsets and padding as for what it says (docs/formats/report.md).
#include <algorithm>
#include <limits>

#include "core/artifact/varint.hpp"
#include "core/base/limits.hpp"
#include "core/base/text.hpp"
#include "core/wire/fields.hpp"
#include "core/wire/messages.hpp"

namespace instar::wire {
namespace {

using artifact::append_text;
using artifact::append_varint;
using artifact::ByteCursor;

constexpr std::uint8_t kReportFormat = 1;

// Bits of the flags; those of a later version are passed over.
constexpr std::uint8_t kAgain = 1;
constexpr std::uint8_t kAsksStart = 2;
constexpr std::uint8_t kRuns = 4;         // what runs follows at the end
constexpr std::uint8_t kRunsRollout = 8;  // its manifest is the rollout's, and is left out

// As it stands, nothing checked but that it is there and within its bound; the cursor knows what is wrong.
struct Taken {
  Report report;
  std::string_view device;
};

template <typename Number>
Number take_number(ByteCursor& in, const char* field) {
  return static_cast<Number>(in.varint(std::numeric_limits<Number>::max(), field));
}

// The broker adds these numbers of all devices up.
std::uint64_t take_bytes(ByteCursor& in, const char* field) {
  return in.varint(limits::kReportedBytesMax, field);
}

std::string_view take_name(ByteCursor& in, const char* field) {
  return as_text(in.text(limits::kNameBytesMax, field));
}

Hash256 take_hash(ByteCursor& in) {
  Hash256 hash;
  std::ranges::copy(in.take(hash.bytes.size()), hash.bytes.begin());
  return hash;
}

RevisionInfo take_running(ByteCursor& in, const ManifestId* rollout) {
  RevisionInfo running;
  running.product = take_name(in, "running: product (bytes)");
  running.release = take_name(in, "running: release (bytes)");
  running.sequence = take_number<std::uint64_t>(in, "running: sequence");
  running.manifest = rollout != nullptr ? *rollout : ManifestId(take_hash(in));
  const auto count = in.varint(limits::kArtifactsMax, "running: artifacts");
  for (std::uint64_t i = 0; i < count; ++i) running.artifacts.emplace_back(take_hash(in));
  return running;
}

Taken take_report(ByteCursor& in) {
  Taken taken;
  auto& report = taken.report;
  report.sequence = take_number<std::uint64_t>(in, "sequence");
  taken.device = take_name(in, "device (bytes)");
  report.step = static_cast<Step>(in.byte());
  const auto flags = in.byte();
  report.again = (flags & kAgain) != 0;
  report.asks_start = (flags & kAsksStart) != 0;
  report.rollout = ManifestId(take_hash(in));
  report.attempt = take_number<std::uint32_t>(in, "attempt");
  report.code = static_cast<Code>(take_number<std::uint16_t>(in, "code"));
  report.reason = as_text(in.text(limits::kTextBytesMax, "reason (bytes)"));
  report.pack_kind = static_cast<artifact::PackKind>(in.byte());
  report.bytes_planned = take_bytes(in, "bytes_planned");
  report.bytes_fetched = take_bytes(in, "bytes_fetched");
  report.bytes_full = take_bytes(in, "bytes_full");
  report.downtime_ms = take_number<std::uint32_t>(in, "downtime_ms");
  report.switch_ms = take_number<std::uint32_t>(in, "switch_ms");
  report.device_time.value = static_cast<std::int64_t>(in.varint(limits::kWallMsMax, "device_ms"));
  if ((flags & kRuns) != 0) report.running = take_running(in, (flags & kRunsRollout) != 0 ? &report.rollout : nullptr);
  return taken;
}

Status check_running(const RevisionInfo& running) {
  INSTAR_CHECK(read_product(running.product));
  INSTAR_CHECK(read_name(running.release, "release"));
  return {};
}

Result<Report> checked(Taken taken) {
  auto report = std::move(taken.report);
  INSTAR_TRY(report.device, read_device(taken.device, "device"));
  if (report.sequence == 0) return bad_field("sequence", "is 0, the first is 1");
  INSTAR_TRY(report.step, read_enum(static_cast<std::uint8_t>(report.step), Step::failed, "step"));
  INSTAR_CHECK(read_text(report.reason, "reason", limits::kTextBytesMax));
  INSTAR_TRY(report.pack_kind,
             read_enum(static_cast<std::uint8_t>(report.pack_kind), artifact::PackKind::delta, "pack_kind"));
  if (report.running) INSTAR_CHECK(read_in("running", check_running(*report.running)));
  return report;
}

Result<Report> read_report(ByteView payload) {
  INSTAR_CHECK(check_range(payload.size(), 1, limits::kReportBytesMax, "size (bytes)"));
  INSTAR_CHECK(check_format(payload.front()));
  ByteCursor in(payload.subspan(1));
  auto taken = take_report(in);
  if (in.broken()) return fail(in.error());
  if (in.starved()) return fail(Code::malformed, "cut off after " + std::to_string(payload.size()) + " bytes");
  return checked(std::move(taken));
}

void append_hash(Bytes& out, const Hash256& hash) {
  out.insert(out.end(), hash.bytes.begin(), hash.bytes.end());
}

void append_running(Bytes& out, const RevisionInfo& running, const ManifestId& rollout) {
  append_text(out, running.product);
  append_text(out, running.release);
  append_varint(out, running.sequence);
  if (running.manifest != rollout) append_hash(out, running.manifest);
  append_varint(out, running.artifacts.size());
  for (const auto& artifact : running.artifacts) append_hash(out, artifact);
}

std::uint8_t flags_of(const Report& report) {
  const bool runs_rollout = report.running && report.running->manifest == report.rollout;
  return static_cast<std::uint8_t>((report.again ? kAgain : 0) | (report.asks_start ? kAsksStart : 0) |
                                   (report.running ? kRuns : 0) | (runs_rollout ? kRunsRollout : 0));
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
  Bytes out{kReportFormat};
  append_varint(out, report.sequence);
  append_text(out, report.device.str());
  out.push_back(static_cast<std::uint8_t>(report.step));
  out.push_back(flags_of(report));
  append_hash(out, report.rollout);
  append_varint(out, report.attempt);
  append_varint(out, static_cast<std::uint16_t>(report.code));
  append_text(out, clean_text(report.reason, limits::kTextBytesMax));
  out.push_back(static_cast<std::uint8_t>(report.pack_kind));
  for (const auto bytes : {report.bytes_planned, report.bytes_fetched, report.bytes_full})
    append_varint(out, std::min(bytes, limits::kReportedBytesMax));
  append_varint(out, report.downtime_ms);
  append_varint(out, report.switch_ms);
  append_varint(out, flat_time(report.device_time));
  if (report.running) append_running(out, *report.running, report.rollout);
  return out;
}

Result<Report> decode_report(ByteView payload) {
  return read_in("report", read_report(payload));
}

}  // namespace instar::wire

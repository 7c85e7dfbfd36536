#include "core/rollout/exchange/record.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/rollout/exchange/record_bytes.hpp"
#include "core/trust/digest.hpp"

namespace instar::rollout {
namespace {

template <typename Record>
Result<Record> finish(const RecordReader& reader, Record record, std::string_view what) {
  if (reader.ended()) return record;
  return fail(Code::corrupt, "the " + std::string(what) + " record in the store is damaged");
}

Status check_version(const RecordReader& reader, std::string_view what) {
  if (reader.version() == kRecordVersion) return {};
  if (reader.version() == 0) return fail(Code::corrupt, "the " + std::string(what) + " record in the store is damaged");
  const bool is_later = reader.version() > kRecordVersion;
  return fail(Code::unsupported, "the " + std::string(what) + " record in the store is of version " +
                                     std::to_string(reader.version()) + (is_later ? ", later" : ", earlier") +
                                     " than this program reads");
}

void write_groups(RecordWriter& out, const std::vector<GroupPath>& groups) {
  out.list(groups, [&](const GroupPath& group) { out.text(group.str()); });
}

std::vector<GroupPath> read_groups(RecordReader& in) {
  std::vector<GroupPath> groups;
  in.list([&] {
    auto group = GroupPath::parse(in.text());
    if (!group.has_value()) return in.spoil();
    groups.push_back(std::move(*group));
  });
  return groups;
}

void write_summary(RecordWriter& out, const ReportSummary& report) {
  out.u64(report.sequence);
  out.raw(report.rollout.bytes);
  out.u32(report.attempt);
  out.u8(static_cast<std::uint8_t>(report.step));
  out.u32(static_cast<std::uint32_t>(report.code));
  out.text(report.reason);
  out.u64(report.bytes_fetched);
  out.time(report.received);
}

Code read_code(RecordReader& in) {
  const auto number = in.u32();
  if (number > 0xffff) in.spoil();
  return static_cast<Code>(number & 0xffff);
}

ReportSummary read_summary(RecordReader& in) {
  ReportSummary report;
  report.sequence = in.u64();
  report.rollout = ManifestId(in.hash());
  report.attempt = in.u32();
  report.step = in.enumeration(wire::Step::failed);
  report.code = read_code(in);
  report.reason = in.text();
  report.bytes_fetched = in.u64();
  report.received = in.time();
  return report;
}

void write_counts(RecordWriter& out, const Counts& counts) {
  out.list(counts.by_step, [&](std::uint64_t count) { out.u64(count); });
  out.u64(counts.devices);
  out.u64(counts.retrying);
  out.u64(counts.failed);
  out.u64(counts.asking);
  out.u64(counts.bytes_sent);
  out.u64(counts.bytes_full);
  out.u32(static_cast<std::uint32_t>(std::min<std::size_t>(counts.reasons.size(), limits::kRecordListMax)));
  std::uint32_t written = 0;
  for (const auto& [reason, count] : counts.reasons) {
    if (written++ == limits::kRecordListMax) break;
    out.u32(static_cast<std::uint32_t>(reason.first));
    out.text(reason.second);
    out.u64(count);
  }
}

Counts read_counts(RecordReader& in) {
  Counts counts;
  std::size_t step = 0;
  in.list([&] {
    const auto count = in.u64();
    if (step == counts.by_step.size()) return in.spoil();
    counts.by_step[step++] = count;
  });
  counts.devices = in.u64();
  counts.retrying = in.u64();
  counts.failed = in.u64();
  counts.asking = in.u64();
  counts.bytes_sent = in.u64();
  counts.bytes_full = in.u64();
  in.list([&] {
    const auto code = read_code(in);
    auto text = in.text();
    counts.reasons[{code, std::move(text)}] = in.u64();
  });
  return counts;
}

}  // namespace

Hash256 hash_of(const trust::PublicKey& key) {
  return trust::digest(key.bytes);
}

Hash256 hash_of_token(ByteView token) {
  return trust::digest(token);
}

bool is_cloned(const DeviceRecord& record, WallMs now) noexcept {
  return record.cloned.value != 0 && now - record.cloned < limits::kCloneShownMs;
}

Bytes encode(const RolloutRecord& record) {
  RecordWriter out;
  out.text(record.product);
  out.text(record.release);
  out.u64(record.sequence);
  write_groups(out, record.groups);
  out.u8(static_cast<std::uint8_t>(record.state));
  out.u64(record.issue);
  out.u32(record.wave);
  out.list(record.wave_opened, [&](WallMs opened) { out.time(opened); });
  out.u32(record.retry_epoch);
  out.u64(record.order);
  out.time(record.started);
  out.time(record.updated);
  out.text(record.cause);
  out.list(record.wave_limits, [&](std::uint64_t limit) { out.u64(limit); });
  out.u32(record.approved);
  out.text(as_text(record.approval));
  out.time(record.settled);
  out.u64(static_cast<std::uint64_t>(record.soaked_ms));
  out.u64(record.forgiven);
  out.u8(record.stuck_forgiven ? 1 : 0);
  out.time(record.retried);
  out.time(record.completed);
  out.u64(record.starts);
  out.u64(record.bytes_leased);
  out.u64(record.events);
  out.u8(record.archived.has_value() ? 1 : 0);
  if (record.archived.has_value()) write_counts(out, *record.archived);
  return out.take();
}

Result<RolloutRecord> decode_rollout_record(ByteView bytes) {
  RecordReader in(bytes);
  INSTAR_CHECK(check_version(in, "rollout"));
  RolloutRecord record;
  record.product = in.text();
  record.release = in.text();
  record.sequence = in.u64();
  record.groups = read_groups(in);
  record.state = in.enumeration(RolloutState::reverted);
  record.issue = in.u64();
  record.wave = in.u32();
  in.list([&] { record.wave_opened.push_back(in.time()); });
  record.retry_epoch = in.u32();
  record.order = in.u64();
  record.started = in.time();
  record.updated = in.time();
  record.cause = in.text();
  in.list([&] { record.wave_limits.push_back(in.u64()); });
  record.approved = in.u32();
  record.approval = to_bytes(in.text());
  record.settled = in.time();
  record.soaked_ms = static_cast<std::int64_t>(in.u64());
  record.forgiven = in.u64();
  record.stuck_forgiven = in.flag();
  record.retried = in.time();
  record.completed = in.time();
  record.starts = in.u64();
  record.bytes_leased = in.u64();
  record.events = in.u64();
  if (in.flag()) record.archived = read_counts(in);
  const auto opened = record.wave_opened.size();
  if (record.wave_limits.size() != opened || (opened != std::size_t{record.wave} + 1 && opened + record.wave != 0))
    in.spoil();
  return finish(in, std::move(record), "rollout");
}

Bytes encode(const MemberRecord& record) {
  RecordWriter out;
  out.u8(static_cast<std::uint8_t>(record.step));
  out.u32(record.attempt);
  out.u32(static_cast<std::uint32_t>(record.code));
  out.text(record.reason);
  out.u64(record.bytes_planned);
  out.u64(record.bytes_fetched);
  out.u64(record.bytes_full);
  out.u64(record.bytes_sent);
  out.u8(static_cast<std::uint8_t>(record.pack_kind));
  out.u32(record.downtime_ms);
  out.u32(record.switch_ms);
  out.u64(record.report_sequence);
  out.time(record.updated);
  out.u8(record.again ? 1 : 0);
  out.u64(record.asks);
  out.u32(record.granted);
  return out.take();
}

Result<MemberRecord> decode_member_record(ByteView bytes) {
  RecordReader in(bytes);
  INSTAR_CHECK(check_version(in, "member"));
  MemberRecord record;
  record.step = in.enumeration(wire::Step::failed);
  record.attempt = in.u32();
  record.code = read_code(in);
  record.reason = in.text();
  record.bytes_planned = in.u64();
  record.bytes_fetched = in.u64();
  record.bytes_full = in.u64();
  record.bytes_sent = in.u64();
  record.pack_kind = in.enumeration(artifact::PackKind::delta);
  record.downtime_ms = in.u32();
  record.switch_ms = in.u32();
  record.report_sequence = in.u64();
  record.updated = in.time();
  record.again = in.flag();
  record.asks = in.u64();
  record.granted = in.u32();
  return finish(in, std::move(record), "member");
}

Bytes encode(const DeviceRecord& record) {
  RecordWriter out;
  out.raw(record.key.bytes);
  out.text(as_text(wire::encode_description(record.description)));
  out.time(record.described);
  out.u64(record.applied_sequence);
  out.u32(record.boot);
  out.u32(record.connect);
  out.u64(record.bytes_sent);
  out.time(record.first_seen);
  out.time(record.last_seen);
  out.text(record.login);
  out.u8(record.took_part ? 1 : 0);
  out.u64(record.instance);
  out.list(record.instances_before, [&](std::uint64_t instance) { out.u64(instance); });
  out.time(record.cloned);
  out.u8(record.awaits_key ? 1 : 0);
  out.u64(record.awaited_key);
  return out.take();
}

Bytes encode(const ReportSummary& record) {
  RecordWriter out;
  write_summary(out, record);
  return out.take();
}

Bytes encode(const EventRecord& record) {
  RecordWriter out;
  out.time(record.time);
  out.text(record.who);
  out.text(record.what);
  return out.take();
}

Bytes encode(const std::vector<Tombstone>& record) {
  RecordWriter out;
  out.list(record, [&](const Tombstone& tombstone) {
    out.raw(tombstone.key.bytes);
    out.time(tombstone.since);
  });
  return out.take();
}

Result<std::vector<Tombstone>> decode_tombstones(ByteView bytes) {
  RecordReader in(bytes);
  INSTAR_CHECK(check_version(in, "tombstone"));
  std::vector<Tombstone> record;
  in.list([&] {
    Tombstone tombstone;
    tombstone.key = in.hash();
    tombstone.since = in.time();
    record.push_back(tombstone);
  });
  return finish(in, std::move(record), "tombstone");
}

Result<DeviceRecord> decode_device_record(ByteView bytes) {
  RecordReader in(bytes);
  INSTAR_CHECK(check_version(in, "device"));
  DeviceRecord record;
  record.key.bytes = in.hash().bytes;
  auto description = wire::decode_description(as_bytes(in.text()));
  if (description) {
    record.description = std::move(*description);
  } else {
    in.spoil();
  }
  record.described = in.time();
  record.applied_sequence = in.u64();
  record.boot = in.u32();
  record.connect = in.u32();
  record.bytes_sent = in.u64();
  record.first_seen = in.time();
  record.last_seen = in.time();
  record.login = in.text();
  record.took_part = in.flag();
  record.instance = in.u64();
  in.list([&] { record.instances_before.push_back(in.u64()); });
  record.cloned = in.time();
  record.awaits_key = in.flag();
  record.awaited_key = in.u64();
  return finish(in, std::move(record), "device");
}

Result<ReportSummary> decode_report_summary(ByteView bytes) {
  RecordReader in(bytes);
  INSTAR_CHECK(check_version(in, "report"));
  return finish(in, read_summary(in), "report");
}

Result<EventRecord> decode_event_record(ByteView bytes) {
  RecordReader in(bytes);
  INSTAR_CHECK(check_version(in, "event"));
  EventRecord record;
  record.time = in.time();
  record.who = in.text();
  record.what = in.text();
  return finish(in, std::move(record), "event");
}

}  // namespace instar::rollout

// What the broker's store holds: its records, from the input or from an example that the input changes, and their keys.
// The first byte picks one.
#include "core/base/assert.hpp"
#include "core/rollout/exchange/record.hpp"
#include "storage/key_layout.hpp"
#include "tests/fuzz/target.hpp"

namespace instar::fuzz_records {
namespace {

using namespace instar::rollout;

// What is taken is written as bytes that say the same.
template <typename Decode>
void record(ByteView input, Decode decode) {
  const auto first = decode(input);
  if (!first.has_value()) {
    INSTAR_ASSERT(first.error().code == Code::corrupt || first.error().code == Code::unsupported);
    return;
  }
  const Bytes written = encode(*first);
  const auto second = decode(written);
  INSTAR_ASSERT(second.has_value());
  INSTAR_ASSERT(*second == *first);
  INSTAR_ASSERT(encode(*second) == written);
}

RolloutRecord example_rollout() {
  RolloutRecord record;
  record.product = "gateway-2";
  record.release = "2.4.1";
  record.sequence = 42;
  record.groups = {*GroupPath::parse("plant-7"), *GroupPath::parse("plant-9/line-a")};
  record.cause = "too many failures";
  record.wave = 1;
  record.wave_opened = {{1'760'000'000'000}, {1'760'000'060'000}};
  record.wave_limits = {1000, std::uint64_t{1} << 32};
  Counts counts;
  counts.devices = 3;
  counts.reasons[{Code::no_space, "needs 5 MB, has 3 MB"}] = 2;
  record.archived = counts;
  return record;
}

DeviceRecord example_device() {
  DeviceRecord record;
  record.key = trust::SecretKey::from_seed(Bytes(32, 7))->public_key();
  record.description.product = "gateway-2";
  record.description.groups = {*GroupPath::parse("plant-7")};
  record.description.running = wire::RevisionInfo{"gateway-2", "2.4.0", 41, {}, {}};
  record.login = "gw-01";
  return record;
}

// The example with some of its bytes replaced: three bytes each, of which two say where. A last odd byte cuts it off.
Bytes changed(Bytes bytes, ByteView input) {
  for (; input.size() >= 3; input = input.subspan(3))
    bytes[(input[0] | std::size_t{input[1]} << 8) % bytes.size()] = input[2];
  if (!input.empty()) bytes.resize(bytes.size() - std::min<std::size_t>(bytes.size(), input[0]));
  return bytes;
}

void key(ByteView input) {
  const auto is_input = [&](const std::string& made) { return as_text(input) == made; };
  if (const auto version = storage::parse_schema_value(input))
    INSTAR_ASSERT(storage::schema_value(*version) == to_bytes(input));
  if (const auto version = storage::parse_root_key(input)) INSTAR_ASSERT(is_input(storage::root_key(*version)));
  if (const auto device = storage::parse_assignment_key(input))
    INSTAR_ASSERT(is_input(storage::assignment_key(*device)));
  if (const auto device = storage::parse_tombstone_key(input)) INSTAR_ASSERT(is_input(storage::tombstone_key(*device)));
  if (const auto device = storage::parse_enrolment_key(input)) INSTAR_ASSERT(is_input(storage::enrolment_key(*device)));
  if (const auto device = storage::parse_spent_key(input)) INSTAR_ASSERT(is_input(storage::spent_key(*device)));
  if (const auto pack = storage::parse_directory_key(input)) INSTAR_ASSERT(is_input(storage::directory_key(*pack)));
  if (const auto pack = storage::parse_removing_key(input)) INSTAR_ASSERT(is_input(storage::removing_key(*pack)));
  if (const auto time = storage::parse_clock_value(input))
    INSTAR_ASSERT(storage::clock_value(*time) == to_bytes(input));
  if (const auto device = storage::parse_device_key(input)) INSTAR_ASSERT(is_input(storage::device_key(*device)));
  if (const auto rollout = storage::parse_rollout_key(input)) INSTAR_ASSERT(is_input(storage::rollout_key(*rollout)));
  if (const auto rollout = storage::parse_manifest_key(input)) INSTAR_ASSERT(is_input(storage::manifest_key(*rollout)));
  if (const auto member = storage::parse_member_key(input))
    INSTAR_ASSERT(is_input(storage::member_key(member->first, member->second)));
  if (const auto pack = storage::parse_complete_key(input)) INSTAR_ASSERT(is_input(storage::complete_key(*pack)));
  if (const auto chunk = storage::parse_chunk_key(input))
    INSTAR_ASSERT(is_input(storage::chunk_key(chunk->first, chunk->second)));
}

void run(ByteView data) {
  const ByteView input = data.subspan(1);
  switch (data[0] % 12) {
    case 0: record(input, decode_rollout_record); break;
    case 1: record(input, decode_member_record); break;
    case 2: record(input, decode_device_record); break;
    case 3: record(input, decode_report_summary); break;
    case 4: record(input, decode_event_record); break;
    case 5: record(changed(encode(example_rollout()), input), decode_rollout_record); break;
    case 6: record(changed(encode(MemberRecord{}), input), decode_member_record); break;
    case 7: record(changed(encode(example_device()), input), decode_device_record); break;
    case 8: record(changed(encode(ReportSummary{}), input), decode_report_summary); break;
    case 9: record(changed(encode(EventRecord{{1}, "alice", "paused"}), input), decode_event_record); break;
    case 11: record(input, decode_tombstones); break;
    default: key(input); break;
  }
}

}  // namespace
}  // namespace instar::fuzz_records

INSTAR_FUZZ_TARGET(records, instar::fuzz_records::run)

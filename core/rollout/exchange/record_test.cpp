#include "core/rollout/exchange/record.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "core/wire/testing/examples.hpp"

namespace instar::rollout {
namespace {

MemberRecord member_record() {
  return {wire::Step::rolled_back,
          1,
          Code::unhealthy,
          "probe failed",
          91'000,
          90'700,
          3'001'500,
          90'900,
          artifact::PackKind::delta,
          850,
          6'200,
          17,
          {1'760'000'200'000},
          true,
          6,
          2};
}

RolloutRecord rollout_record() {
  RolloutRecord record;
  record.product = "gateway-2";
  record.release = "2.4.1";
  record.sequence = 42;
  record.groups = {wire::examples::group("plant-7/line-a"), wire::examples::group("lab")};
  record.state = RolloutState::paused;
  record.issue = 9;
  record.wave = 1;
  record.wave_opened = {{1'760'000'000'500}, {1'760'000'000'900}};
  record.wave_limits = {5, 1'000'000};
  record.cause = "its error budget is spent";
  record.approved = 1;
  record.approval = to_bytes("a signed yes");
  record.settled = {1'760'000'000'600};
  record.soaked_ms = 7'000;
  record.forgiven = 2;
  record.stuck_forgiven = true;
  record.retried = {1'760'000'000'700};
  record.completed = {1'760'000'000'800};
  record.starts = 12;
  record.bytes_leased = 1'048'576;
  record.events = 4;
  record.archived = Counts{};
  record.archived->add(member_record());
  record.retry_epoch = 2;
  record.order = 7;
  record.started = {1'760'000'000'000};
  record.updated = {1'760'000'001'000};
  return record;
}

DeviceRecord device_record() {
  DeviceRecord record;
  record.key = wire::examples::key(4).public_key();
  record.description = wire::examples::hello().description;
  record.described = {5};
  record.applied_sequence = 17;
  record.boot = 3;
  record.connect = 4;
  record.bytes_sent = 90'900;
  record.first_seen = {1};
  record.last_seen = {2};
  record.login = "plant-7";
  record.took_part = true;
  record.instance = 77;
  record.instances_before = {76, 75};
  record.cloned = {3};
  record.awaits_key = true;
  record.awaited_key = 0x0102030405060708;
  return record;
}

TEST(Records, GoBothWays) {
  EXPECT_EQ(decode_rollout_record(encode(rollout_record())).value(), rollout_record());
  EXPECT_EQ(decode_member_record(encode(member_record())).value(), member_record());
  EXPECT_EQ(decode_device_record(encode(device_record())).value(), device_record());
  const ReportSummary report{
      17, wire::examples::hash("m"), 1, wire::Step::rolled_back, Code::unhealthy, "probe failed", 90'700, {2}};
  EXPECT_EQ(decode_report_summary(encode(report)).value(), report);
  const EventRecord event{{3}, "ann", "paused"};
  EXPECT_EQ(decode_event_record(encode(event)).value(), event);
  const std::vector<Tombstone> tombstones{{wire::examples::hash("key"), {4}}};
  EXPECT_EQ(decode_tombstones(encode(tombstones)).value(), tombstones);
}

// The example of docs/formats/store.md.
TEST(Records, HaveTheBytesOfTheirPage) {
  MemberRecord member;
  member.step = wire::Step::refused;
  member.attempt = 1;
  member.code = Code::no_space;
  member.reason = "full";
  member.bytes_full = 0x0102;
  member.report_sequence = 3;
  member.updated = {1'760'000'000'000};
  std::ifstream page(std::string(INSTAR_SOURCE_DIR) + "/docs/formats/store.md");
  std::string hex;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("    ")) continue;
    for (const char c : line) {
      if (c != ' ') hex += c;
    }
  }
  EXPECT_EQ(to_hex(encode(member)), hex);
  Bytes bytes;
  ASSERT_TRUE(from_hex(hex, bytes));
  EXPECT_EQ(decode_member_record(bytes).value(), member);
}

template <typename Decode>
void refuse_every_cut(const Bytes& bytes, Decode decode) {
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode(ByteView(bytes).first(size)).has_value()) << size;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode(ByteView(longer)).has_value());
}

TEST(Records, RefuseEveryCutAndTrailingBytes) {
  refuse_every_cut(encode(rollout_record()), decode_rollout_record);
  refuse_every_cut(encode(member_record()), decode_member_record);
  refuse_every_cut(encode(device_record()), decode_device_record);
}

TEST(Records, TellAnotherVersionFromDamage) {
  auto bytes = encode(member_record());
  for (const std::uint8_t version : std::initializer_list<std::uint8_t>{1, 6}) {
    bytes[0] = version;
    EXPECT_EQ(decode_member_record(bytes).error().code, Code::unsupported);
  }
  bytes[0] = 0;
  EXPECT_EQ(decode_member_record(bytes).error().code, Code::corrupt);
  EXPECT_EQ(decode_member_record({}).error().code, Code::corrupt);
}

TEST(Records, AnyFlippedByteIsAnErrorOrAnotherRecordNeverACrash) {
  const auto bytes = encode(device_record());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      auto damaged = bytes;
      damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ mask);
      const auto decoded = decode_device_record(damaged);
      EXPECT_FALSE(decoded.has_value() && *decoded == device_record()) << at;
    }
  }
}

TEST(Records, ACountPastAllBoundsIsDamage) {
  auto bytes = encode(rollout_record());
  // The count of groups follows version, product, release and sequence.
  const std::size_t at = 1 + 4 + 9 + 4 + 5 + 8;
  ASSERT_EQ(bytes[at], 2);
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = 0xff;
  EXPECT_EQ(decode_rollout_record(bytes).error().code, Code::corrupt);
}

}  // namespace
}  // namespace instar::rollout

#include "storage/key_layout.hpp"

#include <gtest/gtest.h>

#include <set>

#include "core/base/testing/some_hash.hpp"
namespace instar::storage {
namespace {

SomeHash hash(std::uint8_t first) {
  SomeHash out;
  out.bytes[0] = first;
  out.bytes[31] = 0xee;
  return out;
}

TEST(KeyLayout, EveryKeyIsParsedToWhatItWasBuiltFrom) {
  const auto device = *DeviceId::parse("dev-1");
  EXPECT_EQ(parse_device_key(as_bytes(device_key(device))), device);
  EXPECT_EQ(parse_rollout_key(as_bytes(rollout_key(hash(7)))), hash(7));
  EXPECT_EQ(parse_manifest_key(as_bytes(manifest_key(hash(7)))), hash(7));
  EXPECT_EQ(parse_complete_key(as_bytes(complete_key(hash(7)))), hash(7));
  EXPECT_EQ(parse_directory_key(as_bytes(directory_key(hash(7)))), hash(7));
  EXPECT_EQ(parse_removing_key(as_bytes(removing_key(hash(7)))), hash(7));
  EXPECT_EQ(parse_used_value(used_value({1'760'000'000'000})), (WallMs{1'760'000'000'000}));
  EXPECT_EQ(parse_clock_value(clock_value({1'760'000'000'000})), (WallMs{1'760'000'000'000}));
  EXPECT_FALSE(parse_clock_value(Bytes(8, 0xff)).has_value());
  EXPECT_FALSE(parse_clock_value(Bytes(7)).has_value());
  EXPECT_EQ(parse_root_key(as_bytes(root_key(258))), 258U);
  EXPECT_EQ(parse_tombstone_key(as_bytes(tombstone_key(device))), device);
  EXPECT_EQ(parse_enrolment_key(as_bytes(enrolment_key(device))), device);
  EXPECT_FALSE(parse_enrolment_key(as_bytes(tombstone_key(device))).has_value());
  const auto member = parse_member_key(as_bytes(member_key(hash(9), device)));
  ASSERT_TRUE(member.has_value());
  EXPECT_EQ(member->first, hash(9));
  EXPECT_EQ(member->second, device);
  const auto chunk = parse_chunk_key(as_bytes(chunk_key(hash(3), 70'000)));
  ASSERT_TRUE(chunk.has_value());
  EXPECT_EQ(chunk->first, hash(3));
  EXPECT_EQ(chunk->second, 70'000U);
}

TEST(KeyLayout, HasTheBytesOfTheDocumentation) {
  EXPECT_EQ(to_hex(as_bytes(root_key(2))), "726f6f742f00000002");
  EXPECT_EQ(to_hex(as_bytes(rollout_key(hash(0xab)))), "72" + hash(0xab).hex());
  EXPECT_EQ(to_hex(as_bytes(manifest_key(hash(0xab)))), "6d" + hash(0xab).hex());
  EXPECT_EQ(to_hex(as_bytes(directory_key(hash(0xab)))), "64" + hash(0xab).hex());
  EXPECT_EQ(to_hex(as_bytes(complete_key(hash(0xab)))), "63" + hash(0xab).hex());
  EXPECT_EQ(to_hex(as_bytes(removing_key(hash(0xab)))), "78" + hash(0xab).hex());
  EXPECT_EQ(to_hex(used_value({258})), "0201000000000000");
  EXPECT_EQ(to_hex(as_bytes(chunk_key(hash(0xab), 0x01020304))), hash(0xab).hex() + "01020304");
  EXPECT_EQ(to_hex(as_bytes(assignment_key(DeviceId::parse("gw").value()))), "61737369676e2f6777");
  EXPECT_EQ(to_hex(as_bytes(tombstone_key(DeviceId::parse("gw").value()))), "676f6e652f6777");
  EXPECT_EQ(to_hex(as_bytes(enrolment_key(DeviceId::parse("gw").value()))), "656e726f6c2f6777");
  EXPECT_EQ(to_hex(as_bytes(report_key(DeviceId::parse("gw").value(), 258))), "6467770008");
  EXPECT_EQ(to_hex(as_bytes(event_key(hash(0xab), 258))), "72" + hash(0xab).hex() + "0000000000000102");
  EXPECT_EQ(to_hex(schema_value(1)), "01000000");
}

TEST(KeyLayout, RefusesForeignKeys) {
  EXPECT_FALSE(parse_device_key(as_bytes("a/b")).has_value());
  EXPECT_FALSE(parse_device_key({}).has_value());
  EXPECT_FALSE(parse_assignment_key(as_bytes(root_key(1))).has_value());
  EXPECT_EQ(parse_assignment_key(as_bytes(assignment_key(DeviceId::parse("gw").value())))->str(), "gw");
  EXPECT_FALSE(parse_rollout_key(as_bytes(manifest_key(hash(1)))).has_value());
  EXPECT_FALSE(parse_rollout_key(as_bytes(rollout_key(hash(1)) + "x")).has_value());
  EXPECT_FALSE(parse_member_key(hash(1).bytes).has_value());
  EXPECT_FALSE(parse_chunk_key(hash(1).bytes).has_value());
  EXPECT_FALSE(parse_root_key(as_bytes("root/12")).has_value());
  EXPECT_FALSE(parse_schema_value(as_bytes("1")).has_value());
  EXPECT_FALSE(parse_removing_key(as_bytes(complete_key(hash(1)))).has_value());
  EXPECT_EQ(parse_used_value({}), WallMs{}) << "a pack of an earlier version";
  EXPECT_EQ(parse_used_value(Bytes(8, 0xff)), WallMs{});
}

TEST(KeyLayout, OrdersRootsByVersion) {
  std::set<std::string> keys{root_key(256), root_key(2), root_key(1)};
  EXPECT_EQ(*keys.begin(), root_key(1));
  EXPECT_EQ(*keys.rbegin(), root_key(256));
}

}  // namespace
}  // namespace instar::storage

#include "mqtt/packets5.hpp"

#include <gtest/gtest.h>

#include <random>

namespace instar::mqtt::v5 {
namespace {

Bytes hex(std::string_view text) {
  Bytes out;
  EXPECT_TRUE(from_hex(text, out));
  return out;
}

TEST(Packets5, ConnectCarriesLoginAndWill) {
  Options options;
  options.client_id = "d";
  options.username = "u";
  options.password = "p";
  options.clean_session = true;
  options.keepalive_s = 60;
  options.will = Message{"w", {1}, wire::Qos::at_least_once, wire::Retain::yes};
  EXPECT_EQ(to_hex(connect_packet(options)),
            "101b00044d51545405ee003c00000164000001770001010001750001"
            "70");
}

TEST(Packets5, ASessionThatLastsIsTakenUpAndKept) {
  Options options;
  options.client_id = "d";
  options.clean_session = false;
  options.keepalive_s = 1;
  EXPECT_EQ(to_hex(connect_packet(options)),
            "101300044d5154540500000105"
            "11ffffffff"
            "000164");
}

TEST(Packets5, OthersAreWhatTheStandardSays) {
  EXPECT_EQ(to_hex(subscribe_packet(1, {"a"})),
            "82070001000001"
            "6101");
  EXPECT_EQ(to_hex(publish_packet(2, {"a", {9}, wire::Qos::at_most_once, wire::Retain::yes})), "330700016100020009");
  EXPECT_EQ(to_hex(disconnect_packet()), "e000");
}

TEST(Packets5, AreCutOutOfAStream) {
  Reader reader;
  const auto stream =
      hex("20050000028200"
          "4003000287"
          "d000");
  std::vector<Type> types;
  for (const auto byte : stream) {
    reader.add(ByteView(&byte, 1));
    while (const auto packet = reader.next()) types.push_back(packet->type);
  }
  EXPECT_FALSE(reader.is_broken());
  ASSERT_EQ(types.size(), 3U);
  EXPECT_EQ(types[0], Type::connack);
  EXPECT_EQ(types[1], Type::puback);
}

TEST(Packets5, WhatIsNoneBreaksTheStream) {
  for (const auto* bytes : {"0000", "30ffffffff7f", "20ffffff7f"}) {
    Reader reader;
    reader.add(hex(bytes));
    EXPECT_FALSE(reader.next().has_value());
    EXPECT_TRUE(reader.is_broken()) << bytes;
  }
}

TEST(Packets5, ConnackHasTheBrokersLimits) {
  // Maximum packet size 60000, no retained messages, QoS 0, keepalive 30, a topic alias maximum.
  const auto connack =
      decode_connack(hex("0000"
                         "0f"
                         "270000ea60"
                         "2500"
                         "2400"
                         "13001e"
                         "22000a"));
  ASSERT_TRUE(connack.has_value());
  EXPECT_EQ(connack->code, 0);
  EXPECT_FALSE(connack->old_form);
  EXPECT_EQ(connack->packet_bytes_max, 60'000U);
  EXPECT_FALSE(connack->retain_available);
  EXPECT_EQ(connack->qos_max, 0);
  EXPECT_EQ(connack->keepalive_s, 30);
}

TEST(Packets5, ConnackOfABrokerWithoutLimitsSaysNone) {
  const auto connack = decode_connack(hex("000000"));
  ASSERT_TRUE(connack.has_value());
  EXPECT_FALSE(connack->packet_bytes_max.has_value());
  EXPECT_TRUE(connack->retain_available);
  EXPECT_EQ(connack->qos_max, 2);
  const auto old = decode_connack(hex("0005"));
  ASSERT_TRUE(old.has_value());
  EXPECT_TRUE(old->old_form);
  EXPECT_EQ(old->code, 5);
}

TEST(Packets5, ACutConnackIsNone) {
  for (const auto* bytes : {"", "00", "000005", "00000527000000"})
    EXPECT_FALSE(decode_connack(hex(bytes)).has_value()) << bytes;
}

// A broker in bad hands may send anything.
TEST(Packets5, NoBytesBreakTheReader) {
  std::minstd_rand random(1);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes(random() % 40);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 8U);
    static_cast<void>(decode_connack(bytes));
    static_cast<void>(decode_puback(bytes));
    static_cast<void>(decode_suback(bytes));
    static_cast<void>(decode_disconnect(bytes));
    static_cast<void>(publish_topic(bytes));
    Reader reader;
    reader.add(bytes);
    std::size_t out = 0;
    while (const auto packet = reader.next()) out += packet->body.size();
    EXPECT_LE(out, bytes.size());
  }
}

TEST(Packets5, AnswersHaveTheirReasons) {
  EXPECT_EQ(decode_puback(hex("0002"))->code, 0);
  EXPECT_EQ(decode_puback(hex("000287"))->code, reason::kNotAuthorized);
  EXPECT_EQ(decode_puback(hex("0002870000"))->id, 2);
  EXPECT_FALSE(decode_puback(hex("00")).has_value());
  EXPECT_EQ(decode_suback(hex("0001000187")), hex("0187"));
  EXPECT_EQ(decode_disconnect(hex("8e")), reason::kTakenOver);
  EXPECT_EQ(decode_disconnect({}), 0);
  EXPECT_EQ(publish_topic(hex("0003612f6200")), "a/b");
  EXPECT_EQ(reason_name(0x97), "quota exceeded");
  EXPECT_EQ(reason_name(0xa2), "reason code 162");
}

}  // namespace
}  // namespace instar::mqtt::v5

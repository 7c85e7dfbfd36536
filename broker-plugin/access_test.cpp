#include "broker-plugin/access.hpp"

#include <gtest/gtest.h>

#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

class AccessRules : public testing::Test {
 protected:
  bool write(const Sender& who, const std::string& topic) { return access_.may_write(who, topic); }
  bool read(const Sender& who, const std::string& topic) { return access_.may_read(who, topic); }

  const Access access_{wire::Topics(), {"alice"}};
  const Sender device_{"gw-01", "devices", true};
  const Sender other_{"gw-02", "devices", true};
  const Sender alice_{"op-1", "alice", true};
  const Sender bridge_{"bridge", "", false};
};

TEST_F(AccessRules, DevicesWriteToTheirOwnTopicsOnly) {
  for (const auto* kind : {"hello", "report", "fetch", "presence"}) {
    const auto topic = std::string("instar/v1/d/gw-01/") + kind;
    EXPECT_TRUE(write(device_, topic)) << kind;
    EXPECT_FALSE(write(other_, topic)) << kind;
    EXPECT_FALSE(write(alice_, topic)) << kind;
    EXPECT_TRUE(write(bridge_, topic)) << kind;
    EXPECT_TRUE(read(alice_, topic)) << kind;
  }
}

TEST_F(AccessRules, NobodyWritesToTheBrokersTopics) {
  for (const auto* topic :
       {"instar/v1/d/gw-01/chunk", "instar/v1/d/gw-01/ack", "instar/v1/gate/plant-7/press",
        "instar/v1/r/0123456789abcdef/status", "instar/v1/o/op-1/stored", "$CONTROL/instar/v1/response"}) {
    for (const auto& who : {device_, alice_, bridge_}) EXPECT_FALSE(write(who, topic)) << topic;
  }
}

TEST_F(AccessRules, WhatStandsOnATopicThatIsNoneAnOperatorClearsAndNobodyWrites) {
  const wire::Topics topics;
  for (const auto* topic : {"instar/v1/", "instar/v1/x", "instar/v1/d/gw-01/hello/x", "instar/v1/manifest/press",
                            "instar/v1/g/plant-7/manifest", "instar/v1/gate/plant-7/press.2"}) {
    for (const auto& who : {device_, bridge_}) {
      EXPECT_FALSE(write(who, topic)) << topic;
      EXPECT_FALSE(access_.check_message(who, topics.parse(topic), 0).has_value()) << topic;
    }
    EXPECT_TRUE(write(alice_, topic)) << topic;
    EXPECT_TRUE(access_.check_message(alice_, topics.parse(topic), 0).has_value()) << topic;
    EXPECT_EQ(access_.check_message(alice_, topics.parse(topic), 1).error().code, Code::malformed) << topic;
  }
}

TEST_F(AccessRules, ChunksAndAcksAreReadByTheirDeviceOnly) {
  for (const auto* kind : {"chunk", "ack"}) {
    const auto topic = std::string("instar/v1/d/gw-01/") + kind;
    EXPECT_TRUE(read(device_, topic));
    EXPECT_FALSE(read(other_, topic));
    EXPECT_FALSE(read(alice_, topic));
    EXPECT_TRUE(read(bridge_, topic));
  }
  EXPECT_TRUE(read(alice_, "instar/v1/o/op-1/stored"));
  EXPECT_FALSE(read(device_, "instar/v1/o/op-1/stored"));
  EXPECT_TRUE(read(device_, "instar/v1/gate/plant-7/press"));
  EXPECT_TRUE(read(device_, "instar/v1/root"));
  EXPECT_TRUE(read(device_, "instar/v1/root/2"));
  EXPECT_FALSE(access_.may_write(device_, "instar/v1/root/2"));
}

TEST_F(AccessRules, OperatorsPublishAndCommand) {
  for (const auto* topic :
       {"instar/v1/root", "instar/v1/manifest/plant-7/line-a/press", "$CONTROL/instar/v1", "instar/v1/o/op-1/put"}) {
    EXPECT_TRUE(write(alice_, topic)) << topic;
    EXPECT_FALSE(write(device_, topic)) << topic;
  }
  EXPECT_FALSE(write(alice_, "instar/v1/o/op-2/put"));
  EXPECT_FALSE(write(bridge_, "$CONTROL/instar/v1"));
  EXPECT_TRUE(read(alice_, "$CONTROL/instar/v1/response"));
  EXPECT_FALSE(read(device_, "$CONTROL/instar/v1/response"));
}

TEST_F(AccessRules, EverythingElseIsLeftToTheDeployment) {
  for (const auto* topic : {"sensors/1", "instar", "instar/v1", "instar/v10/root", "other/instar/v1/root",
                            "$CONTROL/dynamic-security/v1", "$SYS/broker/uptime", ""}) {
    EXPECT_TRUE(write(device_, topic)) << topic;
    EXPECT_TRUE(read(device_, topic)) << topic;
  }
}

TEST_F(AccessRules, WithoutAListOfOperatorsTheDeploymentsAclsDecide) {
  const Access open(wire::Topics(), {});
  EXPECT_TRUE(open.may_write(device_, "instar/v1/root"));
  EXPECT_TRUE(open.may_write(device_, "$CONTROL/instar/v1"));
  EXPECT_FALSE(open.may_write(device_, "instar/v1/gate/plant-7/press"));
  EXPECT_FALSE(open.may_command(bridge_)) << "commands carry no signature";
}

TEST_F(AccessRules, AMessageIsCheckedByTopicAndSizeBeforeItsPayloadIsRead) {
  const wire::Topics topics;
  const auto check = [&](const Sender& sender, std::string_view topic, std::size_t bytes = 1) {
    const auto status = access_.check_message(sender, topics.parse(topic), bytes);
    return status.has_value() ? Code::ok : status.error().code;
  };
  EXPECT_EQ(check(device_, "instar/v1/d/gw-01/hello"), Code::ok);
  EXPECT_EQ(check(device_, "instar/v1/d/gw-01/hello", limits::kMessageBytesMax + 1), Code::too_large);
  EXPECT_EQ(check(device_, "instar/v1/d/gw-02/hello"), Code::refused);
  EXPECT_EQ(check(device_, "instar/v1/root"), Code::refused);
  EXPECT_EQ(check(alice_, "instar/v1/root"), Code::ok);
  EXPECT_EQ(check(alice_, "instar/v1/root/2"), Code::refused) << "the broker keeps the chain";
  EXPECT_EQ(check(bridge_, "instar/v1/root/2"), Code::ok);
  EXPECT_EQ(check(alice_, "instar/v1/d/gw-01/ack"), Code::refused);
  EXPECT_EQ(check(alice_, "instar/v1/x"), Code::malformed);
}

TEST(DeviceIdentities, TheLoginMustBeTheDeviceWhereItIsAskedFor) {
  const Access by_name{wire::Topics(), {"alice"}, DeviceIdentity::username};
  const Access by_certificate{wire::Topics(), {"alice"}, DeviceIdentity::certificate};
  Sender sender{"gw-01", "gw-01"};
  for (const auto* topic : {"hello", "report", "fetch", "presence"})
    EXPECT_TRUE(by_name.may_write(sender, "instar/v1/d/gw-01/" + std::string(topic)));
  EXPECT_TRUE(by_name.may_read(sender, "instar/v1/d/gw-01/chunk"));
  sender.username = "evil";
  for (const auto* topic : {"hello", "report", "fetch", "presence"})
    EXPECT_FALSE(by_name.may_write(sender, "instar/v1/d/gw-01/" + std::string(topic)));
  for (const auto* topic : {"chunk", "ack", "assign"})
    EXPECT_FALSE(by_name.may_read(sender, "instar/v1/d/gw-01/" + std::string(topic)));
  sender = {"gw-02", "gw-01"};
  EXPECT_FALSE(by_name.may_write(sender, "instar/v1/d/gw-01/hello")) << "presence goes by the client id";
  sender = {"gw-01", "gw-01"};
  EXPECT_FALSE(by_certificate.may_write(sender, "instar/v1/d/gw-01/hello")) << "a name that anybody may type";
  sender.is_certified = true;
  EXPECT_TRUE(by_certificate.may_write(sender, "instar/v1/d/gw-01/hello"));
  const wire::Topics topics;
  const auto status = by_name.check_message({"gw-01", "evil"}, topics.parse("instar/v1/d/gw-01/hello"), 1);
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message.find("of user 'evil' is not that device"), std::string::npos);
}

TEST(NameOf, IsTheUsernameElseTheClientId) {
  EXPECT_EQ(name_of({"op-1", "alice", true}), "alice");
  EXPECT_EQ(name_of({"gw-01", "", true}), "gw-01");
  EXPECT_EQ(name_of({"op\x1b[1", "", true}).find('\x1b'), std::string::npos) << "nothing that steers a terminal";
}

TEST(NameOf, ForgesNoLineOfTheLog) {
  EXPECT_EQ(name_of({"gw-01\n1700000000: instar: paused", "", true}), "gw-01?1700000000: instar: paused");
  EXPECT_EQ(name_of({"op-1", "al\r\n\tice", true}), "al???ice");
}

}  // namespace
}  // namespace instar::broker

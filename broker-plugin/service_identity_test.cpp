// Who a device is, as the service has it: hellos that rise, keys that were taken back, clones, enrolment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::broker {
namespace {

using testing::HasSubstr;
using wire::TopicKind;

class Identity : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    fixture_.settle();
  }
  wire::Ack say(const FakeDevice& device, const Bytes& hello) {
    fixture_.tick(limits::kHelloIntervalUs / 1'000);
    fixture_.from(device, TopicKind::device_hello, hello);
    fixture_.settle();
    const auto acks = fixture_.acks(device);
    return acks.empty() ? wire::Ack{} : acks.back();
  }
  wire::Ack say(FakeDevice& device) { return say(device, device.hello()); }
  static Bytes seal_hello(const FakeDevice& device, const wire::Hello& hello) {
    return trust::seal(trust::Kind::hello, wire::encode(hello), device.key);
  }
  nlohmann::json row(const std::string& device) {
    return fixture_.command({{"command", "getDevice"}, {"device", device}})["data"];
  }
  nlohmann::json version() { return fixture_.command({{"command", "getVersion"}})["data"]; }

  ServiceFixture fixture_;
  FakeDevice device_{"gw-01"};
};

TEST_F(Identity, ARecordedHelloDoesNothingAndTheDeviceIsToldWhereItsStartsAre) {
  const auto recorded = device_.hello();
  ASSERT_EQ(say(device_, recorded).code, Code::ok);
  device_.groups = {group_path("lab")};
  auto last = device_.hello_message();
  last.connect = ++device_.connect;
  last.instance = 77;
  ASSERT_EQ(say(device_, seal_hello(device_, last)).code, Code::ok);
  const auto ack = say(device_, recorded);
  EXPECT_EQ(ack.code, Code::stale);
  EXPECT_EQ(ack.boot, 1U);
  EXPECT_EQ(ack.instance, 77U);
  EXPECT_EQ(row("gw-01")["groups"], nlohmann::json::array({"lab"}));
  EXPECT_EQ(row("gw-01")["connect"], 2);
  EXPECT_EQ(say(device_, seal_hello(device_, last)).code, Code::ok) << "delivered twice";
}

TEST_F(Identity, AKeyThatWasForgottenIsRefusedUntilItIsAllowed) {
  ASSERT_EQ(say(device_).code, Code::ok);
  EXPECT_FALSE(fixture_.command({{"command", "forgetDevice"}, {"device", "gw-01"}}).contains("error"));
  EXPECT_EQ(say(device_).code, Code::untrusted_key);
  EXPECT_TRUE(fixture_.broker().logged("was taken back by an operator"));
  ASSERT_TRUE(fixture_.restart().has_value());
  EXPECT_EQ(say(device_).code, Code::untrusted_key) << "also from the store";
  EXPECT_FALSE(
      fixture_.command({{"command", "forgetDevice"}, {"device", "gw-01"}, {"allow_key", true}}).contains("error"));
  EXPECT_EQ(say(device_).code, Code::ok);
}

TEST_F(Identity, OtherHardwareTakesThePlace) {
  ASSERT_EQ(say(device_).code, Code::ok);
  FakeDevice renewed("gw-01", 101);
  FakeDevice thief("gw-01", 102);
  const auto digest = trust::digest(renewed.key.public_key().bytes);
  const auto named = to_hex(ByteView(digest.bytes).first(8));
  EXPECT_TRUE(
      fixture_.command({{"command", "replaceDevice"}, {"device", "gw-01"}, {"key_id", "short"}}).contains("error"));
  EXPECT_FALSE(
      fixture_.command({{"command", "replaceDevice"}, {"device", "gw-01"}, {"key_id", named}}).contains("error"));
  EXPECT_TRUE(row("gw-01")["public_key"].is_null());
  EXPECT_EQ(say(device_).code, Code::untrusted_key) << "the old one";
  EXPECT_EQ(say(thief).code, Code::untrusted_key) << "not the one that was named";
  EXPECT_EQ(say(renewed).code, Code::ok);
  EXPECT_EQ(row("gw-01")["public_key"], to_hex(renewed.key.public_key().bytes));
  EXPECT_TRUE(fixture_.command({{"command", "replaceDevice"}, {"device", "nobody"}}).contains("error"));
}

TEST_F(Identity, ACloneIsShown) {
  std::uint32_t boot = 1;
  const auto say_as = [&](std::uint64_t instance) {
    auto hello = device_.hello_message();
    hello.boot = ++boot;
    hello.connect = 1;
    hello.instance = instance;
    return say(device_, seal_hello(device_, hello)).code;
  };
  EXPECT_EQ(say_as(1), Code::ok);
  EXPECT_EQ(say_as(2), Code::ok);
  EXPECT_EQ(row("gw-01")["cloned"], false);
  EXPECT_EQ(say_as(1), Code::ok) << "it went on above the other";
  EXPECT_EQ(row("gw-01")["cloned"], true);
  EXPECT_EQ(version()["devices_cloned"], 1);
  EXPECT_TRUE(fixture_.broker().logged("two devices speak as gw-01"));
  fixture_.set_clock(limits::kCloneShownMs);
  EXPECT_EQ(row("gw-01")["cloned"], false) << "it was a week ago";
}

// --- enrolment ---------------------------------------------------------------------------------------

class Enrolled : public Identity {
 protected:
  Enrolled() { fixture_.options().listed = true; }
  wire::Enrolment enrolment(std::string_view device) {
    wire::Enrolment out;
    out.device = device_id(device);
    out.product = "gateway-3";
    out.groups = {group_path("plant-7/line-b")};
    out.key = device_.key.public_key();
    fixture_.tick(1);
    out.issued = fixture_.now().wall;
    return out;
  }
  nlohmann::json enrol(const wire::Enrolment& word, int key = kReleaseKey) {
    const auto envelope = trust::seal(trust::Kind::enrolment, wire::encode(word), test_key(key));
    return fixture_.command({{"command", "enrolDevice"}, {"enrolment", to_hex(envelope)}});
  }
};

TEST_F(Enrolled, NobodyElseIsTakenAndItIsKnownWhoTried) {
  EXPECT_EQ(say(device_).code, Code::refused);
  EXPECT_TRUE(fixture_.broker().logged("device gw-01 is not enrolled here"));
  EXPECT_EQ(version()["enrolment"], "listed");
  EXPECT_EQ(version()["hellos_not_enrolled"], 1);
  const auto listed = fixture_.command({{"command", "listDevices"}, {"unknown", true}})["data"];
  ASSERT_EQ(listed["refused"].size(), 1U);
  EXPECT_EQ(listed["refused"][0]["device"], "gw-01");
  EXPECT_EQ(version()["devices"], 0);
}

TEST_F(Enrolled, ADeviceIsWhatTheOperatorsWordSaysAndThatOutlivesIt) {
  const auto answer = enrol(enrolment("gw-01"));
  ASSERT_FALSE(answer.contains("error")) << answer.dump();
  EXPECT_EQ(answer["data"]["demanded"], true);
  EXPECT_EQ(say(device_).code, Code::ok);
  EXPECT_EQ(row("gw-01")["product"], "gateway-3") << "whatever its hello says";
  EXPECT_EQ(row("gw-01")["groups"], nlohmann::json::array({"plant-7/line-b"}));
  FakeDevice thief("gw-01", 102);
  EXPECT_EQ(say(thief).code, Code::untrusted_key);
  ASSERT_TRUE(fixture_.restart().has_value());
  EXPECT_EQ(row("gw-01")["groups"], nlohmann::json::array({"plant-7/line-b"}));
  EXPECT_FALSE(
      fixture_.command({{"command", "forgetDevice"}, {"device", "gw-01"}, {"allow_key", true}}).contains("error"));
  EXPECT_EQ(say(device_).code, Code::ok) << "forgotten, and still enrolled";
}

TEST_F(Enrolled, AnAssignmentMovesItAllTheSame) {
  ASSERT_FALSE(enrol(enrolment("gw-01")).contains("error"));
  ASSERT_EQ(say(device_).code, Code::ok);
  EXPECT_EQ(fixture_.assign(device_, {group_path("plant-9")}), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(say(device_).code, Code::ok);
  EXPECT_EQ(row("gw-01")["groups"], nlohmann::json::array({"plant-9"}));
  ASSERT_TRUE(fixture_.restart().has_value());
  EXPECT_EQ(row("gw-01")["groups"], nlohmann::json::array({"plant-9"}));
}

TEST_F(Enrolled, ATokenCountsOnce) {
  auto word = enrolment("gw-01");
  word.key.reset();
  word.token_hash = trust::digest(as_bytes("secret"));
  ASSERT_FALSE(enrol(word).contains("error"));
  const auto say_with = [&](FakeDevice& device, std::string_view token) {
    auto hello = device.hello_message();
    hello.connect = ++device.connect;
    hello.token = to_bytes(token);
    return say(device, seal_hello(device, hello)).code;
  };
  EXPECT_EQ(say_with(device_, "guess"), Code::refused);
  EXPECT_EQ(say_with(device_, ""), Code::refused);
  EXPECT_EQ(say_with(device_, "secret"), Code::ok);
  EXPECT_EQ(say_with(device_, ""), Code::ok) << "its key is known now";
  ASSERT_TRUE(fixture_.restart().has_value());
  EXPECT_FALSE(fixture_.command({{"command", "forgetDevice"}, {"device", "gw-01"}}).contains("error"));
  FakeDevice thief("gw-01", 102);
  EXPECT_EQ(say_with(thief, "secret"), Code::refused) << "it was used";
}

TEST_F(Enrolled, TheWordCountsWithinTheReachOfItsKeysAndInTime) {
  auto word = enrolment("gw-01");
  word.groups = {group_path("plant-9")};
  EXPECT_TRUE(enrol(word, kPlant7Key).contains("error"));
  EXPECT_TRUE(enrol(word, kStrangerKey).contains("error"));
  EXPECT_FALSE(enrol(word).contains("error"));
  EXPECT_FALSE(enrol(word).contains("error")) << "the same once more";
  auto other = enrolment("gw-01");
  EXPECT_TRUE(enrol(other, kPlant7Key).contains("error")) << "plant 9 is what it leaves";
  EXPECT_FALSE(enrol(other).contains("error"));
  EXPECT_TRUE(enrol(word).contains("error")) << "an earlier one";
  auto expired = enrolment("gw-02");
  expired.expires = fixture_.now().wall;
  EXPECT_TRUE(enrol(expired).contains("error"));
  auto brief = enrolment("gw-01");
  brief.expires = fixture_.now().wall + 1'000;
  ASSERT_FALSE(enrol(brief).contains("error"));
  fixture_.tick(2'000);
  EXPECT_EQ(say(device_).code, Code::expired);
}

}  // namespace
}  // namespace instar::broker

// The chain of root documents at the broker: every version stays to be had, what removed keys have signed is withdrawn,
// and a broker that was restored from older data is told.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"

namespace instar::broker {
namespace {

class ServiceRoots : public testing::Test {
 protected:
  ServiceRoots() {
    // The second and the third take no key out; the fourth takes the one of plant 7.
    documents_.push_back(test_root());
    for (std::uint32_t version = 2; version <= 4; ++version)
      documents_.push_back(test_root(version, trust::digest(trust::encode_root(documents_.back()))));
    documents_[3].roles[1].key_ids = {test_key(kReleaseKey).public_key().id()};
  }
  void start(std::uint32_t pinned = 1) {
    fixture_.options().pinned_root = root(pinned);
    ASSERT_TRUE(fixture_.start().has_value());
    fixture_.settle();
  }
  void restart() {
    ASSERT_TRUE(fixture_.restart().has_value());
    fixture_.settle();
  }
  [[nodiscard]] Bytes root(std::uint32_t version) const { return seal_root(documents_.at(version - 1)); }
  Verdict publish(std::uint32_t version) {
    const auto verdict = fixture_.send("op-1", fixture_.topics().root(), root(version), wire::Retain::yes);
    fixture_.settle();
    return verdict;
  }
  [[nodiscard]] std::optional<Bytes> retained(const std::string& topic) {
    const auto found = fixture_.broker().retained.find(topic);
    if (found == fixture_.broker().retained.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] std::optional<Bytes> kept(std::uint32_t version) { return retained(fixture_.topics().root(version)); }
  nlohmann::json list() { return fixture_.command({{"command", "listRollouts"}})["data"]; }
  void hello(FakeDevice& device, std::uint32_t root_version) {
    ++device.connect;
    auto hello = device.hello_message();
    hello.description.root_version = root_version;
    fixture_.from(device, wire::TopicKind::device_hello,
                  trust::seal(trust::Kind::hello, wire::encode(hello), device.key));
    fixture_.settle();
  }

  ServiceFixture fixture_;
  std::vector<trust::RootDocument> documents_;
};

TEST_F(ServiceRoots, EveryVersionIsRetainedOnATopicOfItsOwn) {
  start();
  EXPECT_EQ(kept(1), root(1));
  EXPECT_EQ(publish(2), Verdict::consume);
  EXPECT_EQ(publish(3), Verdict::consume);
  EXPECT_EQ(retained(fixture_.topics().root()), root(3));
  restart();
  for (const std::uint32_t version : {1U, 2U, 3U}) EXPECT_EQ(kept(version), root(version)) << version;
  EXPECT_EQ(retained(fixture_.topics().root()), root(3));
  EXPECT_EQ(list()["root_chain"], nlohmann::json::parse("[[1,3]]"));
}

TEST_F(ServiceRoots, AMissingVersionIsSeenWithTheCommit) {
  start();
  EXPECT_EQ(fixture_.send("op-1", fixture_.topics().root(), root(2), wire::Retain::yes), Verdict::consume);
  EXPECT_EQ(kept(2), std::nullopt);
  fixture_.settle();
  EXPECT_EQ(kept(2), root(2));
}

TEST_F(ServiceRoots, TheChainIsFilledDownwardsFromWhatIsKnown) {
  start(3);
  EXPECT_EQ(list()["root_chain"], nlohmann::json::parse("[[3,3]]"));
  EXPECT_EQ(publish(1), Verdict::refuse) << "no document that is known leads to it yet";
  EXPECT_EQ(fixture_.send("op-1", fixture_.topics().root(), seal_root(documents_[1], kStrangerKey)), Verdict::refuse);
  EXPECT_EQ(publish(2), Verdict::consume);
  EXPECT_EQ(publish(1), Verdict::consume);
  EXPECT_TRUE(fixture_.broker().logged("kept: version 2 of the chain"));
  for (const std::uint32_t version : {1U, 2U, 3U}) EXPECT_EQ(kept(version), root(version)) << version;
  EXPECT_EQ(retained(fixture_.topics().root()), root(3)) << "the newest stays in force";
  EXPECT_EQ(publish(2), Verdict::consume) << "again changes nothing";
  restart();
  EXPECT_EQ(list()["root_chain"], nlohmann::json::parse("[[1,3]]"));
}

TEST_F(ServiceRoots, NobodyElseWritesThere) {
  start();
  EXPECT_EQ(fixture_.send("op-1", fixture_.topics().root(2), root(2)), Verdict::refuse);
  EXPECT_EQ(kept(2), std::nullopt);
  const auto bring = [&](std::uint32_t version) {
    const auto verdict =
        fixture_.service().on_message({"hub", "", false}, fixture_.topics().root(version), root(version),
                                      wire::Qos::at_least_once, wire::Retain::yes, fixture_.now());
    fixture_.settle();
    return verdict;
  };
  EXPECT_EQ(bring(2), Verdict::consume) << "another broker has kept it";
  EXPECT_EQ(retained(fixture_.topics().root()), root(2));
  fixture_.forget_published();
  EXPECT_EQ(bring(2), Verdict::consume);
  EXPECT_TRUE(fixture_.broker().on(fixture_.topics().root(2)).empty()) << "it would go round for ever";
}

TEST_F(ServiceRoots, WhatARemovedKeyHasSignedIsWithdrawn) {
  start();
  const auto pack = make_pack(1);
  fixture_.upload(pack);
  const auto by_plant = make_manifest(pack, 1);
  const auto other = make_manifest(pack, 2, {group_path("plant-9")});
  ASSERT_EQ(fixture_.publish(seal_manifest(by_plant, kPlant7Key), "plant-7"), Verdict::consume);
  ASSERT_EQ(fixture_.publish(seal_manifest(other), "plant-9"), Verdict::consume);
  fixture_.settle();
  const auto topic = fixture_.topics().manifest(group_path("plant-7"), "gateway-2");
  ASSERT_FALSE(retained(topic)->empty());
  for (const std::uint32_t version : {2U, 3U, 4U}) ASSERT_EQ(publish(version), Verdict::consume);
  EXPECT_EQ(retained(topic), Bytes{}) << "an empty message takes it away";
  EXPECT_EQ(fixture_.gate("plant-7")->state, wire::GateState::aborted);
  EXPECT_FALSE(retained(fixture_.topics().manifest(group_path("plant-9"), "gateway-2"))->empty());
  const auto row = fixture_.command({{"command", "getRollout"}, {"rollout", rollout_of(by_plant).short_hex()}})["data"];
  EXPECT_EQ(row["state"], "aborted");
  EXPECT_NE(row["cause"].get<std::string>().find("keys that the root document does not name"), std::string::npos);
  restart();
  EXPECT_EQ(retained(topic), Bytes{}) << "a broker that died before it had said so says it now";
  EXPECT_FALSE(retained(fixture_.topics().manifest(group_path("plant-9"), "gateway-2"))->empty());
}

TEST_F(ServiceRoots, ALostWriteWithdrawsNothing) {
  start();
  const auto pack = make_pack(1);
  fixture_.upload(pack);
  ASSERT_EQ(fixture_.publish(seal_manifest(make_manifest(pack, 1), kPlant7Key), "plant-7"), Verdict::consume);
  for (const std::uint32_t version : {2U, 3U}) ASSERT_EQ(publish(version), Verdict::consume);
  fixture_.send("op-1", fixture_.topics().root(), root(4), wire::Retain::yes);
  restart();
  EXPECT_EQ(retained(fixture_.topics().root()), root(3));
  EXPECT_FALSE(retained(fixture_.topics().manifest(group_path("plant-7"), "gateway-2"))->empty());
}

TEST_F(ServiceRoots, ABrokerThatIsBehindItsDevicesIsTold) {
  start();
  FakeDevice device("gw-01");
  hello(device, 1);
  EXPECT_TRUE(list()["root_behind"].is_null());
  hello(device, 3);
  EXPECT_TRUE(fixture_.broker().logged("device gw-01 holds root document 3, and this broker 1"));
  EXPECT_EQ(list()["root_behind"], nlohmann::json::parse(R"({"ours":1,"newest":3,"devices":1})"));
  const auto lines = fixture_.broker().lines.size();
  hello(device, 3);
  EXPECT_EQ(fixture_.broker().lines.size(), lines) << "once an hour";
  for (const std::uint32_t version : {2U, 3U}) ASSERT_EQ(publish(version), Verdict::consume);
  EXPECT_TRUE(list()["root_behind"].is_null()) << "put right";
}

TEST_F(ServiceRoots, TellsThatTheRootDocumentExpiresSoonOnceADay) {
  documents_[0].expires = fixture_.now().wall + (limits::kRootExpiryWarnMs - 60'000);
  start();
  const auto warnings = [&] {
    return std::ranges::count_if(fixture_.broker().lines, [](const std::string& line) {
      return line.find("root document 1 expires on") != std::string::npos;
    });
  };
  EXPECT_EQ(warnings(), 1);
  fixture_.tick(60'000);
  EXPECT_EQ(warnings(), 1);
  fixture_.tick(24 * 3'600 * 1'000);
  EXPECT_EQ(warnings(), 2);
  EXPECT_EQ(list()["root_expires_ms"], documents_[0].expires.value);
}

}  // namespace
}  // namespace instar::broker

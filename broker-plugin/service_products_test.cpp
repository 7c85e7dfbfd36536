// Products that share a group, and releases that come back: what stands retained, and what devices that were away get.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/trust/root.hpp"

namespace instar::broker {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ServiceProducts : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    fixture_.upload(pack_);
  }
  [[nodiscard]] wire::Manifest manifest(std::string product, std::uint64_t sequence) const {
    auto out = make_manifest(pack_, sequence);
    out.product = std::move(product);
    out.policy.revert_allowed = true;
    return out;
  }
  wire::Manifest release(const std::string& product, std::uint64_t sequence) {
    auto out = manifest(product, sequence);
    EXPECT_EQ(fixture_.publish(out), Verdict::consume);
    fixture_.settle();
    return out;
  }
  void act(const char* command, const wire::Manifest& manifest) {
    const auto answer = fixture_.command({{"command", command}, {"rollout", rollout_of(manifest).short_hex()}});
    EXPECT_FALSE(answer.contains("error")) << answer.dump();
    fixture_.settle();
  }
  [[nodiscard]] Bytes retained(std::string_view product = "gateway-2", std::string_view group = "plant-7") {
    const auto& all = fixture_.broker().retained;
    const auto found = all.find(fixture_.topics().manifest(group_path(group), product));
    return found == all.end() ? Bytes{} : found->second;
  }
  // The gates in the acks of a device that says hello at `step` of a rollout.
  std::vector<wire::Gate> endings(FakeDevice& device) {
    fixture_.forget_published();
    EXPECT_EQ(fixture_.hello(device), Verdict::consume);
    fixture_.settle();
    const auto trust = trust::TrustStore::from_pinned(fixture_.options().pinned_root);
    std::vector<wire::Gate> out;
    for (const auto& ack : fixture_.acks(device)) {
      for (const auto& envelope : ack.endings) {
        const auto opened = trust->open_gate(envelope);
        EXPECT_TRUE(opened.has_value()) << opened.error().message;
        if (opened.has_value()) out.push_back(*wire::decode_gate(opened->payload));
      }
    }
    return out;
  }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
};

TEST_F(ServiceProducts, ATypoTakesNoReleasesPlace) {
  const auto right = release("gateway-2", 1);
  const auto typo = release("gatway-2", 2);
  EXPECT_EQ(retained("gateway-2"), seal_manifest(right));
  EXPECT_EQ(retained("gatway-2"), seal_manifest(typo));
  EXPECT_EQ(fixture_.gate("plant-7", "gateway-2")->manifest, rollout_of(right));
  EXPECT_EQ(fixture_.gate("plant-7", "gatway-2")->manifest, rollout_of(typo));
  const auto rows = fixture_.command({{"command", "listGroups"}})["data"]["groups"];
  ASSERT_EQ(rows[0]["rollouts"].size(), 2U) << rows.dump();
  EXPECT_EQ(rows[0]["rollouts"][1]["product"], "gatway-2");
  act("abortRollout", typo);
  EXPECT_EQ(retained("gateway-2"), seal_manifest(right));
  EXPECT_EQ(fixture_.gate("plant-7", "gateway-2")->state, wire::GateState::open);
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(retained("gateway-2"), seal_manifest(right));
  EXPECT_EQ(fixture_.gate("plant-7", "gatway-2")->state, wire::GateState::aborted);
}

TEST_F(ServiceProducts, AManifestOnAnotherProductsTopicIsRefusedWithBothNames) {
  const auto press = manifest("press", 1);
  EXPECT_EQ(fixture_.publish(seal_manifest(press), "plant-7", wire::Retain::yes, "gateway-2"), Verdict::refuse);
  fixture_.settle();
  const auto topic = fixture_.topics().status(rollout_of(press).short_hex());
  ASSERT_THAT(fixture_.broker().on(topic), SizeIs(1));
  const auto said = std::string(as_text(fixture_.broker().on(topic)[0].payload));
  EXPECT_THAT(said, HasSubstr("is for product press"));
  EXPECT_THAT(said, HasSubstr("topic of product gateway-2"));
  EXPECT_THAT(retained("gateway-2"), IsEmpty());
}

TEST_F(ServiceProducts, AnAbortPutsTheManifestAndTheGateBackThatHadStoodThere) {
  const auto first = release("gateway-2", 1);
  const auto second = release("gateway-2", 2);
  ASSERT_EQ(retained(), seal_manifest(second));
  fixture_.forget_published();
  act("abortRollout", second);
  EXPECT_EQ(retained(), seal_manifest(first));
  EXPECT_EQ(fixture_.gate("plant-7")->manifest, rollout_of(first));
  EXPECT_EQ(fixture_.gate("plant-7")->state, wire::GateState::open);
  EXPECT_THAT(fixture_.broker().on(fixture_.topics().gate(group_path("plant-7"), "gateway-2")), SizeIs(2))
      << "the end of the other one, then its own";
  EXPECT_TRUE(fixture_.broker().logged("offered again to plant-7"));
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(retained(), seal_manifest(first)) << "also of a broker that has lost its retained messages";
  EXPECT_EQ(fixture_.gate("plant-7")->manifest, rollout_of(first));
  const auto third = release("gateway-2", 3);
  EXPECT_EQ(retained(), seal_manifest(third));
}

TEST_F(ServiceProducts, NothingIsOfferedInThePlaceOfWhatHasEndedIfNothingElseGoesOn) {
  const auto first = release("gateway-2", 1);
  act("abortRollout", first);
  const auto second = release("gateway-2", 2);
  act("abortRollout", second);
  EXPECT_EQ(retained(), seal_manifest(second));
  EXPECT_EQ(fixture_.gate("plant-7")->manifest, rollout_of(second));
  EXPECT_EQ(fixture_.gate("plant-7")->state, wire::GateState::aborted);
}

TEST_F(ServiceProducts, ReleasesWhosePacksWereRemovedDoNotComeBackUntilTheyArePublishedAgain) {
  const auto first = release("gateway-2", 1);
  const auto other = make_pack(2);
  fixture_.upload(other);
  const auto second = make_manifest(other, 2);
  ASSERT_EQ(fixture_.publish(second), Verdict::consume);
  fixture_.settle();
  ASSERT_FALSE(fixture_.command({{"command", "removePack"}, {"pack", pack_.id.hex()}}).contains("error"));
  for (int i = 0; i < 5; ++i) fixture_.settle();
  act("abortRollout", second);
  EXPECT_EQ(retained(), seal_manifest(second));
  EXPECT_TRUE(fixture_.broker().logged("packs of it were removed: publish its release again"));
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_THAT(retained(), IsEmpty()) << "nor after a restart";
  fixture_.upload(pack_);
  ASSERT_EQ(fixture_.publish(first), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(retained(), seal_manifest(first));
  EXPECT_EQ(fixture_.gate("plant-7")->manifest, rollout_of(first));
}

TEST_F(ServiceProducts, ADeviceThatWasAwayGetsTheEndWithTheAckOfItsHello) {
  const auto first = release("gateway-2", 1);
  const auto second = release("gateway-2", 2);
  FakeDevice device("gw-01");
  device.rollout = rollout_of(second);
  device.step = wire::Step::fetching;
  EXPECT_THAT(endings(device), IsEmpty());
  act("abortRollout", second);
  const auto gates = endings(device);
  ASSERT_THAT(gates, SizeIs(1));
  EXPECT_EQ(gates[0].manifest, rollout_of(second));
  EXPECT_EQ(gates[0].state, wire::GateState::aborted);
  device.rollout = rollout_of(first);
  EXPECT_THAT(endings(device), IsEmpty());
}

TEST_F(ServiceProducts, WhatStandsOnATopicThatIsNoneAnOperatorClears) {
  const std::string old = "instar/v1/g/plant-7/manifest";
  EXPECT_EQ(fixture_.send("op-1", old, to_bytes("x"), wire::Retain::yes), Verdict::refuse);
  EXPECT_EQ(fixture_.send("op-1", old, {}, wire::Retain::yes), Verdict::route);
}

}  // namespace
}  // namespace instar::broker

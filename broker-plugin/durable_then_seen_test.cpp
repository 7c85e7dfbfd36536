// First durable, then seen: manifests and assignments are swallowed when they arrive. The service publishes them once
// they are in the store.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

class DurableThenSeen : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    fixture_.upload(pack_);
    fixture_.hello(device_);
    fixture_.settle();
    fixture_.forget_published();
  }
  [[nodiscard]] std::string manifest_topic() const {
    return fixture_.topics().manifest(group_path("plant-7"), "gateway-2");
  }
  [[nodiscard]] std::string assignment_topic() const {
    return fixture_.topics().device(device_.id, wire::TopicKind::device_assignment);
  }
  [[nodiscard]] std::size_t times_seen(const std::string& topic) { return fixture_.broker().on(topic).size(); }
  void fail_next_commit() { fixture_.store().set_faults({.fail_commit = fixture_.store().commit_count() + 1}); }
  void let_the_store_recover() {
    for (int i = 0; i < 10; ++i) fixture_.tick(1'000);
  }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
  FakeDevice device_{"gw-01"};
  wire::Manifest manifest_ = make_manifest(pack_, 1);
};

TEST_F(DurableThenSeen, AManifestIsSeenWithTheCommitAndBeforeItsGateAndStatus) {
  EXPECT_EQ(fixture_.publish(manifest_), Verdict::consume);
  EXPECT_EQ(times_seen(manifest_topic()), 0U);
  fixture_.settle();
  ASSERT_EQ(times_seen(manifest_topic()), 1U);
  EXPECT_EQ(fixture_.broker().retained[manifest_topic()], seal_manifest(manifest_));
  EXPECT_EQ(fixture_.broker().published.front().topic, manifest_topic());
  EXPECT_TRUE(fixture_.gate("plant-7").has_value());
  EXPECT_EQ(fixture_.status(rollout_of(manifest_))["state"], "active");
}

TEST_F(DurableThenSeen, AManifestThatAPowerCutLostWasNeverSeen) {
  fixture_.publish(manifest_);
  EXPECT_TRUE(fixture_.broker().published.empty()) << "what the store can still lose";
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 0U);
  EXPECT_FALSE(fixture_.gate("plant-7").has_value());
  // The operator got no status, and publishes again.
  EXPECT_EQ(fixture_.publish(manifest_), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 1U);
}

TEST_F(DurableThenSeen, AManifestThatTheStoreRefusedWasNeverSeen) {
  fail_next_commit();
  EXPECT_EQ(fixture_.publish(manifest_), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 0U);
  let_the_store_recover();
  EXPECT_EQ(times_seen(manifest_topic()), 0U);
  EXPECT_EQ(fixture_.publish(manifest_), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 1U);
}

TEST_F(DurableThenSeen, AManifestThatIsPublishedAgainIsRetainedAgain) {
  fixture_.publish(manifest_);
  fixture_.settle();
  fixture_.broker().retained.erase(manifest_topic());
  EXPECT_EQ(fixture_.publish(manifest_), Verdict::consume);
  fixture_.settle();
  EXPECT_TRUE(fixture_.broker().retained.contains(manifest_topic()));
}

TEST_F(DurableThenSeen, AnAssignmentIsSeenWithTheCommit) {
  EXPECT_EQ(fixture_.assign(device_), Verdict::consume);
  EXPECT_EQ(times_seen(assignment_topic()), 0U);
  fixture_.settle();
  ASSERT_EQ(times_seen(assignment_topic()), 1U);
  EXPECT_TRUE(fixture_.broker().retained.contains(assignment_topic()));
}

TEST_F(DurableThenSeen, AnAssignmentThatAPowerCutLostWasNeverSeen) {
  fixture_.assign(device_);
  EXPECT_TRUE(fixture_.broker().published.empty());
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(times_seen(assignment_topic()), 0U);
}

TEST_F(DurableThenSeen, AnAssignmentThatTheStoreRefusedWasNeverSeen) {
  fail_next_commit();
  fixture_.assign(device_);
  fixture_.settle();
  let_the_store_recover();
  EXPECT_EQ(times_seen(assignment_topic()), 0U);
}

TEST_F(DurableThenSeen, AWithdrawalIsSeenWithTheCommitToo) {
  fixture_.assign(device_);
  fixture_.settle();
  const auto before = fixture_.broker().retained[assignment_topic()];
  fixture_.assign(device_, {});
  EXPECT_EQ(fixture_.broker().retained[assignment_topic()], before);
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().retained[assignment_topic()], before) << "the one before stands: this one was lost";
  fixture_.tick(1);
  fixture_.assign(device_, {});
  fixture_.settle();
  EXPECT_NE(fixture_.broker().retained[assignment_topic()], before);
}

// Otherwise it would go back and forth between two brokers for ever.
TEST_F(DurableThenSeen, WhatABridgeBringsBackIsNotPublishedAgain) {
  const Sender bridge{"hub", "", false};
  const auto envelope = seal_manifest(manifest_);
  const auto send = [&](const std::string& topic, const Bytes& payload) {
    return fixture_.service().on_message(bridge, topic, payload, wire::Qos::at_least_once, wire::Retain::yes,
                                         fixture_.now());
  };
  EXPECT_EQ(send(manifest_topic(), envelope), Verdict::consume);
  EXPECT_EQ(fixture_.assign(device_, {group_path("plant-7")}, bridge), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 1U) << "the first time it is news";
  EXPECT_EQ(times_seen(assignment_topic()), 1U);
  EXPECT_EQ(send(manifest_topic(), envelope), Verdict::consume);
  EXPECT_EQ(fixture_.assign(device_, {group_path("plant-7")}, bridge), Verdict::consume);
  EXPECT_EQ(send(fixture_.topics().root(), fixture_.options().pinned_root), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 1U);
  EXPECT_EQ(times_seen(assignment_topic()), 1U);
  EXPECT_EQ(times_seen(fixture_.topics().root()), 0U);
}

}  // namespace
}  // namespace instar::broker

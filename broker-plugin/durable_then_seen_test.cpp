// Durable, then seen: manifests and assignments are swallowed as they come, and published by the service once they are
// in the store.
#include <gtest/gtest.h>

#include "broker-plugin/testing/service_fixture.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

class DurableThenSeen : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(rig_.start().has_value());
    rig_.upload(pack_);
    rig_.hello(device_);
    rig_.settle();
    rig_.forget_published();
  }
  [[nodiscard]] std::string manifest_topic() const { return rig_.topics().manifest(group_path("plant-7")); }
  [[nodiscard]] std::string assignment_topic() const {
    return rig_.topics().device(device_.id, wire::TopicKind::device_assignment);
  }
  [[nodiscard]] std::size_t times_seen(const std::string& topic) { return rig_.broker().on(topic).size(); }
  void fail_next_commit() { rig_.store().set_faults({.fail_commit = rig_.store().commit_count() + 1}); }
  void let_the_store_recover() {
    for (int i = 0; i < 10; ++i) rig_.tick(1'000);
  }

  ServiceFixture rig_;
  PackFixture pack_ = make_pack(1);
  FakeDevice device_{"gw-01"};
  wire::Manifest manifest_ = make_manifest(pack_, 1);
};

TEST_F(DurableThenSeen, AManifestIsSeenWithTheCommitAndBeforeItsGateAndStatus) {
  EXPECT_EQ(rig_.publish(manifest_), Verdict::consume);
  EXPECT_EQ(times_seen(manifest_topic()), 0U);
  rig_.settle();
  ASSERT_EQ(times_seen(manifest_topic()), 1U);
  EXPECT_EQ(rig_.broker().retained[manifest_topic()], seal_manifest(manifest_));
  EXPECT_EQ(rig_.broker().published.front().topic, manifest_topic());
  EXPECT_TRUE(rig_.gate("plant-7").has_value());
  EXPECT_EQ(rig_.status(rollout_of(manifest_))["state"], "active");
}

TEST_F(DurableThenSeen, AManifestThatAPowerCutTookFromTheStoreWasNeverSeen) {
  rig_.publish(manifest_);
  EXPECT_TRUE(rig_.broker().published.empty()) << "what the store can still lose";
  ASSERT_TRUE(rig_.restart().has_value());
  rig_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 0U);
  EXPECT_FALSE(rig_.gate("plant-7").has_value());
  // The operator got no status, and publishes again.
  EXPECT_EQ(rig_.publish(manifest_), Verdict::consume);
  rig_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 1U);
}

TEST_F(DurableThenSeen, AManifestThatTheStoreRefusedWasNeverSeen) {
  fail_next_commit();
  EXPECT_EQ(rig_.publish(manifest_), Verdict::consume);
  rig_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 0U);
  let_the_store_recover();
  EXPECT_EQ(times_seen(manifest_topic()), 0U);
  EXPECT_EQ(rig_.publish(manifest_), Verdict::consume);
  rig_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 1U);
}

TEST_F(DurableThenSeen, AManifestThatIsPublishedAgainIsRetainedAgain) {
  rig_.publish(manifest_);
  rig_.settle();
  rig_.broker().retained.erase(manifest_topic());
  EXPECT_EQ(rig_.publish(manifest_), Verdict::consume);
  rig_.settle();
  EXPECT_TRUE(rig_.broker().retained.contains(manifest_topic()));
}

TEST_F(DurableThenSeen, AnAssignmentIsSeenWithTheCommit) {
  EXPECT_EQ(rig_.assign(device_), Verdict::consume);
  EXPECT_EQ(times_seen(assignment_topic()), 0U);
  rig_.settle();
  ASSERT_EQ(times_seen(assignment_topic()), 1U);
  EXPECT_TRUE(rig_.broker().retained.contains(assignment_topic()));
}

TEST_F(DurableThenSeen, AnAssignmentThatAPowerCutTookFromTheStoreWasNeverSeen) {
  rig_.assign(device_);
  EXPECT_TRUE(rig_.broker().published.empty());
  ASSERT_TRUE(rig_.restart().has_value());
  rig_.settle();
  EXPECT_EQ(times_seen(assignment_topic()), 0U);
}

TEST_F(DurableThenSeen, AnAssignmentThatTheStoreRefusedWasNeverSeen) {
  fail_next_commit();
  rig_.assign(device_);
  rig_.settle();
  let_the_store_recover();
  EXPECT_EQ(times_seen(assignment_topic()), 0U);
}

TEST_F(DurableThenSeen, AWithdrawnAssignmentGoesTheSameWay) {
  rig_.assign(device_);
  rig_.settle();
  const auto before = rig_.broker().retained[assignment_topic()];
  rig_.assign(device_, {});
  EXPECT_EQ(rig_.broker().retained[assignment_topic()], before);
  ASSERT_TRUE(rig_.restart().has_value());
  rig_.settle();
  EXPECT_EQ(rig_.broker().retained[assignment_topic()], before) << "the one before stands: this one was lost";
  rig_.assign(device_, {});
  rig_.settle();
  EXPECT_NE(rig_.broker().retained[assignment_topic()], before);
}

// Between two brokers it would go round for ever.
TEST_F(DurableThenSeen, WhatABridgeBringsBackIsNotPublishedAgain) {
  const Sender bridge{"hub", "", false};
  const auto envelope = seal_manifest(manifest_);
  const auto send = [&](const std::string& topic, const Bytes& payload) {
    return rig_.service().on_message(bridge, topic, payload, wire::Qos::at_least_once, wire::Retain::yes, rig_.now());
  };
  EXPECT_EQ(send(manifest_topic(), envelope), Verdict::consume);
  EXPECT_EQ(rig_.assign(device_, {group_path("plant-7")}, bridge), Verdict::consume);
  rig_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 1U) << "the first time it is news";
  EXPECT_EQ(times_seen(assignment_topic()), 1U);
  EXPECT_EQ(send(manifest_topic(), envelope), Verdict::consume);
  EXPECT_EQ(rig_.assign(device_, {group_path("plant-7")}, bridge), Verdict::consume);
  EXPECT_EQ(send(rig_.topics().root(), rig_.options().pinned_root), Verdict::consume);
  rig_.settle();
  EXPECT_EQ(times_seen(manifest_topic()), 1U);
  EXPECT_EQ(times_seen(assignment_topic()), 1U);
  EXPECT_EQ(times_seen(rig_.topics().root()), 0U);
}

}  // namespace
}  // namespace instar::broker

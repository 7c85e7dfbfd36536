// Manifests and root documents that must not be taken.
#include <gtest/gtest.h>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

class Refusal : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(rig_.start().has_value());
    rig_.settle();
    rig_.upload(pack_);
    rig_.forget_published();
  }
  // Refused, not retained, no gate; and the publisher is told why.
  void expect_refused(const Bytes& envelope, const wire::Manifest& manifest, std::string_view code,
                      std::string_view group = "plant-7") {
    EXPECT_EQ(rig_.publish(envelope, group), Verdict::refuse);
    rig_.settle();
    EXPECT_FALSE(rig_.gate(group).has_value());
    EXPECT_TRUE(rig_.broker().on(rig_.topics().manifest(group_path(group))).empty());
    const auto told = rig_.broker().on(rig_.topics().status(rollout_of(manifest).short_hex()));
    ASSERT_EQ(told.size(), 1U);
    EXPECT_FALSE(told[0].retain);
    const auto json = nlohmann::json::parse(as_text(told[0].payload));
    EXPECT_EQ(json["state"], "refused");
    EXPECT_EQ(json["code"], code) << json.dump();
    EXPECT_FALSE(json["reason"].get<std::string>().empty());
    EXPECT_TRUE(rig_.broker().logged("refused a message on"));
    EXPECT_EQ(rig_.command({{"command", "listRollouts"}})["data"]["totalCount"], 0);
  }

  ServiceFixture rig_;
  PackFixture pack_ = make_pack(1);
};

TEST_F(Refusal, AnyFlippedByte) {
  const auto manifest = make_manifest(pack_, 1);
  const auto envelope = seal_manifest(manifest);
  for (std::size_t at = 0; at < envelope.size(); ++at) {
    auto damaged = envelope;
    damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ 1U << at % 8);
    ASSERT_EQ(rig_.publish(damaged), Verdict::refuse) << at;
  }
  rig_.settle();
  EXPECT_FALSE(rig_.gate("plant-7").has_value());
  EXPECT_EQ(rig_.publish(envelope), Verdict::consume) << "and the whole one is taken afterwards";
}

TEST_F(Refusal, AKeyThatTheRootDoesNotName) {
  const auto manifest = make_manifest(pack_, 1);
  expect_refused(seal_manifest(manifest, kStrangerKey), manifest, "untrusted_key");
}

TEST_F(Refusal, AKeyOfAnotherRole) {
  const auto manifest = make_manifest(pack_, 1);
  expect_refused(seal_manifest(manifest, kGateKey), manifest, "untrusted_key");
}

TEST_F(Refusal, AKeyOutsideItsGroups) {
  const auto manifest = make_manifest(pack_, 1, {group_path("plant-8")});
  expect_refused(seal_manifest(manifest, kPlant7Key), manifest, "untrusted_key", "plant-8");
}

TEST_F(Refusal, AKeyThatReachesOnlySomeOfTheGroups) {
  const auto manifest = make_manifest(pack_, 1, {group_path("plant-7"), group_path("plant-8")});
  expect_refused(seal_manifest(manifest, kPlant7Key), manifest, "untrusted_key");
}

TEST_F(Refusal, AGroupThatTheManifestDoesNotName) {
  const auto manifest = make_manifest(pack_, 1, {group_path("plant-7")});
  expect_refused(seal_manifest(manifest), manifest, "refused", "plant-7/line-a");
}

TEST_F(Refusal, AnExpiredOne) {
  auto manifest = make_manifest(pack_, 1);
  manifest.expires = rig_.now().wall;
  expect_refused(seal_manifest(manifest), manifest, "expired");
}

TEST_F(Refusal, APackThatIsNotThere) {
  const auto manifest = make_manifest(make_pack(2), 1);
  expect_refused(seal_manifest(manifest), manifest, "not_found");
}

TEST_F(Refusal, APackOfWhichOneChunkIsMissing) {
  const auto partial = make_pack(3);
  rig_.put_directory(partial);
  rig_.settle();
  for (std::uint32_t i = 0; i < 4; ++i) rig_.put_chunk(partial, i);
  rig_.settle();
  rig_.forget_published();
  const auto manifest = make_manifest(partial, 1);
  expect_refused(seal_manifest(manifest), manifest, "not_found");
}

TEST_F(Refusal, WavesThatLeaveSomebodyOut) {
  auto manifest = make_manifest(pack_, 1);
  manifest.policy.waves = {wire::Wave{500, 0, {}, 10'000, 0, false}, wire::Wave{9'999, 0, {}, 10'000, 0, false}};
  expect_refused(seal_manifest(manifest), manifest, "invalid_argument");
}

TEST_F(Refusal, OlderAndEqualSequences) {
  ASSERT_EQ(rig_.publish(make_manifest(pack_, 5)), Verdict::consume);
  rig_.settle();
  const auto issue = rig_.gate("plant-7")->issue;
  EXPECT_EQ(rig_.publish(make_manifest(pack_, 4)), Verdict::refuse);
  auto other = make_manifest(pack_, 5);
  other.notes = "another of the same sequence";
  EXPECT_EQ(rig_.publish(other), Verdict::refuse);
  rig_.settle();
  EXPECT_EQ(rig_.gate("plant-7")->sequence, 5U);
  EXPECT_EQ(rig_.gate("plant-7")->issue, issue);
}

TEST_F(Refusal, ManifestsOfPeopleWhoAreNoOperators) {
  ServiceFixture rig;
  rig.options().operators = {"alice"};
  ASSERT_TRUE(rig.start().has_value());
  const auto envelope = seal_manifest(make_manifest(pack_, 1));
  const auto topic = rig.topics().manifest(group_path("plant-7"));
  EXPECT_EQ(rig.service().on_message({"x", "mallory", true}, topic, envelope, wire::Qos::at_least_once,
                                     wire::Retain::yes, rig.now()),
            Verdict::refuse);
  EXPECT_TRUE(rig.broker().logged("not among the operators"));
}

TEST_F(Refusal, MessagesThatAreTooLarge) {
  EXPECT_EQ(rig_.publish(Bytes(limits::kMessageBytesMax + 1, 1)), Verdict::refuse);
  EXPECT_EQ(rig_.publish(Bytes()), Verdict::refuse) << "an empty one would clear the retained manifest";
}

TEST_F(Refusal, EverythingOnTopicsThatAreTheBrokersOwn) {
  const auto device = device_id("gw-01");
  const auto& topics = rig_.topics();
  for (const auto& topic : {topics.gate(group_path("plant-7")), topics.device(device, wire::TopicKind::device_chunk),
                            topics.device(device, wire::TopicKind::device_ack), topics.status("0123456789abcdef"),
                            topics.stored(client_id("gw-1")), topics.prefix() + "/nonsense"}) {
    EXPECT_EQ(rig_.send("gw-01", topic, Bytes{1}), Verdict::refuse) << topic;
  }
  EXPECT_EQ(rig_.send("gw-01", "sensors/temperature", Bytes{1}), Verdict::route);
  EXPECT_EQ(rig_.send("gw-01", "instar", Bytes{1}), Verdict::route);
}

TEST_F(Refusal, FloodsAreCountedAndNotAllLogged) {
  const auto before = rig_.broker().lines.size();
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(rig_.publish(Bytes{1, 2, 3}), Verdict::refuse);
  EXPECT_LE(rig_.broker().lines.size() - before, 11U);
  EXPECT_EQ(rig_.command({{"command", "getVersion"}})["data"]["messages_refused"], 1'000);
  rig_.tick(1'000);
  EXPECT_EQ(rig_.publish(Bytes{1}), Verdict::refuse);
  EXPECT_TRUE(rig_.broker().logged("more messages were refused"));
}

// --- what is taken ------------------------------------------------------------------------------------

TEST_F(Refusal, AManifestIsTakenOnceHoweverOftenItIsPublished) {
  const auto manifest = make_manifest(pack_, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(rig_.publish(manifest), Verdict::consume);
    rig_.settle();
  }
  EXPECT_EQ(rig_.gate("plant-7")->issue, 1U);
  EXPECT_EQ(rig_.command({{"command", "listRollouts"}})["data"]["totalCount"], 1);
}

TEST_F(Refusal, ALimitedKeyWorksWithinItsGroups) {
  const auto manifest = make_manifest(pack_, 1, {group_path("plant-7"), group_path("plant-7/line-b")});
  EXPECT_EQ(rig_.publish(seal_manifest(manifest, kPlant7Key)), Verdict::consume);
  rig_.settle();
  EXPECT_TRUE(rig_.gate("plant-7").has_value());
  EXPECT_TRUE(rig_.gate("plant-7/line-b").has_value());
}

TEST_F(Refusal, AManifestThatWasNotRetainedIsRetainedByTheBroker) {
  const auto manifest = make_manifest(pack_, 1);
  EXPECT_EQ(rig_.publish(seal_manifest(manifest), "plant-7", false), Verdict::consume);
  rig_.settle();
  EXPECT_EQ(rig_.broker().retained[rig_.topics().manifest(group_path("plant-7"))], seal_manifest(manifest));
}

TEST_F(Refusal, AfterARestartManifestsGatesAndStatusStandAgain) {
  const auto manifest = make_manifest(pack_, 1, {group_path("plant-7"), group_path("plant-8")});
  ASSERT_EQ(rig_.publish(manifest), Verdict::consume);
  rig_.settle();
  const auto issue = rig_.gate("plant-8")->issue;
  ASSERT_TRUE(rig_.restart().has_value());
  rig_.settle();
  EXPECT_EQ(rig_.broker().retained[rig_.topics().manifest(group_path("plant-7"))], seal_manifest(manifest));
  EXPECT_EQ(rig_.broker().retained[rig_.topics().manifest(group_path("plant-8"))], seal_manifest(manifest));
  EXPECT_GT(rig_.gate("plant-8")->issue, issue);
  EXPECT_EQ(rig_.status(rollout_of(manifest))["state"], "active");
  EXPECT_EQ(rig_.publish(manifest), Verdict::consume) << "replayed";
}

TEST_F(Refusal, GatesStayFresh) {
  ASSERT_EQ(rig_.publish(make_manifest(pack_, 1)), Verdict::consume);
  rig_.settle();
  const auto first = *rig_.gate("plant-7");
  rig_.tick(limits::kGateRefreshMs - 1);
  rig_.settle();
  EXPECT_EQ(rig_.gate("plant-7")->issue, first.issue);
  rig_.tick(1);
  rig_.settle();
  EXPECT_GT(rig_.gate("plant-7")->issue, first.issue);
  EXPECT_EQ(rig_.gate("plant-7")->fresh.value, rig_.now().wall.value);
}

// --- root documents -----------------------------------------------------------------------------------

TEST_F(Refusal, RootDocumentsOutOfLine) {
  const auto topic = rig_.topics().root();
  const auto first = trust::digest(trust::encode_root(test_root()));
  EXPECT_EQ(rig_.send("op-1", topic, seal_root(test_root(2, first), kStrangerKey)), Verdict::refuse);
  EXPECT_EQ(rig_.send("op-1", topic, seal_root(test_root(3, first))), Verdict::refuse);
  EXPECT_EQ(rig_.send("op-1", topic, seal_root(test_root(2, Hash256{}))), Verdict::refuse);
  EXPECT_EQ(rig_.send("op-1", topic, Bytes{}), Verdict::refuse);
  rig_.settle();
  EXPECT_EQ(rig_.command({{"command", "getVersion"}})["data"]["root_version"], 1);
  EXPECT_TRUE(rig_.broker().on(topic).empty());
}

TEST_F(Refusal, ANewRootDocumentIsDurableBeforeItIsRetainedAndOutlivesARestart) {
  const auto topic = rig_.topics().root();
  auto next = test_root(2, trust::digest(trust::encode_root(test_root())));
  // Release 2 is signed by another key from now on.
  next.keys[1].key = test_key(20).public_key();
  next.roles[1].key_ids[0] = test_key(20).public_key().id();
  const auto envelope = seal_root(next);
  EXPECT_EQ(rig_.send("op-1", topic, envelope, true), Verdict::consume);
  EXPECT_TRUE(rig_.broker().on(topic).empty());
  rig_.settle();
  EXPECT_EQ(rig_.broker().retained[topic], envelope);
  EXPECT_EQ(rig_.send("op-1", topic, envelope, true), Verdict::consume) << "again changes nothing";
  EXPECT_EQ(rig_.send("op-1", topic, seal_root(test_root()), true), Verdict::refuse) << "never back";

  ASSERT_TRUE(rig_.restart().has_value());
  rig_.settle();
  EXPECT_EQ(rig_.broker().retained[topic], envelope);
  EXPECT_EQ(rig_.publish(seal_manifest(make_manifest(pack_, 1))), Verdict::refuse) << "the old release key is out";
  EXPECT_EQ(rig_.publish(seal_manifest(make_manifest(pack_, 1), 20)), Verdict::consume);
}

TEST_F(Refusal, AnotherPinnedRootThanTheStoresIsAnError) {
  auto other = test_root();
  other.issued = {1};
  rig_.options().pinned_root = seal_root(other);
  const auto started = rig_.restart();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Code::refused);
}

TEST_F(Refusal, WithoutAnyRootNothingIsTaken) {
  ServiceFixture rig;
  rig.options().pinned_root.clear();
  ASSERT_TRUE(rig.start().has_value());
  EXPECT_EQ(rig.publish(seal_manifest(make_manifest(pack_, 1))), Verdict::refuse);
  EXPECT_EQ(rig.send("op-1", rig.topics().root(), seal_root(test_root())), Verdict::refuse);
  EXPECT_TRUE(rig.broker().logged("no root document"));
}

TEST_F(Refusal, AGateKeyThatNobodyWillObeyIsSaidAtStart) {
  ServiceFixture rig;
  rig.options().gate_key = test_key(kStrangerKey);
  ASSERT_TRUE(rig.start().has_value());
  EXPECT_TRUE(rig.broker().logged("devices will not obey this broker's gates"));
  EXPECT_FALSE(rig_.broker().logged("devices will not obey"));
}

}  // namespace
}  // namespace instar::broker

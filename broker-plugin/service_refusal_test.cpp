// Manifests and root documents that must be refused.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

class Refusal : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    fixture_.settle();
    fixture_.upload(pack_);
    fixture_.forget_published();
  }
  // The manifest is refused and not retained, no gate is opened, and the publisher gets the reason.
  void expect_refused(const Bytes& envelope, const wire::Manifest& manifest, std::string_view code,
                      std::string_view group = "plant-7") {
    EXPECT_EQ(fixture_.publish(envelope, group), Verdict::refuse);
    fixture_.settle();
    EXPECT_FALSE(fixture_.gate(group).has_value());
    EXPECT_TRUE(fixture_.broker().on(fixture_.topics().manifest(group_path(group), "gateway-2")).empty());
    const auto refusals = fixture_.broker().on(fixture_.topics().status(rollout_of(manifest).short_hex()));
    ASSERT_EQ(refusals.size(), 1U);
    EXPECT_EQ(refusals[0].retain, wire::Retain::no);
    const auto json = nlohmann::json::parse(as_text(refusals[0].payload));
    EXPECT_EQ(json["state"], "refused");
    EXPECT_EQ(json["code"], code) << json.dump();
    EXPECT_FALSE(json["reason"].get<std::string>().empty());
    EXPECT_TRUE(fixture_.broker().logged("refused a message on"));
    EXPECT_EQ(fixture_.command({{"command", "listRollouts"}})["data"]["totalCount"], 0);
  }

  ServiceFixture fixture_;
  PackFixture pack_ = make_pack(1);
};

TEST_F(Refusal, AnyFlippedByte) {
  const auto manifest = make_manifest(pack_, 1);
  const auto envelope = seal_manifest(manifest);
  for (std::size_t at = 0; at < envelope.size(); ++at) {
    auto damaged = envelope;
    damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ 1U << at % 8);
    ASSERT_EQ(fixture_.publish(damaged), Verdict::refuse) << at;
  }
  fixture_.settle();
  EXPECT_FALSE(fixture_.gate("plant-7").has_value());
  EXPECT_EQ(fixture_.publish(envelope), Verdict::consume) << "and the whole one is taken afterwards";
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
  manifest.expires = fixture_.now().wall;
  expect_refused(seal_manifest(manifest), manifest, "expired");
}

TEST_F(Refusal, APackThatIsNotThere) {
  const auto manifest = make_manifest(make_pack(2), 1);
  expect_refused(seal_manifest(manifest), manifest, "not_found");
}

TEST_F(Refusal, APackOfWhichOneChunkIsMissing) {
  const auto partial = make_pack(3);
  fixture_.put_directory(partial);
  fixture_.settle();
  for (std::uint32_t i = 0; i < 4; ++i) fixture_.put_chunk(partial, i);
  fixture_.settle();
  fixture_.forget_published();
  const auto manifest = make_manifest(partial, 1);
  expect_refused(seal_manifest(manifest), manifest, "not_found");
}

TEST_F(Refusal, WavesThatLeaveADeviceOut) {
  auto manifest = make_manifest(pack_, 1);
  manifest.policy.waves = {wire::Wave{500, 0, {}, 10'000, 0, false}, wire::Wave{9'999, 0, {}, 10'000, 0, false}};
  expect_refused(seal_manifest(manifest), manifest, "invalid_argument");
}

TEST_F(Refusal, OlderAndEqualSequences) {
  ASSERT_EQ(fixture_.publish(make_manifest(pack_, 5)), Verdict::consume);
  fixture_.settle();
  const auto issue = fixture_.gate("plant-7")->issue;
  EXPECT_EQ(fixture_.publish(make_manifest(pack_, 4)), Verdict::refuse);
  auto other = make_manifest(pack_, 5);
  other.notes = "another of the same sequence";
  EXPECT_EQ(fixture_.publish(other), Verdict::refuse);
  fixture_.settle();
  EXPECT_EQ(fixture_.gate("plant-7")->sequence, 5U);
  EXPECT_EQ(fixture_.gate("plant-7")->issue, issue);
}

TEST_F(Refusal, ManifestsOfPeopleWhoAreNoOperators) {
  ServiceFixture fixture;
  fixture.options().operators = {"alice"};
  ASSERT_TRUE(fixture.start().has_value());
  const auto envelope = seal_manifest(make_manifest(pack_, 1));
  const auto topic = fixture.topics().manifest(group_path("plant-7"), "gateway-2");
  EXPECT_EQ(fixture.service().on_message({"x", "mallory", true}, topic, envelope, wire::Qos::at_least_once,
                                         wire::Retain::yes, fixture.now()),
            Verdict::refuse);
  EXPECT_TRUE(fixture.broker().logged("not among the operators"));
}

TEST_F(Refusal, MessagesThatAreTooLarge) {
  EXPECT_EQ(fixture_.publish(Bytes(limits::kMessageBytesMax + 1, 1)), Verdict::refuse);
  EXPECT_EQ(fixture_.publish(Bytes()), Verdict::refuse) << "an empty one would clear the retained manifest";
}

TEST_F(Refusal, EverythingOnTopicsThatAreTheBrokersOwn) {
  const auto device = device_id("gw-01");
  const auto& topics = fixture_.topics();
  for (const auto& topic :
       {topics.gate(group_path("plant-7"), "gateway-2"), topics.device(device, wire::TopicKind::device_chunk),
        topics.device(device, wire::TopicKind::device_ack), topics.status("0123456789abcdef"),
        topics.stored(client_id("gw-1")), topics.prefix() + "/nonsense"}) {
    EXPECT_EQ(fixture_.send("gw-01", topic, Bytes{1}), Verdict::refuse) << topic;
  }
  EXPECT_EQ(fixture_.send("gw-01", "sensors/temperature", Bytes{1}), Verdict::route);
  EXPECT_EQ(fixture_.send("gw-01", "instar", Bytes{1}), Verdict::route);
}

TEST_F(Refusal, FloodsAreCountedAndNotAllLogged) {
  const auto before = fixture_.broker().lines.size();
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(fixture_.publish(Bytes{1, 2, 3}), Verdict::refuse);
  EXPECT_EQ(fixture_.broker().lines.size() - before, limits::kLinesPerSubjectMax);
  EXPECT_EQ(fixture_.command({{"command", "getVersion"}})["data"]["messages_refused"], 1'000);
  fixture_.tick(60'000);
  EXPECT_TRUE(fixture_.broker().logged("994 more messages were refused"));
}

// --- what is taken ------------------------------------------------------------------------------------

TEST_F(Refusal, AManifestIsTakenOnceHoweverOftenItIsPublished) {
  const auto manifest = make_manifest(pack_, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(fixture_.publish(manifest), Verdict::consume);
    fixture_.settle();
  }
  EXPECT_EQ(fixture_.gate("plant-7")->issue, 1U);
  EXPECT_EQ(fixture_.command({{"command", "listRollouts"}})["data"]["totalCount"], 1);
}

TEST_F(Refusal, ALimitedKeyWorksWithinItsGroups) {
  const auto manifest = make_manifest(pack_, 1, {group_path("plant-7"), group_path("plant-7/line-b")});
  EXPECT_EQ(fixture_.publish(seal_manifest(manifest, kPlant7Key)), Verdict::consume);
  fixture_.settle();
  EXPECT_TRUE(fixture_.gate("plant-7").has_value());
  EXPECT_TRUE(fixture_.gate("plant-7/line-b").has_value());
}

TEST_F(Refusal, AManifestThatWasNotRetainedIsRetainedByTheBroker) {
  const auto manifest = make_manifest(pack_, 1);
  EXPECT_EQ(fixture_.publish(seal_manifest(manifest), "plant-7", wire::Retain::no), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().retained[fixture_.topics().manifest(group_path("plant-7"), "gateway-2")],
            seal_manifest(manifest));
}

TEST_F(Refusal, AfterARestartManifestsGatesAndStatusAreRetainedAgain) {
  const auto manifest = make_manifest(pack_, 1, {group_path("plant-7"), group_path("plant-8")});
  ASSERT_EQ(fixture_.publish(manifest), Verdict::consume);
  fixture_.settle();
  const auto issue = fixture_.gate("plant-8")->issue;
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().retained[fixture_.topics().manifest(group_path("plant-7"), "gateway-2")],
            seal_manifest(manifest));
  EXPECT_EQ(fixture_.broker().retained[fixture_.topics().manifest(group_path("plant-8"), "gateway-2")],
            seal_manifest(manifest));
  EXPECT_GT(fixture_.gate("plant-8")->issue, issue);
  EXPECT_EQ(fixture_.status(rollout_of(manifest))["state"], "active");
  EXPECT_EQ(fixture_.publish(manifest), Verdict::consume) << "replayed";
}

TEST_F(Refusal, GatesStayFresh) {
  ASSERT_EQ(fixture_.publish(make_manifest(pack_, 1)), Verdict::consume);
  fixture_.settle();
  const auto first = *fixture_.gate("plant-7");
  fixture_.tick(limits::kGateRefreshMs - 1);
  fixture_.settle();
  EXPECT_EQ(fixture_.gate("plant-7")->issue, first.issue);
  fixture_.tick(1);
  fixture_.settle();
  EXPECT_GT(fixture_.gate("plant-7")->issue, first.issue);
  EXPECT_EQ(fixture_.gate("plant-7")->fresh.value, fixture_.now().wall.value);
}

// --- root documents -----------------------------------------------------------------------------------

TEST_F(Refusal, RootDocumentsThatDoNotFollowTheCurrentOne) {
  const auto topic = fixture_.topics().root();
  const auto first = trust::digest(trust::encode_root(test_root()));
  EXPECT_EQ(fixture_.send("op-1", topic, seal_root(test_root(2, first), kStrangerKey)), Verdict::refuse);
  EXPECT_EQ(fixture_.send("op-1", topic, seal_root(test_root(3, first))), Verdict::refuse);
  EXPECT_EQ(fixture_.send("op-1", topic, seal_root(test_root(2, Hash256{}))), Verdict::refuse);
  EXPECT_EQ(fixture_.send("op-1", topic, Bytes{}), Verdict::refuse);
  fixture_.settle();
  EXPECT_EQ(fixture_.command({{"command", "getVersion"}})["data"]["root_version"], 1);
  EXPECT_TRUE(fixture_.broker().on(topic).empty());
}

TEST_F(Refusal, ANewRootDocumentIsDurableBeforeItIsRetainedAndIsKeptAcrossARestart) {
  const auto topic = fixture_.topics().root();
  auto next = test_root(2, trust::digest(trust::encode_root(test_root())));
  // Release 2 is signed by another key from now on.
  next.keys[1].key = test_key(20).public_key();
  next.roles[1].key_ids[0] = test_key(20).public_key().id();
  const auto envelope = seal_root(next);
  EXPECT_EQ(fixture_.send("op-1", topic, envelope, wire::Retain::yes), Verdict::consume);
  EXPECT_TRUE(fixture_.broker().on(topic).empty());
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().retained[topic], envelope);
  EXPECT_EQ(fixture_.send("op-1", topic, envelope, wire::Retain::yes), Verdict::consume) << "again changes nothing";
  EXPECT_EQ(fixture_.send("op-1", topic, seal_root(test_root()), wire::Retain::yes), Verdict::consume)
      << "one of the chain";
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().retained[topic], envelope) << "never back";

  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(fixture_.broker().retained[topic], envelope);
  EXPECT_EQ(fixture_.publish(seal_manifest(make_manifest(pack_, 1))), Verdict::refuse) << "the old release key is out";
  EXPECT_EQ(fixture_.publish(seal_manifest(make_manifest(pack_, 1), 20)), Verdict::consume);
}

TEST_F(Refusal, AnotherPinnedRootThanTheStoresIsAnError) {
  auto other = test_root();
  other.issued = {1};
  fixture_.options().pinned_root = seal_root(other);
  const auto started = fixture_.restart();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Code::refused);
}

TEST_F(Refusal, WithoutAnyRootNothingIsTaken) {
  ServiceFixture fixture;
  fixture.options().pinned_root.clear();
  ASSERT_TRUE(fixture.start().has_value());
  EXPECT_EQ(fixture.publish(seal_manifest(make_manifest(pack_, 1))), Verdict::refuse);
  EXPECT_EQ(fixture.send("op-1", fixture.topics().root(), seal_root(test_root())), Verdict::refuse);
  EXPECT_TRUE(fixture.broker().logged("no root document"));
}

TEST_F(Refusal, AGateKeyThatNoDeviceAcceptsIsLoggedAtStart) {
  ServiceFixture fixture;
  fixture.options().gate_key = test_key(kStrangerKey);
  ASSERT_TRUE(fixture.start().has_value());
  EXPECT_TRUE(fixture.broker().logged("devices will not obey this broker's gates"));
  EXPECT_FALSE(fixture_.broker().logged("devices will not obey"));
}

}  // namespace
}  // namespace instar::broker

// How far a key reaches, as the service lets it: assignments, and numbers of releases.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker-plugin/testing/service_fixture.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "storage/key_layout.hpp"

namespace instar::broker {
namespace {

class KeyReach : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture_.start().has_value());
    fixture_.settle();
  }
  Verdict assign(const DeviceId& device, std::vector<GroupPath> groups, std::int64_t ahead_ms, int key) {
    fixture_.tick(1);
    const wire::Assignment assignment{device, std::move(groups), fixture_.now().wall + ahead_ms};
    sent_ = trust::seal(trust::Kind::assignment, wire::encode(assignment), test_key(key));
    const Sender op{"op-1", "", true, ""};
    const auto verdict =
        fixture_.service().on_message(op, fixture_.topics().device(device, wire::TopicKind::device_assignment), sent_,
                                      wire::Qos::at_least_once, wire::Retain::yes, fixture_.now());
    fixture_.settle();
    return verdict;
  }
  [[nodiscard]] bool in_force(const DeviceId& device) {
    return fixture_.store().durable(storage::Column::meta, storage::assignment_key(device)) == sent_;
  }

  ServiceFixture fixture_;
  Bytes sent_;
  const DeviceId unknown_ = DeviceId::parse("nobody-yet").value();
  const GroupPath plant_ = group_path("plant-7");
  const GroupPath other_ = group_path("plant-9");
};

TEST_F(KeyReach, AnAssignmentIsHeldAgainstTheGroupsThatTheStoreHas) {
  EXPECT_EQ(assign(unknown_, {other_}, 0, kPlant7Key), Verdict::refuse) << "what it gets";
  EXPECT_EQ(assign(unknown_, {other_}, 0, kReleaseKey), Verdict::consume);
  ASSERT_TRUE(in_force(unknown_));
  static_cast<void>(assign(unknown_, {plant_}, 1, kPlant7Key));
  EXPECT_FALSE(in_force(unknown_)) << "plant 9 is what it leaves";
  EXPECT_TRUE(fixture_.broker().logged("would leave it"));
  static_cast<void>(assign(unknown_, {plant_}, 1, kReleaseKey));
  EXPECT_TRUE(in_force(unknown_));
  static_cast<void>(assign(unknown_, {group_path("plant-7/line-a")}, 1, kPlant7Key));
  EXPECT_TRUE(in_force(unknown_)) << "within plant 7";
}

TEST_F(KeyReach, AnAssignmentIsNotDatedADayAheadNorBeforeTheOneInForce) {
  EXPECT_EQ(assign(unknown_, {plant_}, limits::kAssignmentAheadMsMax + 1, kReleaseKey), Verdict::refuse);
  EXPECT_EQ(assign(unknown_, {plant_}, limits::kAssignmentAheadMsMax, kReleaseKey), Verdict::consume);
  EXPECT_TRUE(in_force(unknown_));
  static_cast<void>(assign(unknown_, {other_}, 0, kReleaseKey));
  EXPECT_FALSE(in_force(unknown_)) << "later ones count, for a day";
  EXPECT_TRUE(fixture_.broker().logged("is in force: sign it again"));
}

TEST_F(KeyReach, AnAssignmentIsHeldAgainstOneThatIsOnItsWayIntoTheStore) {
  const auto send = [&](const GroupPath& group, std::int64_t ahead_ms) {
    const wire::Assignment assignment{unknown_, {group}, fixture_.now().wall + ahead_ms};
    auto envelope = trust::seal(trust::Kind::assignment, wire::encode(assignment), test_key(kReleaseKey));
    static_cast<void>(fixture_.service().on_message(
        Sender{"op-1", "", true, ""}, fixture_.topics().device(unknown_, wire::TopicKind::device_assignment), envelope,
        wire::Qos::at_least_once, wire::Retain::yes, fixture_.now()));
    return envelope;
  };
  sent_ = send(plant_, 2);
  static_cast<void>(send(other_, 1));
  fixture_.settle();
  EXPECT_TRUE(in_force(unknown_)) << "the later one, in whichever order they are written";
}

TEST_F(KeyReach, ARootDocumentWithoutTheKeyEndsWhatItHasUsedUp) {
  const auto pack = make_pack(1);
  fixture_.upload(pack);
  const auto far = make_manifest(pack, limits::kSequenceStepMax);
  ASSERT_EQ(fixture_.publish(seal_manifest(far, kPlant7Key), "plant-7"), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(fixture_.publish(seal_manifest(make_manifest(pack, 2)), "plant-7"), Verdict::refuse);
  const auto next = [&] {
    return fixture_.command({{"command", "nextSequence"}, {"product", far.product}, {"groups", {"plant-7"}}})["data"];
  };
  EXPECT_EQ(next()["sequence"], limits::kSequenceStepMax + 1);

  auto root = test_root(2, trust::digest(trust::encode_root(test_root())));
  root.roles[1].key_ids = {test_key(kReleaseKey).public_key().id()};
  ASSERT_EQ(fixture_.send("op-1", fixture_.topics().root(), seal_root(root), wire::Retain::yes), Verdict::consume);
  fixture_.settle();
  EXPECT_EQ(next()["sequence"], 1U);
  ASSERT_TRUE(fixture_.restart().has_value());
  fixture_.settle();
  EXPECT_EQ(next()["sequence"], 1U) << "from the store too";
  EXPECT_EQ(fixture_.publish(seal_manifest(make_manifest(pack, 2)), "plant-7"), Verdict::consume);
}

}  // namespace
}  // namespace instar::broker

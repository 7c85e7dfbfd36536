// How far a key reaches: what one that is limited, or was stolen, can do to a device, and how a root document ends it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/testing/machine_fixture.hpp"

namespace instar::revision {
namespace {

using testing::ElementsAre;
using wire::Step;

class KeyReachTest : public testing::Test {
 protected:
  // The device is in plant-7/line-a, and runs release 1.
  void SetUp() override {
    fixture.boot();
    fixture.connect();
    fixture.publish(fixture.release(1));
    fixture.run(10'000);
    ASSERT_EQ(fixture.running_release(), "r1");
    last_root = fixture.root;
  }
  // The next root document: these release keys beside the fixture's own one, or without it.
  void put_root(const std::vector<trust::RootKey>& keys, bool keeps_own = true) {
    auto next = fixture.root;
    next.version = last_root.version + 1;
    next.issued = fixture.wall;
    next.previous = trust::digest(trust::encode_root(last_root));
    if (!keeps_own) next.roles[1].key_ids.clear();
    for (const auto& key : keys) {
      next.keys.push_back(key);
      next.roles[1].key_ids.push_back(key.key.id());
    }
    last_root = next;
    fixture.put(fixture.topics.root(), trust::seal(trust::Kind::root, trust::encode_root(next), fixture.root_key));
  }
  // Signed by `key`, offered on the topic of its first group, and admitted.
  void publish(const wire::Manifest& manifest, const trust::SecretKey& key) {
    fixture.store_packs(manifest);
    fixture.put(fixture.topics.manifest(manifest.groups.front(), manifest.product),
                trust::seal(trust::Kind::manifest, wire::encode_manifest(manifest), key));
    fixture.put_gate(fixture.gate_for(manifest));
    fixture.run(20'000);
  }
  wire::Manifest release(std::uint64_t sequence, std::vector<GroupPath> groups) {
    auto out = fixture.release(sequence);
    out.groups = std::move(groups);
    return out;
  }
  void assign(std::vector<GroupPath> groups, WallMs issued, const trust::SecretKey& key) {
    fixture.put(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_assignment),
                trust::seal(trust::Kind::assignment,
                            wire::encode(wire::Assignment{fixture.facts.device, std::move(groups), issued}), key));
  }
  [[nodiscard]] std::vector<GroupPath> groups() const { return fixture.hellos.back().description.groups; }
  [[nodiscard]] std::uint64_t highest() const { return fixture.hellos.back().description.highest_sequence; }

  MachineFixture fixture;
  trust::RootDocument last_root;
  const trust::SecretKey limited = key_of(9);
  const GroupPath line = group_of("plant-7/line-a");
  const GroupPath plant = group_of("plant-7");
  // The end of the year 9999.
  const WallMs never{limits::kWallMsMax};
};

// --- filters -----------------------------------------------------------------------------------------------------

TEST_F(KeyReachTest, AKeyOfExactlyThePlantReachesNoDeviceBelowIt) {
  put_root({{limited.public_key(), "plant-7", ""}});
  publish(release(2, {plant}), limited);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.applied.back().code, Code::untrusted_key);
  EXPECT_TRUE(fixture.logged("which is for plant-7 alone"));
  assign({plant}, fixture.wall, fixture.release_key);
  publish(release(3, {plant}), limited);
  EXPECT_EQ(fixture.running_release(), "r3") << "it is in exactly plant-7 now";
}

TEST_F(KeyReachTest, AKeyOfThePlantAndBelowDoes) {
  put_root({{limited.public_key(), "plant-7/#", ""}});
  publish(release(2, {plant}), limited);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(KeyReachTest, AManifestForSeveralGroupsNeedsAKeyThatReachesAll) {
  put_root({{limited.public_key(), "plant-7/#", ""}});
  publish(release(2, {line, group_of("plant-9")}), limited);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_TRUE(fixture.logged("reaches group plant-9"));
}

// --- sequences ---------------------------------------------------------------------------------------------------

TEST_F(KeyReachTest, ASequenceFarAboveWhatTheDeviceHasObeyedIsRefused) {
  publish(release(1 + limits::kSequenceStepMax + 1, {line}), fixture.release_key);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.applied.back().code, Code::refused);
  EXPECT_EQ(fixture.applied.back().step, Step::refused);
  publish(release(~std::uint64_t{0}, {line}), fixture.release_key);
  EXPECT_EQ(fixture.running_release(), "r1");
  publish(release(2, {line}), fixture.release_key);
  EXPECT_EQ(fixture.running_release(), "r2") << "what was refused has used no numbers up";
  publish(release(2 + limits::kSequenceStepMax, {line}), fixture.release_key);
  EXPECT_EQ(fixture.running_release(), "r" + std::to_string(2 + limits::kSequenceStepMax)) << "just near enough";
}

TEST_F(KeyReachTest, ALostKeysReleaseBindsNobodyOnceARootDocumentLeavesTheKeyOut) {
  put_root({{limited.public_key(), "plant-7/#", ""}});
  publish(release(900'000, {line}), limited);
  ASSERT_EQ(fixture.running_release(), "r900000");
  publish(release(2, {line}), fixture.release_key);
  EXPECT_EQ(fixture.running_release(), "r900000");
  const auto hellos = fixture.hellos.size();
  put_root({});
  EXPECT_GT(fixture.hellos.size(), hellos) << "the broker is told";
  EXPECT_EQ(highest(), 1U) << "the release before is by a key that is in force";
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2") << "what was refused as too old is looked at again";
  fixture.power_cut();
  EXPECT_EQ(highest(), 2U);
}

TEST_F(KeyReachTest, WhatRunsByAKeyInForceKeepsOlderReleasesOut) {
  publish(release(5, {line}), fixture.release_key);
  put_root({{limited.public_key(), "plant-7/#", ""}});
  put_root({});
  EXPECT_EQ(highest(), 5U);
  publish(release(4, {line}), fixture.release_key);
  EXPECT_EQ(fixture.running_release(), "r5");
}

TEST_F(KeyReachTest, AllKeysReplacedLetSequencesStartFromNothing) {
  publish(release(700'000, {line}), fixture.release_key);
  const auto fresh = key_of(10);
  put_root({{fresh.public_key(), "", ""}}, false);
  EXPECT_EQ(highest(), 0U);
  publish(release(3, {line}), fresh);
  EXPECT_EQ(fixture.running_release(), "r3");
}

TEST_F(KeyReachTest, OneMoreKeyStartsNothingAnew) {
  publish(release(700'000, {line}), fixture.release_key);
  put_root({{limited.public_key(), "plant-7/#", ""}});
  EXPECT_EQ(fixture.machine->view().running->sequence, 700'000U);
  publish(release(3, {line}), fixture.release_key);
  EXPECT_EQ(fixture.running_release(), "r700000");
}

TEST_F(KeyReachTest, WhatALostKeyHasOnOfferIsNotBegunAfterwards) {
  put_root({{limited.public_key(), "plant-7/#", ""}});
  const auto held = release(50, {line});
  fixture.store_packs(held);
  fixture.put(fixture.topics.manifest(line, "pump"),
              trust::seal(trust::Kind::manifest, wire::encode_manifest(held), limited));
  put_root({});
  fixture.put_gate(fixture.gate_for(held));
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1") << "its gate came when the key was gone";
}

// --- assignments -------------------------------------------------------------------------------------------------

TEST_F(KeyReachTest, AnAssignmentFromTheFutureIsNotTakenBeforeItsTime) {
  assign({group_of("lab")}, never, fixture.release_key);
  EXPECT_TRUE(fixture.logged("ahead of this device's clock"));
  EXPECT_THAT(fixture.hellos.back().description.groups, ElementsAre(line));
  assign({group_of("lab")}, fixture.wall + limits::kAssignmentAheadMsMax, fixture.release_key);
  EXPECT_THAT(groups(), ElementsAre(group_of("lab"))) << "clocks of people differ";
}

TEST_F(KeyReachTest, AnAssignmentThatIsEarlyIsObeyedWhenItsTimeHasCome) {
  assign({group_of("lab")}, fixture.wall + 2 * limits::kAssignmentAheadMsMax, fixture.release_key);
  EXPECT_THAT(fixture.hellos.back().description.groups, ElementsAre(line));
  fixture.pass(limits::kAssignmentAheadMsMax);
  fixture.run(1'000);
  EXPECT_THAT(groups(), ElementsAre(group_of("lab")));
}

// Without a clock any time is taken, and it is no bar to the next one.
TEST_F(KeyReachTest, AFarTimeThatWasTakenWithoutAClockFreezesNothing) {
  const auto right = fixture.wall;
  fixture.wall = WallMs{60'000};
  assign({group_of("lab")}, never, fixture.release_key);
  EXPECT_THAT(groups(), ElementsAre(group_of("lab")));
  fixture.wall = right;
  assign({group_of("plant-9")}, right, fixture.release_key);
  EXPECT_THAT(groups(), ElementsAre(group_of("plant-9")));
  assign({group_of("lab")}, right + -1'000, fixture.release_key);
  EXPECT_THAT(groups(), ElementsAre(group_of("plant-9"))) << "this one counts";
}

TEST_F(KeyReachTest, AnAssignmentByAKeyThatIsGoneIsNoBar) {
  put_root({{limited.public_key(), "", ""}});
  const auto late = fixture.wall + limits::kAssignmentAheadMsMax;
  assign({group_of("lab")}, late, limited);
  ASSERT_THAT(groups(), ElementsAre(group_of("lab")));
  fixture.run(1'000);
  assign({line}, fixture.wall, fixture.release_key);
  EXPECT_THAT(groups(), ElementsAre(group_of("lab"))) << "the one by the stolen key is later";
  put_root({});
  fixture.run(1'000);
  assign({line}, fixture.wall + -60'000, fixture.release_key);
  EXPECT_THAT(groups(), ElementsAre(group_of("lab"))) << "from before the root document: it may be a replay";
  assign({line}, fixture.wall, fixture.release_key);
  EXPECT_THAT(groups(), ElementsAre(line));
}

}  // namespace
}  // namespace instar::revision

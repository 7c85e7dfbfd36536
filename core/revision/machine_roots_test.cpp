// The chain of root documents on a device: one that was away follows it, and a damaged state file loses none of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/testing/machine_fixture.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Root documents 1 to 4. Each takes the release key of the one before out, and its root key too.
class RootChainTest : public testing::Test {
 protected:
  RootChainTest() {
    auto document = fixture.root;
    for (std::uint8_t version = 2; version <= 4; ++version) {
      const auto previous = document;
      document.version = version;
      document.previous = trust::digest(trust::encode_root(previous));
      document.keys = {{root_key(version).public_key(), "", ""},
                       {release_key(version).public_key(), "", ""},
                       {fixture.gate_key.public_key(), "", ""}};
      document.roles = {{trust::RoleName::root, 1, {root_key(version).public_key().id()}},
                        {trust::RoleName::release, 1, {release_key(version).public_key().id()}},
                        {trust::RoleName::gate, 1, {fixture.gate_key.public_key().id()}}};
      const std::vector<trust::SecretKey> signers{root_key(version - 1), root_key(version)};
      roots[version] = trust::seal(trust::Kind::root, trust::encode_root(document), signers);
    }
  }
  [[nodiscard]] trust::SecretKey root_key(unsigned version) const {
    return version == 1 ? fixture.root_key : key_of(static_cast<std::uint8_t>(100 + version));
  }
  [[nodiscard]] trust::SecretKey release_key(unsigned version) const {
    return version == 1 ? fixture.release_key : key_of(static_cast<std::uint8_t>(200 + version));
  }
  void keep(std::uint32_t version) { fixture.put(fixture.topics.root(version), roots[version]); }
  void offer(std::uint32_t version) { fixture.put(fixture.topics.root(), roots[version]); }
  // Release `sequence`, by the release key of that root document.
  void publish(std::uint64_t sequence, unsigned version) {
    const auto manifest = fixture.release(sequence);
    fixture.store_packs(manifest);
    fixture.put(fixture.topics.manifest(manifest.groups.front(), manifest.product),
                trust::seal(trust::Kind::manifest, wire::encode_manifest(manifest), release_key(version)));
    fixture.put_gate(fixture.gate_for(manifest));
  }
  [[nodiscard]] std::vector<std::string> root_topics() const {
    std::vector<std::string> out;
    for (const auto& [filter, qos] : fixture.machine->subscriptions())
      if (filter.starts_with(fixture.topics.root())) out.push_back(filter);
    return out;
  }
  [[nodiscard]] std::uint32_t version() const { return fixture.hellos.back().description.root_version; }
  // The power goes and comes back.
  void restart() { fixture.power_cut(); }

  MachineFixture fixture;
  std::map<std::uint32_t, Bytes> roots;
};

TEST_F(RootChainTest, ANewbornDeviceFollowsTheChainAndTakesTheRelease) {
  for (const std::uint32_t version : {2U, 3U, 4U}) keep(version);
  offer(4);
  publish(7, 4);
  fixture.boot();
  fixture.connect();
  fixture.run(20'000);
  EXPECT_EQ(version(), 4U);
  EXPECT_EQ(fixture.running_release(), "r7");
  EXPECT_THAT(root_topics(), ElementsAre("instar/v1/root"));
  EXPECT_THAT(fixture.steps(), Not(Contains(wire::Step::refused))) << "what came before its root is kept, not refused";
}

TEST_F(RootChainTest, AsksForOneVersionAtATime) {
  fixture.boot();
  fixture.connect();
  offer(4);
  fixture.settle();
  EXPECT_THAT(root_topics(), ElementsAre("instar/v1/root", "instar/v1/root/2"));
  keep(3);
  fixture.settle();
  EXPECT_EQ(version(), 1U) << "nobody has asked for it";
  keep(2);
  fixture.settle();
  EXPECT_THAT(root_topics(), ElementsAre("instar/v1/root")) << "3 was there, so 4 follows";
  fixture.run(1'000);
  EXPECT_EQ(version(), 4U);
}

TEST_F(RootChainTest, SaysWhichVersionIsMissingAndGoesOnWaiting) {
  fixture.boot();
  fixture.connect();
  offer(4);
  keep(2);
  publish(7, 4);
  fixture.run(limits::kRootChainWaitMs + 2'000);
  EXPECT_THAT(fixture.hellos.back().description.degraded, Contains(HasSubstr("instar root publish root-3.instar")));
  EXPECT_EQ(version(), 2U);
  EXPECT_THAT(fixture.steps(), Contains(wire::Step::refused));
  keep(3);
  fixture.run(20'000);
  EXPECT_EQ(version(), 4U);
  EXPECT_THAT(fixture.hellos.back().description.degraded, IsEmpty());
  EXPECT_EQ(fixture.running_release(), "r7") << "what was refused is looked at again";
}

TEST_F(RootChainTest, WhatIsNoLaterDocumentAsksForNothing) {
  fixture.boot();
  fixture.connect();
  offer(2);
  offer(3);
  offer(4);
  fixture.settle();
  ASSERT_EQ(fixture.hellos.back().description.root_version, 4U);
  for (const std::uint32_t version : {1U, 2U, 3U}) {
    fixture.receive(fixture.topics.root(), version == 1 ? fixture.pinned_root : roots[version]);
    fixture.settle();
    EXPECT_THAT(root_topics(), ElementsAre("instar/v1/root")) << version;
  }
  EXPECT_TRUE(fixture.logged("was the broker restored?"));
  fixture.receive(fixture.topics.root(), to_bytes("not an envelope"));
  auto forged = roots[4];
  forged.back() ^= 1;
  fixture.receive(fixture.topics.root(), forged);
  fixture.settle();
  EXPECT_THAT(root_topics(), ElementsAre("instar/v1/root"));
}

TEST_F(RootChainTest, AForgedVersionOfTheChainIsNotTaken) {
  fixture.boot();
  fixture.connect();
  offer(4);
  auto document = fixture.root;
  document.version = 2;
  document.previous = trust::digest(trust::encode_root(fixture.root));
  fixture.put(fixture.topics.root(2), trust::seal(trust::Kind::root, trust::encode_root(document), key_of(66)));
  fixture.settle();
  EXPECT_EQ(version(), 1U);
  EXPECT_TRUE(fixture.logged("as the broker keeps it, is not taken"));
  keep(2);
  fixture.settle();
  EXPECT_THAT(root_topics(), ElementsAre("instar/v1/root", "instar/v1/root/3"));
}

TEST_F(RootChainTest, ADocumentOfNobodyIsForgottenWhenTheRightOneIsBack) {
  fixture.boot();
  fixture.connect();
  offer(2);
  fixture.settle();
  auto document = fixture.root;
  document.version = 9;
  document.previous = hash_of("of another fleet");
  fixture.put(fixture.topics.root(), trust::seal(trust::Kind::root, trust::encode_root(document), fixture.root_key));
  fixture.run(limits::kRootChainWaitMs + 2'000);
  EXPECT_THAT(root_topics(), ElementsAre("instar/v1/root", "instar/v1/root/3"));
  EXPECT_THAT(fixture.hellos.back().description.degraded, Contains(HasSubstr("root document 9")));
  offer(2);
  fixture.settle();
  EXPECT_THAT(root_topics(), ElementsAre("instar/v1/root"));
  EXPECT_THAT(fixture.hellos.back().description.degraded, IsEmpty());
}

TEST_F(RootChainTest, ALostOrDamagedStateKeepsTheRootAndTheSequence) {
  fixture.boot();
  fixture.connect();
  for (const std::uint32_t version : {2U, 3U}) offer(version);
  publish(7, 3);
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r7");
  fixture.disk.clear();
  fixture.folders.clear();
  fixture.retained.erase(fixture.topics.manifest(group_of("plant-7/line-a"), "pump"));
  restart();
  EXPECT_EQ(version(), 3U);
  EXPECT_EQ(fixture.hellos.back().description.highest_sequence, 7U);
  EXPECT_TRUE(fixture.logged("going on with root document 3, and from sequence 7"));
  publish(6, 3);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "") << "it has obeyed 7";
  publish(8, 1);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "") << "by a key that was taken away";
  publish(7, 3);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r7") << "what it has lost it takes once more";
}

TEST_F(RootChainTest, ADamagedAnchorIsMadeAnewFromTheState) {
  fixture.boot();
  fixture.connect();
  offer(2);
  publish(5, 2);
  fixture.run(20'000);
  const auto good = fixture.anchor;
  fixture.anchor[10] ^= 1;
  restart();
  EXPECT_EQ(fixture.anchor, good);
  EXPECT_EQ(version(), 2U);
  EXPECT_EQ(fixture.running_release(), "r5");
}

TEST_F(RootChainTest, TheAnchorIsWrittenOnlyWhenItChanges) {
  fixture.boot();
  fixture.connect();
  EXPECT_EQ(fixture.anchor_writes, 1U);
  offer(2);
  fixture.settle();
  EXPECT_EQ(fixture.anchor_writes, 2U);
  publish(5, 2);
  const auto persists = fixture.persists;
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r5");
  EXPECT_EQ(fixture.anchor_writes, 3U) << "one a release";
  EXPECT_GT(fixture.persists, persists + 4);
  restart();
  EXPECT_EQ(fixture.anchor_writes, 3U);
}

TEST_F(RootChainTest, ACutBetweenTheTwoFilesLeavesTheFurtherOneInForce) {
  fixture.boot();
  fixture.connect();
  publish(5, 1);
  fixture.run(20'000);
  const auto before = fixture.disk;
  offer(2);
  fixture.settle();
  fixture.disk = before;
  restart();
  EXPECT_EQ(version(), 2U);
  EXPECT_EQ(fixture.hellos.back().description.highest_sequence, 0U) << "root 2 has started sequences over";
  EXPECT_EQ(fixture.running_release(), "r5");
}

TEST_F(RootChainTest, SaysThatTheRootDocumentExpiresSoonOnce) {
  fixture.root.expires = fixture.wall + limits::kRootExpiryWarnMs + 60'000;
  fixture.pinned_root = trust::seal(trust::Kind::root, trust::encode_root(fixture.root), fixture.root_key);
  fixture.boot();
  fixture.connect();
  EXPECT_FALSE(fixture.logged("root document 1 expires on"));
  fixture.pass(120'000);
  fixture.give(Ticked{});
  EXPECT_TRUE(fixture.logged("root document 1 expires on"));
  fixture.log.clear();
  fixture.run(2'000);
  EXPECT_FALSE(fixture.logged("root document 1 expires on"));
}

}  // namespace
}  // namespace instar::revision

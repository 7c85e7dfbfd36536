// What a device does not take, and how it says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/requirements.hpp"
#include "core/revision/testing/machine_fixture.hpp"
#include "core/wire/placement.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::Step;

class RefusalTest : public testing::Test {
 protected:
  void SetUp() override {
    fixture.boot();
    fixture.connect();
    fixture.publish(fixture.release(1));
    fixture.run(10'000);
    ASSERT_EQ(fixture.running_release(), "r1");
    fixture.applied.clear();
  }

  // The running revision is untouched, nothing was fetched, and exactly one report says why.
  void expect_refused(Code code, std::string_view reason, const ManifestId& rollout) {
    EXPECT_EQ(fixture.running_release(), "r1");
    EXPECT_EQ(fixture.running, 1u);
    EXPECT_EQ(fixture.phase(), "idle");
    ASSERT_EQ(fixture.applied.size(), 1u);
    EXPECT_EQ(fixture.applied[0].step, Step::refused);
    EXPECT_EQ(fixture.applied[0].code, code) << fixture.applied[0].reason;
    EXPECT_THAT(fixture.applied[0].reason, HasSubstr(std::string(reason)));
    EXPECT_EQ(fixture.applied[0].rollout, rollout);
    EXPECT_EQ(fixture.applied[0].bytes_fetched, 0u);
    EXPECT_TRUE(fixture.logged(reason));
    EXPECT_EQ(fixture.opened.size(), 1u);
  }

  [[nodiscard]] std::string topic() const {
    return fixture.topics.manifest(fixture.facts.description.groups.front(), "pump");
  }
  MachineFixture fixture;
};

TEST_F(RefusalTest, AWrongKey) {
  const auto two = fixture.release(2);
  const auto payload = wire::encode_manifest(two);
  fixture.put(topic(), trust::seal(trust::Kind::manifest, payload, key_of(9)));
  fixture.run(1'000);
  expect_refused(Code::untrusted_key, "", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, AKeyOfAnotherRole) {
  const auto two = fixture.release(2);
  fixture.put(topic(), trust::seal(trust::Kind::manifest, wire::encode_manifest(two), fixture.gate_key));
  fixture.run(1'000);
  expect_refused(Code::untrusted_key, "", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, ASignatureThatDoesNotVerify) {
  const auto two = fixture.release(2);
  auto bytes = fixture.seal(two);
  bytes[12 + 8 + 5] ^= 1;
  fixture.put(topic(), bytes);
  fixture.run(1'000);
  expect_refused(Code::bad_signature, "", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, BytesThatAreNoEnvelope) {
  fixture.put(topic(), to_bytes("hello there, this is no envelope at all"));
  fixture.run(1'000);
  expect_refused(Code::malformed, "", ManifestId{});
}

TEST_F(RefusalTest, ASignedPayloadThatIsNoManifest) {
  const auto payload = to_bytes("not a flatbuffer");
  fixture.put(topic(), trust::seal(trust::Kind::manifest, payload, fixture.release_key));
  fixture.run(1'000);
  expect_refused(Code::malformed, "", ManifestId(trust::digest(payload)));
}

TEST_F(RefusalTest, ADifferentReleaseUnderTheSameSequence) {
  auto other = fixture.release(1);
  other.release = "r1b";
  fixture.publish(other);
  fixture.run(1'000);
  expect_refused(Code::stale, "sequence 1", MachineFixture::rollout_of(other));
}

TEST_F(RefusalTest, AnOlderSequence) {
  fixture.publish(fixture.release(5));
  fixture.run(10'000);
  ASSERT_EQ(fixture.running_release(), "r5");
  fixture.applied.clear();
  const auto four = fixture.release(4);
  fixture.publish(four);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r5");
  ASSERT_EQ(fixture.applied.size(), 1u);
  EXPECT_EQ(fixture.applied[0].code, Code::stale);
  EXPECT_EQ(fixture.applied[0].rollout, MachineFixture::rollout_of(four));
}

TEST_F(RefusalTest, AReplayOfAReleaseThatRanHereIsQuiet) {
  const auto one = fixture.retained[topic()];
  fixture.publish(fixture.release(2));
  fixture.run(10'000);
  fixture.applied.clear();
  fixture.put(topic(), one);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_TRUE(fixture.applied.empty()) << "a refusal would overwrite what the broker knows of that rollout";
}

TEST_F(RefusalTest, AnExpiredRelease) {
  auto two = fixture.release(2);
  two.expires = fixture.wall;
  fixture.publish(two);
  fixture.run(1'000);
  expect_refused(Code::expired, "expired on", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, WithoutAClockTheGateOfThatVeryReleaseSaysWhatTimeItIs) {
  auto two = fixture.release(2);
  two.expires = fixture.wall + 1'000'000;
  auto gate = fixture.gate_for(two, 1);
  gate.fresh = fixture.wall + 2'000'000;  // the broker's signed time
  auto other = fixture.gate_for(fixture.release(1), 2);
  other.fresh = gate.fresh;
  const auto right = fixture.wall;
  fixture.wall = WallMs{0};
  fixture.power_cut();
  fixture.store_packs(two);
  fixture.put(topic(), fixture.seal(two));
  fixture.put_gate(other);
  fixture.run(1'000);
  EXPECT_TRUE(fixture.applied.empty()) << "another release's gate says nothing";
  fixture.put_gate(gate);
  fixture.run(1'000);
  expect_refused(Code::expired, "by the broker's gate", MachineFixture::rollout_of(two));
  gate.issue = 2;
  gate.fresh = right;
  fixture.put_gate(gate);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2") << "a wrong clock lasts until its next word";
}

TEST_F(RefusalTest, AClockYearsAheadRefusesOnlyWhatExpires) {
  fixture.wall = fixture.wall + std::int64_t{10} * 365 * 86'400'000;
  fixture.publish(fixture.release(2));
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(RefusalTest, AReleaseThatExpiresWhileItWaitsForItsGate) {
  auto two = fixture.release(2);
  two.expires = fixture.wall + 10'000;
  fixture.store_packs(two);
  fixture.put(topic(), fixture.seal(two));
  fixture.run(20'000);
  fixture.put_gate(fixture.gate_for(two));
  fixture.run(5'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.opened.size(), 1u);
}

TEST_F(RefusalTest, AManifestForAnotherGroup) {
  auto two = fixture.release(2);
  two.groups = {group_of("plant-8")};
  fixture.put(topic(), fixture.seal(two));
  fixture.run(1'000);
  expect_refused(Code::refused, "not for group plant-7/line-a", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, AReleaseOfAnotherProductOnTheTopicOfThisOne) {
  auto two = fixture.release(2);
  two.product = "valve";
  fixture.put(topic(), fixture.seal(two));
  fixture.run(1'000);
  expect_refused(Code::refused, "is for product valve, not for pump", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, WhatIsForAnotherProductIsNeitherSubscribedToNorTaken) {
  auto two = fixture.release(2);
  two.product = "valve";
  for (const auto& [filter, qos] : fixture.machine->subscriptions()) EXPECT_EQ(filter.find("valve"), std::string::npos);
  fixture.publish(two);
  fixture.run(1'000);
  EXPECT_TRUE(fixture.applied.empty());
  EXPECT_EQ(fixture.opened.size(), 1u);
}

struct Need {
  const char* name;
  Code code;
  const char* reason;
  void (*set)(wire::Manifest&);
};

void make_image(wire::Manifest& manifest, wire::ImageFormat format) {
  manifest.artifacts[0].kind = wire::ArtifactKind::image;
  manifest.artifacts[0].image_format = format;
  manifest.artifacts[0].entry_count = 2;
}

class NeedTest : public RefusalTest, public testing::WithParamInterface<Need> {};

TEST_P(NeedTest, IsRefusedWithItsReason) {
  auto two = fixture.release(2);
  GetParam().set(two);
  fixture.publish(two);
  fixture.run(1'000);
  expect_refused(GetParam().code, GetParam().reason, MachineFixture::rollout_of(two));
}

INSTANTIATE_TEST_SUITE_P(
    Requirements, NeedTest,
    testing::Values(
        Need{"architecture", Code::unsupported, "the release is for armv7l, riscv64, this device is x86_64",
             [](wire::Manifest& m) {
               m.requirements.architectures = {"armv7l", "riscv64"};
             }},
        Need{"kernel", Code::unsupported, "needs kernel 6.2 or later",
             [](wire::Manifest& m) { m.requirements.kernel_min = "6.2"; }},
        Need{"client_version", Code::unsupported, "needs client 0.2.0 or later",
             [](wire::Manifest& m) { m.requirements.client_min = "0.2.0"; }},
        Need{"memory", Code::unsupported, "needs 67108865 bytes of memory",
             [](wire::Manifest& m) { m.requirements.memory_bytes_min = 64 * 1024 * 1024 + 1; }},
        Need{"setting", Code::refused, "asks for lxc.mount.entry",
             [](wire::Manifest& m) {
               m.containers[0].settings = {{"lxc.mount.entry", "/ mnt none bind 0 0"}};
             }},
        Need{"deadline", Code::expired, "was to start before",
             [](wire::Manifest& m) { m.policy.deadline = WallMs{1'000}; }},
        Need{"waves", Code::invalid_argument, "wave 1 must have one of",
             [](wire::Manifest& m) { m.policy.waves = {wire::Wave{.share_bp = 10'000, .device_count = 3}}; }},
        Need{"handler", Code::unsupported, "for the handler firmware, and this device has none of that name",
             [](wire::Manifest& m) {
               m.containers[0].handler = "firmware";
               m.containers[0].health.probe.reset();
             }},
        Need{"handler_and_probe", Code::refused, "only containers have those",
             [](wire::Manifest& m) { m.containers[0].handler = "firmware"; }},
        Need{"client", Code::refused, "does not let its client be replaced",
             [](wire::Manifest& m) {
               m.containers[0].handler = kClientHandler;
               m.containers[0].health.probe.reset();
             }},
        Need{"ready", Code::unsupported, "say itself that it is ready",
             [](wire::Manifest& m) { m.containers[0].health.ready_timeout_ms = 1'000; }},
        Need{"image", Code::unsupported, "container 'app' is an image (erofs), this device can mount: squashfs, ext4;",
             [](wire::Manifest& m) { make_image(m, wire::ImageFormat::erofs); }},
        Need{"shiftedImage", Code::refused, "the owners in an image cannot be shifted",
             [](wire::Manifest& m) {
               make_image(m, wire::ImageFormat::squashfs);
               m.containers[0].settings = {{"lxc.idmap", "u 0 100000 65536"}};
             }},
        Need{"packs", Code::unsupported, "can be used here",
             [](wire::Manifest& m) { m.artifacts[0].packs[0].memory_bytes = 1u << 30; }}),
    [](const testing::TestParamInfo<Need>& one) { return one.param.name; });

TEST_F(RefusalTest, FreeSpaceThatIsAskedForIsNamedWithWhatIsThere) {
  fixture.give(FreeSpace{1'000});
  auto two = fixture.release(2);
  two.requirements.free_bytes_min = 5'000;
  fixture.publish(two);
  fixture.run(1'000);
  expect_refused(Code::no_space, "needs 5000 bytes free on the device, 1000 are", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, WhereNoContainerCanRunNoneIsFetched) {
  fixture.facts.no_containers = "no cgroups are mounted";
  fixture.power_cut();
  const auto two = fixture.release(2);
  fixture.publish(two);
  fixture.run(1'000);
  expect_refused(Code::unsupported, "no container can run on this device: no cgroups are mounted",
                 MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, AnImageThatTheKernelCanMountIsTaken) {
  auto two = fixture.release(2);
  make_image(two, wire::ImageFormat::squashfs);
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(RefusalTest, AllowedKeysOfTheOwnerAreTaken) {
  fixture.facts.lxc_keys_allowed = {"lxc.mount.*"};
  fixture.power_cut();
  auto two = fixture.release(2);
  two.containers[0].settings = {{"lxc.mount.entry", "/ mnt none bind 0 0"}};
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(RefusalTest, ARefusalIsReportedOnceHoweverOftenItIsHeard) {
  auto two = fixture.release(2);
  two.requirements.kernel_min = "9";
  fixture.publish(two);
  const auto bad = to_bytes("no envelope at all, and heard again and again");
  fixture.receive(topic(), bad);
  fixture.run(1'000);
  ASSERT_EQ(fixture.applied.size(), 2u);
  for (int i = 0; i < 3; ++i) {
    fixture.disconnect();
    fixture.connect();
    fixture.receive(topic(), bad);
    fixture.power_cut();
    fixture.receive(topic(), bad);
    fixture.run(1'000);
  }
  EXPECT_EQ(fixture.applied.size(), 2u);
}

// Every byte of the message carries meaning: whichever bit flips, the release is not taken.
TEST_F(RefusalTest, AFlippedBitAnywhere) {
  const auto two = fixture.release(2);
  fixture.store_packs(two);
  fixture.put_gate(fixture.gate_for(two));
  const auto good = fixture.seal(two);
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bytes = good;
    bytes[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    fixture.receive(topic(), bytes);
    fixture.settle();
    ASSERT_EQ(fixture.opened.size(), 1u) << "byte " << i;
  }
  ASSERT_EQ(fixture.applied.size(), good.size());
  for (const auto& report : fixture.applied) {
    EXPECT_EQ(report.step, Step::refused);
    EXPECT_NE(report.code, Code::ok);
    EXPECT_FALSE(report.reason.empty());
  }
  fixture.put(topic(), good);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2") << "the true one is still taken afterwards";
}

// --- gates ---------------------------------------------------------------------------------------------

TEST_F(RefusalTest, NothingHappensWithoutAGate) {
  const auto two = fixture.release(2);
  fixture.store_packs(two);
  fixture.put(topic(), fixture.seal(two));
  fixture.run(20'000);
  EXPECT_EQ(fixture.opened.size(), 1u);
  fixture.put_gate(fixture.gate_for(two));
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(RefusalTest, AGateMayComeBeforeItsManifest) {
  const auto two = fixture.release(2);
  fixture.store_packs(two);
  fixture.put_gate(fixture.gate_for(two));
  fixture.put(topic(), fixture.seal(two));
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(RefusalTest, AGateBySomeoneElseOpensNothing) {
  const auto two = fixture.release(2);
  fixture.store_packs(two);
  fixture.put(topic(), fixture.seal(two));
  fixture.put(fixture.topics.gate(two.groups.front(), two.product),
              trust::seal(trust::Kind::gate, wire::encode(fixture.gate_for(two)), fixture.release_key));
  fixture.run(10'000);
  EXPECT_EQ(fixture.opened.size(), 1u);
  EXPECT_TRUE(fixture.logged("is refused (untrusted_key)"));
}

TEST_F(RefusalTest, AGateAdmitsByPlacement) {
  const auto two = fixture.release(2);
  const auto place = wire::share_of_point(wire::placement_point(two.policy.salt, fixture.facts.device));
  auto gate = fixture.gate_for(two);
  gate.admitted_bp = place;
  fixture.store_packs(two);
  fixture.put(topic(), fixture.seal(two));
  fixture.put_gate(gate);
  fixture.run(5'000);
  EXPECT_EQ(fixture.opened.size(), 1u);
  gate.issue = 2;
  gate.admitted_bp = static_cast<std::uint16_t>(place + 1);
  fixture.put_gate(gate);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(RefusalTest, AnOldIssueOfAGateIsAReplay) {
  const auto two = fixture.release(2);
  auto paused = fixture.gate_for(two, 7);
  paused.state = wire::GateState::paused;
  fixture.put_gate(paused);
  fixture.store_packs(two);
  fixture.put(topic(), fixture.seal(two));
  fixture.power_cut();
  fixture.put_gate(fixture.gate_for(two, 6));
  fixture.run(10'000);
  EXPECT_EQ(fixture.opened.size(), 1u);
  EXPECT_TRUE(fixture.logged("is older (issue 6)"));
  fixture.put_gate(fixture.gate_for(two, 8));
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(RefusalTest, APausedGateHoldsBackTheNextAttempt) {
  fixture.bad_releases = {"r2"};
  auto two = fixture.release(2);
  two.policy.attempts_max = 2;
  two.policy.backoff_s = 5;
  fixture.publish(two);
  fixture.run(3'500);
  ASSERT_EQ(fixture.phase(), "waiting");
  auto gate = fixture.gate_for(two, 2);
  gate.state = wire::GateState::paused;
  fixture.put_gate(gate);
  fixture.bad_releases.clear();
  fixture.run(20'000);
  EXPECT_EQ(fixture.phase(), "waiting");
  gate.state = wire::GateState::open;
  gate.issue = 3;
  fixture.put_gate(gate);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(RefusalTest, AnAbortedGateStopsWhatHasNotSwitched) {
  fixture.serves = false;
  const auto two = fixture.release(2);
  fixture.publish(two);
  fixture.settle();
  ASSERT_EQ(fixture.phase(), "fetching");
  auto gate = fixture.gate_for(two, 2);
  gate.state = wire::GateState::aborted;
  fixture.put_gate(gate);
  fixture.run(1'000);
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_EQ(fixture.running, 1u);
  EXPECT_EQ(fixture.applied.back().step, Step::failed);
  EXPECT_EQ(fixture.applied.back().code, Code::refused);
  EXPECT_THAT(fixture.applied.back().reason, HasSubstr("aborted"));
}

TEST_F(RefusalTest, AnAbortedGateLetsATryUnderWayEnd) {
  const auto two = fixture.release(2);
  fixture.publish(two);
  fixture.run(1'000);
  ASSERT_EQ(fixture.phase(), "trying");
  auto gate = fixture.gate_for(two, 2);
  gate.state = wire::GateState::aborted;
  fixture.put_gate(gate);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- several releases ----------------------------------------------------------------------------------

TEST_F(RefusalTest, TheHighestSequenceAmongGroupAndParentsIsTaken) {
  fixture.disconnect();
  auto two = fixture.release(2);
  auto three = fixture.release(3);
  three.groups = {group_of("plant-7")};
  fixture.publish(two);
  fixture.publish(three);
  fixture.connect();
  fixture.run(15'000);
  EXPECT_EQ(fixture.running_release(), "r3");
}

TEST_F(RefusalTest, ANewerReleaseTakesOverWhileFetching) {
  fixture.serves = false;
  const auto two = fixture.release(2);
  fixture.publish(two);
  fixture.settle();
  fixture.serves = true;
  fixture.publish(fixture.release(3));
  fixture.run(15'000);
  EXPECT_EQ(fixture.running_release(), "r3");
  EXPECT_EQ(fixture.view().current_revision, 3u);
  EXPECT_THAT(fixture.opened[3].bases, testing::ElementsAre(1u, 2u))
      << "what was staged of the abandoned one can be used";
  EXPECT_EQ(fixture.applied[1].step, Step::failed);
  EXPECT_EQ(fixture.applied[1].rollout, MachineFixture::rollout_of(two));
  EXPECT_THAT(fixture.applied[1].reason, HasSubstr("superseded by release r3"));
  EXPECT_FALSE(fixture.folders.contains(2));
}

TEST_F(RefusalTest, ANewerReleaseTakesOverBetweenAttempts) {
  fixture.bad_releases = {"r2"};
  auto two = fixture.release(2);
  two.policy.attempts_max = 2;
  two.policy.backoff_s = 60;
  fixture.publish(two);
  fixture.run(10'000);
  ASSERT_EQ(fixture.phase(), "waiting");
  fixture.publish(fixture.release(3));
  fixture.run(15'000);
  EXPECT_EQ(fixture.running_release(), "r3");
  wire::Report last;
  for (const auto& report : fixture.applied) {
    if (report.rollout == MachineFixture::rollout_of(two)) last = report;
  }
  EXPECT_EQ(last.step, Step::failed) << "the attempt that was said to follow does not";
  EXPECT_EQ(last.attempt, 2U);
  EXPECT_EQ(last.code, Code::stale);
  EXPECT_FALSE(last.again);
}

TEST_F(RefusalTest, ANewerReleaseWaitsForTheVerdictOfATry) {
  fixture.publish(fixture.release(2));
  fixture.run(1'000);
  ASSERT_EQ(fixture.phase(), "trying");
  fixture.publish(fixture.release(3));
  fixture.run(1'000);
  EXPECT_EQ(fixture.phase(), "trying");
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r3");
  EXPECT_EQ(fixture.view().previous_revision, 2u);
}

TEST_F(RefusalTest, ANewerReleaseThatIsNotPossibleHereDoesNotStopTheOneUnderWay) {
  fixture.serves = false;
  fixture.publish(fixture.release(2));
  fixture.settle();
  fixture.serves = true;
  auto three = fixture.release(3);
  three.requirements.kernel_min = "9";
  three.groups = {group_of("plant-7")};
  fixture.publish(three);
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- keys change hands ---------------------------------------------------------------------------------

TEST_F(RefusalTest, ANewRootDocumentMakesItsKeysGood) {
  const auto new_key = key_of(7);
  const auto two = fixture.release(2);
  fixture.store_packs(two);
  fixture.put(topic(), trust::seal(trust::Kind::manifest, wire::encode_manifest(two), new_key));
  fixture.put_gate(fixture.gate_for(two));
  fixture.run(1'000);
  ASSERT_EQ(fixture.applied.back().code, Code::untrusted_key);
  auto next = fixture.root;
  next.version = 2;
  next.keys.push_back({new_key.public_key(), "", ""});
  next.roles[1].key_ids.push_back(new_key.public_key().id());
  next.previous = trust::digest(trust::encode_root(fixture.root));
  fixture.put(fixture.topics.root(), trust::seal(trust::Kind::root, trust::encode_root(next), fixture.root_key));
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2") << "the manifest that was refused before is looked at again";
  fixture.power_cut();
  EXPECT_EQ(fixture.hellos.back().description.root_version, 2u);
}

TEST_F(RefusalTest, HostileMessagesOnOwnTopicsDoNoHarm) {
  for (const auto kind : {wire::TopicKind::device_chunk, wire::TopicKind::device_ack}) {
    for (std::size_t size : {0u, 1u, 7u, 40u, 5'000u})
      fixture.receive(fixture.topics.device(fixture.facts.device, kind), Bytes(size, 0xa5));
  }
  fixture.receive(fixture.topics.root(), Bytes(300, 1));
  fixture.receive(fixture.topics.gate(fixture.facts.description.groups.front(), "pump"), Bytes(300, 1));
  fixture.receive("some/other/topic", Bytes(300, 1));
  fixture.run(1'000);
  EXPECT_EQ(fixture.running, 1u);
  EXPECT_TRUE(fixture.applied.empty());
}

}  // namespace
}  // namespace instar::revision

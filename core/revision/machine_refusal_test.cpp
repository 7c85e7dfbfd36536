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
    rig.boot();
    rig.connect();
    rig.publish(rig.release(1));
    rig.run(10'000);
    ASSERT_EQ(rig.running_release(), "r1");
    rig.applied.clear();
  }

  // The running revision is untouched, nothing was fetched, and exactly one report says why.
  void expect_refused(Code code, std::string_view reason, const ManifestId& rollout) {
    EXPECT_EQ(rig.running_release(), "r1");
    EXPECT_EQ(rig.running, 1u);
    EXPECT_EQ(rig.phase(), "idle");
    ASSERT_EQ(rig.applied.size(), 1u);
    EXPECT_EQ(rig.applied[0].step, Step::refused);
    EXPECT_EQ(rig.applied[0].code, code) << rig.applied[0].reason;
    EXPECT_THAT(rig.applied[0].reason, HasSubstr(std::string(reason)));
    EXPECT_EQ(rig.applied[0].rollout, rollout);
    EXPECT_EQ(rig.applied[0].bytes_fetched, 0u);
    EXPECT_TRUE(rig.logged(reason));
    EXPECT_EQ(rig.opened.size(), 1u);
  }

  [[nodiscard]] std::string topic() const { return rig.topics.manifest(rig.facts.groups.front()); }
  MachineFixture rig;
};

TEST_F(RefusalTest, AWrongKey) {
  const auto two = rig.release(2);
  const auto payload = wire::encode_manifest(two);
  rig.put(topic(), trust::seal(trust::Kind::manifest, payload, key_of(9)));
  rig.run(1'000);
  expect_refused(Code::untrusted_key, "", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, AKeyOfAnotherRole) {
  const auto two = rig.release(2);
  rig.put(topic(), trust::seal(trust::Kind::manifest, wire::encode_manifest(two), rig.gate_key));
  rig.run(1'000);
  expect_refused(Code::untrusted_key, "", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, ASignatureThatDoesNotVerify) {
  const auto two = rig.release(2);
  auto bytes = rig.seal(two);
  bytes[12 + 8 + 5] ^= 1;
  rig.put(topic(), bytes);
  rig.run(1'000);
  expect_refused(Code::bad_signature, "", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, BytesThatAreNoEnvelope) {
  rig.put(topic(), to_bytes("hello there, this is no envelope at all"));
  rig.run(1'000);
  expect_refused(Code::malformed, "", ManifestId{});
}

TEST_F(RefusalTest, ASignedPayloadThatIsNoManifest) {
  const auto payload = to_bytes("not a flatbuffer");
  rig.put(topic(), trust::seal(trust::Kind::manifest, payload, rig.release_key));
  rig.run(1'000);
  expect_refused(Code::malformed, "", ManifestId(trust::digest(payload)));
}

TEST_F(RefusalTest, ADifferentReleaseUnderTheSameSequence) {
  auto other = rig.release(1);
  other.release = "r1b";
  rig.publish(other);
  rig.run(1'000);
  expect_refused(Code::stale, "sequence 1", MachineFixture::rollout_of(other));
}

TEST_F(RefusalTest, AnOlderSequence) {
  rig.publish(rig.release(5));
  rig.run(10'000);
  ASSERT_EQ(rig.running_release(), "r5");
  rig.applied.clear();
  const auto four = rig.release(4);
  rig.publish(four);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r5");
  ASSERT_EQ(rig.applied.size(), 1u);
  EXPECT_EQ(rig.applied[0].code, Code::stale);
  EXPECT_EQ(rig.applied[0].rollout, MachineFixture::rollout_of(four));
}

TEST_F(RefusalTest, AReplayOfAReleaseThatRanHereIsQuiet) {
  const auto one = rig.retained[topic()];
  rig.publish(rig.release(2));
  rig.run(10'000);
  rig.applied.clear();
  rig.put(topic(), one);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_TRUE(rig.applied.empty()) << "a refusal would overwrite what the broker knows of that rollout";
}

TEST_F(RefusalTest, AnExpiredRelease) {
  auto two = rig.release(2);
  two.expires = rig.wall;
  rig.publish(two);
  rig.run(1'000);
  expect_refused(Code::expired, "expired at", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, AClockSetBackDoesNotReviveAnExpiredRelease) {
  auto two = rig.release(2);
  two.expires = rig.wall + 1'000'000;
  auto gate = rig.gate_for(rig.release(1), 2);
  gate.fresh = rig.wall + 2'000'000;  // the broker's signed time
  rig.put_gate(gate);
  rig.wall = WallMs{0};
  rig.power_cut();
  rig.store_packs(two);
  rig.put(topic(), rig.seal(two));
  rig.run(1'000);
  expect_refused(Code::expired, "expired at", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, AClockYearsAheadRefusesOnlyWhatExpires) {
  rig.wall = rig.wall + std::int64_t{10} * 365 * 86'400'000;
  rig.publish(rig.release(2));
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(RefusalTest, AReleaseThatExpiresWhileItWaitsForItsGate) {
  auto two = rig.release(2);
  two.expires = rig.wall + 10'000;
  rig.store_packs(two);
  rig.put(topic(), rig.seal(two));
  rig.run(20'000);
  rig.put_gate(rig.gate_for(two));
  rig.run(5'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.opened.size(), 1u);
}

TEST_F(RefusalTest, AManifestForAnotherGroup) {
  auto two = rig.release(2);
  two.groups = {group_of("plant-8")};
  rig.put(topic(), rig.seal(two));
  rig.run(1'000);
  expect_refused(Code::refused, "not for group plant-7/line-a", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, AnotherProductIsIgnoredQuietly) {
  auto two = rig.release(2);
  two.product = "valve";
  rig.publish(two);
  rig.run(1'000);
  EXPECT_TRUE(rig.applied.empty());
  EXPECT_EQ(rig.opened.size(), 1u);
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
  auto two = rig.release(2);
  GetParam().set(two);
  rig.publish(two);
  rig.run(1'000);
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
  rig.give(FreeSpace{1'000});
  auto two = rig.release(2);
  two.requirements.free_bytes_min = 5'000;
  rig.publish(two);
  rig.run(1'000);
  expect_refused(Code::no_space, "needs 5000 bytes free on the device, 1000 are", MachineFixture::rollout_of(two));
}

TEST_F(RefusalTest, AnImageThatTheKernelCanMountIsTaken) {
  auto two = rig.release(2);
  make_image(two, wire::ImageFormat::squashfs);
  rig.publish(two);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(RefusalTest, AllowedKeysOfTheOwnerAreTaken) {
  rig.facts.lxc_keys_allowed = {"lxc.mount.*"};
  rig.power_cut();
  auto two = rig.release(2);
  two.containers[0].settings = {{"lxc.mount.entry", "/ mnt none bind 0 0"}};
  rig.publish(two);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(RefusalTest, ARefusalIsReportedOnceHoweverOftenItIsHeard) {
  auto two = rig.release(2);
  two.requirements.kernel_min = "9";
  rig.publish(two);
  const auto bad = to_bytes("no envelope at all, and heard again and again");
  rig.receive(topic(), bad);
  rig.run(1'000);
  ASSERT_EQ(rig.applied.size(), 2u);
  for (int i = 0; i < 3; ++i) {
    rig.disconnect();
    rig.connect();
    rig.receive(topic(), bad);
    rig.power_cut();
    rig.receive(topic(), bad);
    rig.run(1'000);
  }
  EXPECT_EQ(rig.applied.size(), 2u);
}

// Every byte of the message carries meaning: whichever bit flips, the release is not taken.
TEST_F(RefusalTest, AFlippedBitAnywhere) {
  const auto two = rig.release(2);
  rig.store_packs(two);
  rig.put_gate(rig.gate_for(two));
  const auto good = rig.seal(two);
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bytes = good;
    bytes[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    rig.receive(topic(), bytes);
    rig.settle();
    ASSERT_EQ(rig.opened.size(), 1u) << "byte " << i;
  }
  ASSERT_EQ(rig.applied.size(), good.size());
  for (const auto& report : rig.applied) {
    EXPECT_EQ(report.step, Step::refused);
    EXPECT_NE(report.code, Code::ok);
    EXPECT_FALSE(report.reason.empty());
  }
  rig.put(topic(), good);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2") << "the true one is still taken afterwards";
}

// --- gates ---------------------------------------------------------------------------------------------

TEST_F(RefusalTest, NothingHappensWithoutAGate) {
  const auto two = rig.release(2);
  rig.store_packs(two);
  rig.put(topic(), rig.seal(two));
  rig.run(20'000);
  EXPECT_EQ(rig.opened.size(), 1u);
  rig.put_gate(rig.gate_for(two));
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(RefusalTest, AGateMayComeBeforeItsManifest) {
  const auto two = rig.release(2);
  rig.store_packs(two);
  rig.put_gate(rig.gate_for(two));
  rig.put(topic(), rig.seal(two));
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(RefusalTest, AGateBySomeoneElseOpensNothing) {
  const auto two = rig.release(2);
  rig.store_packs(two);
  rig.put(topic(), rig.seal(two));
  rig.put(rig.topics.gate(two.groups.front()),
          trust::seal(trust::Kind::gate, wire::encode(rig.gate_for(two)), rig.release_key));
  rig.run(10'000);
  EXPECT_EQ(rig.opened.size(), 1u);
  EXPECT_TRUE(rig.logged("is refused (untrusted_key)"));
}

TEST_F(RefusalTest, AGateAdmitsByPlacement) {
  const auto two = rig.release(2);
  const auto place = wire::share_of_point(wire::placement_point(two.policy.salt, rig.facts.device));
  auto gate = rig.gate_for(two);
  gate.admitted_bp = place;
  rig.store_packs(two);
  rig.put(topic(), rig.seal(two));
  rig.put_gate(gate);
  rig.run(5'000);
  EXPECT_EQ(rig.opened.size(), 1u);
  gate.issue = 2;
  gate.admitted_bp = static_cast<std::uint16_t>(place + 1);
  rig.put_gate(gate);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(RefusalTest, AnOldIssueOfAGateIsAReplay) {
  const auto two = rig.release(2);
  auto paused = rig.gate_for(two, 7);
  paused.state = wire::GateState::paused;
  rig.put_gate(paused);
  rig.store_packs(two);
  rig.put(topic(), rig.seal(two));
  rig.power_cut();
  rig.put_gate(rig.gate_for(two, 6));
  rig.run(10'000);
  EXPECT_EQ(rig.opened.size(), 1u);
  EXPECT_TRUE(rig.logged("is older (issue 6)"));
  rig.put_gate(rig.gate_for(two, 8));
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(RefusalTest, APausedGateHoldsBackTheNextAttempt) {
  rig.bad_releases = {"r2"};
  auto two = rig.release(2);
  two.policy.attempts_max = 2;
  two.policy.backoff_s = 5;
  rig.publish(two);
  rig.run(3'500);
  ASSERT_EQ(rig.phase(), "waiting");
  auto gate = rig.gate_for(two, 2);
  gate.state = wire::GateState::paused;
  rig.put_gate(gate);
  rig.bad_releases.clear();
  rig.run(20'000);
  EXPECT_EQ(rig.phase(), "waiting");
  gate.state = wire::GateState::open;
  gate.issue = 3;
  rig.put_gate(gate);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(RefusalTest, AnAbortedGateStopsWhatHasNotSwitched) {
  rig.serves = false;
  const auto two = rig.release(2);
  rig.publish(two);
  rig.settle();
  ASSERT_EQ(rig.phase(), "fetching");
  auto gate = rig.gate_for(two, 2);
  gate.state = wire::GateState::aborted;
  rig.put_gate(gate);
  rig.run(1'000);
  EXPECT_EQ(rig.phase(), "idle");
  EXPECT_EQ(rig.running, 1u);
  EXPECT_EQ(rig.applied.back().step, Step::failed);
  EXPECT_EQ(rig.applied.back().code, Code::refused);
  EXPECT_THAT(rig.applied.back().reason, HasSubstr("aborted"));
}

TEST_F(RefusalTest, AnAbortedGateLetsATryUnderWayEnd) {
  const auto two = rig.release(2);
  rig.publish(two);
  rig.run(1'000);
  ASSERT_EQ(rig.phase(), "trying");
  auto gate = rig.gate_for(two, 2);
  gate.state = wire::GateState::aborted;
  rig.put_gate(gate);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

// --- several releases ----------------------------------------------------------------------------------

TEST_F(RefusalTest, TheHighestSequenceAmongGroupAndParentsIsTaken) {
  rig.disconnect();
  auto two = rig.release(2);
  auto three = rig.release(3);
  three.groups = {group_of("plant-7")};
  rig.publish(two);
  rig.publish(three);
  rig.connect();
  rig.run(15'000);
  EXPECT_EQ(rig.running_release(), "r3");
}

TEST_F(RefusalTest, ANewerReleaseTakesOverWhileFetching) {
  rig.serves = false;
  const auto two = rig.release(2);
  rig.publish(two);
  rig.settle();
  rig.serves = true;
  rig.publish(rig.release(3));
  rig.run(15'000);
  EXPECT_EQ(rig.running_release(), "r3");
  EXPECT_EQ(rig.view().current_revision, 3u);
  EXPECT_THAT(rig.opened[3].bases, testing::ElementsAre(1u, 2u)) << "what was staged of the abandoned one can be used";
  EXPECT_EQ(rig.applied[1].step, Step::failed);
  EXPECT_EQ(rig.applied[1].rollout, MachineFixture::rollout_of(two));
  EXPECT_THAT(rig.applied[1].reason, HasSubstr("superseded by release r3"));
  EXPECT_FALSE(rig.folders.contains(2));
}

TEST_F(RefusalTest, ANewerReleaseTakesOverBetweenAttempts) {
  rig.bad_releases = {"r2"};
  auto two = rig.release(2);
  two.policy.attempts_max = 2;
  two.policy.backoff_s = 60;
  rig.publish(two);
  rig.run(10'000);
  ASSERT_EQ(rig.phase(), "waiting");
  rig.publish(rig.release(3));
  rig.run(15'000);
  EXPECT_EQ(rig.running_release(), "r3");
  wire::Report last;
  for (const auto& report : rig.applied) {
    if (report.rollout == MachineFixture::rollout_of(two)) last = report;
  }
  EXPECT_EQ(last.step, Step::failed) << "the attempt that was said to follow does not";
  EXPECT_EQ(last.attempt, 2U);
  EXPECT_EQ(last.code, Code::stale);
  EXPECT_FALSE(last.again);
}

TEST_F(RefusalTest, ANewerReleaseWaitsForTheVerdictOfATry) {
  rig.publish(rig.release(2));
  rig.run(1'000);
  ASSERT_EQ(rig.phase(), "trying");
  rig.publish(rig.release(3));
  rig.run(1'000);
  EXPECT_EQ(rig.phase(), "trying");
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r3");
  EXPECT_EQ(rig.view().previous_revision, 2u);
}

TEST_F(RefusalTest, ANewerReleaseThatIsNotPossibleHereDoesNotStopTheOneUnderWay) {
  rig.serves = false;
  rig.publish(rig.release(2));
  rig.settle();
  rig.serves = true;
  auto three = rig.release(3);
  three.requirements.kernel_min = "9";
  three.groups = {group_of("plant-7")};
  rig.publish(three);
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

// --- keys change hands ---------------------------------------------------------------------------------

TEST_F(RefusalTest, ANewRootDocumentMakesItsKeysGood) {
  const auto new_key = key_of(7);
  const auto two = rig.release(2);
  rig.store_packs(two);
  rig.put(topic(), trust::seal(trust::Kind::manifest, wire::encode_manifest(two), new_key));
  rig.put_gate(rig.gate_for(two));
  rig.run(1'000);
  ASSERT_EQ(rig.applied.back().code, Code::untrusted_key);
  auto next = rig.root;
  next.version = 2;
  next.keys.push_back({new_key.public_key(), "", ""});
  next.roles[1].key_ids.push_back(new_key.public_key().id());
  next.previous = trust::digest(trust::encode_root(rig.root));
  rig.put(rig.topics.root(), trust::seal(trust::Kind::root, trust::encode_root(next), rig.root_key));
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2") << "the manifest that was refused before is looked at again";
  rig.power_cut();
  EXPECT_EQ(rig.hellos.back().root_version, 2u);
}

TEST_F(RefusalTest, HostileMessagesOnOwnTopicsDoNoHarm) {
  for (const auto kind : {wire::TopicKind::device_chunk, wire::TopicKind::device_ack}) {
    for (std::size_t size : {0u, 1u, 7u, 40u, 5'000u})
      rig.receive(rig.topics.device(rig.facts.device, kind), Bytes(size, 0xa5));
  }
  rig.receive(rig.topics.root(), Bytes(300, 1));
  rig.receive(rig.topics.gate(rig.facts.groups.front()), Bytes(300, 1));
  rig.receive("some/other/topic", Bytes(300, 1));
  rig.run(1'000);
  EXPECT_EQ(rig.running, 1u);
  EXPECT_TRUE(rig.applied.empty());
}

}  // namespace
}  // namespace instar::revision

// The whole of an update as the machine sees it: what goes well, what is taken back, what comes after a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/state_codec.hpp"
#include "core/revision/testing/machine_fixture.hpp"

namespace instar::revision {
namespace {

using testing::ElementsAre;
using wire::Step;

class MachineTest : public testing::Test {
 protected:
  void SetUp() override {
    rig.boot();
    rig.connect();
  }
  MachineFixture rig;
};

TEST_F(MachineTest, CommitsARelease) {
  const auto one = rig.release(1);
  rig.publish(one);
  rig.run(10'000);
  EXPECT_EQ(rig.phase(), "idle");
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.running, rig.view().current_revision);
  EXPECT_THAT(rig.steps(), ElementsAre(Step::fetching, Step::staging, Step::trying, Step::committed));
  const auto& last = rig.applied.back();
  EXPECT_EQ(last.rollout, MachineFixture::rollout_of(one));
  EXPECT_EQ(last.attempt, 1u);
  EXPECT_EQ(last.code, Code::ok);
  EXPECT_EQ(last.bytes_planned, 94'000u);
  EXPECT_EQ(last.bytes_fetched, 94'000u);
  EXPECT_EQ(last.bytes_full, 94'000u);
  EXPECT_EQ(last.downtime_ms, 30u);
  EXPECT_GE(last.switch_ms, 5'000u);
  ASSERT_TRUE(last.running.has_value());
  EXPECT_EQ(last.running->release, "r1");
  EXPECT_EQ(rig.bytes_sent, 94'000u);
  EXPECT_EQ(rig.view().pending_reports, 0u);
}

TEST_F(MachineTest, SaysThePlannedBytesBeforeTheFirstOneIsAskedFor) {
  rig.publish(rig.release(1));
  rig.settle();
  const auto report = std::ranges::find(rig.trace, "report");
  const auto fetch = std::ranges::find(rig.trace, "fetch");
  ASSERT_NE(fetch, rig.trace.end());
  EXPECT_LT(report, fetch);
  EXPECT_EQ(rig.applied.front().step, Step::fetching);
  EXPECT_EQ(rig.applied.front().bytes_planned, 94'000u);
  EXPECT_EQ(rig.applied.front().bytes_fetched, 0u);
}

TEST_F(MachineTest, ASecondReleaseReplacesTheFirstAndTheThirdRemovesIt) {
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    rig.publish(rig.release(sequence));
    rig.run(10'000);
    EXPECT_EQ(rig.running_release(), "r" + std::to_string(sequence));
  }
  EXPECT_EQ(rig.view().current_revision, 3u);
  EXPECT_EQ(rig.view().previous_revision, 2u);
  EXPECT_EQ(rig.staged.size(), 2u);
  EXPECT_THAT(rig.opened[3].bases, ElementsAre(2u, 1u));
}

TEST_F(MachineTest, AProbeThatFailsThreeTimesBringsTheOldRevisionBack) {
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.bad_releases = {"r2"};
  const auto two = rig.release(2);
  rig.publish(two);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.running, 1u);
  EXPECT_EQ(rig.phase(), "idle");
  const auto& last = rig.applied.back();
  EXPECT_EQ(last.step, Step::rolled_back);
  EXPECT_EQ(last.code, Code::unhealthy);
  EXPECT_THAT(last.reason, testing::HasSubstr("failed 3 times in a row: exit 3"));
  EXPECT_EQ(last.running->release, "r1");
  EXPECT_EQ(last.downtime_ms, 40u);
}

TEST_F(MachineTest, AReleaseThatWasTakenBackIsNotTriedAgain) {
  rig.bad_releases = {"r1"};
  rig.publish(rig.release(1));
  rig.run(10'000);
  const auto count = rig.applied.size();
  rig.disconnect();
  rig.connect();
  rig.run(20'000);
  rig.power_cut();
  rig.run(20'000);
  EXPECT_EQ(rig.applied.size(), count);
  EXPECT_EQ(rig.running, 0u);
}

TEST_F(MachineTest, AHigherRetryEpochTriesAgain) {
  rig.bad_releases = {"r1"};
  const auto one = rig.release(1);
  rig.publish(one);
  rig.run(10'000);
  rig.bad_releases.clear();
  auto gate = rig.gate_for(one, 2);
  gate.retry_epoch = 1;
  rig.put_gate(gate);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.applied.back().attempt, 2u);
}

TEST_F(MachineTest, AContainerThatStopsFailsTheTry) {
  rig.stopping = {"r1"};
  rig.publish(rig.release(1));
  rig.run(10'000);
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
  EXPECT_THAT(rig.applied.back().reason,
              testing::HasSubstr("container 'app' stopped while its health was judged: exit 1"));
  EXPECT_EQ(rig.running, 0u) << "nothing ran before the first release";
}

TEST_F(MachineTest, AContainerThatDoesNotStartFailsTheTry) {
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.unstartable = {"r2"};
  rig.publish(rig.release(2));
  rig.run(10'000);
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
  EXPECT_THAT(rig.applied.back().reason, testing::HasSubstr("no such init"));
  EXPECT_EQ(rig.running, 1u);
}

TEST_F(MachineTest, AttemptsOfThePolicyAreMadeWithTheirPause) {
  rig.bad_releases = {"r1"};
  auto one = rig.release(1);
  one.policy.attempts_max = 3;
  one.policy.backoff_s = 30;
  rig.publish(one);
  rig.run(20'000);
  EXPECT_EQ(rig.phase(), "waiting");
  rig.run(30'000);
  EXPECT_EQ(rig.applied.back().attempt, 2u);
  rig.run(60'000);
  EXPECT_EQ(rig.applied.back().attempt, 3u);
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
  EXPECT_EQ(rig.phase(), "idle");
}

TEST_F(MachineTest, TheSecondOfThreeAttemptsMaySucceed) {
  rig.bad_releases = {"r1"};
  auto one = rig.release(1);
  one.policy.attempts_max = 3;
  one.policy.backoff_s = 30;
  rig.publish(one);
  rig.run(20'000);
  EXPECT_EQ(rig.phase(), "waiting");
  rig.bad_releases.clear();
  rig.run(40'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_THAT(rig.opened[2].bases, ElementsAre(1u)) << "the attempt before is a base of this one";
  EXPECT_EQ(rig.folders.count(1), 0u);
}

TEST_F(MachineTest, SwitchingBackIsTriedUntilItWorks) {
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.bad_releases = {"r2"};
  rig.switch_back_failures = 3;
  rig.publish(rig.release(2));
  rig.run(60'000);
  EXPECT_EQ(rig.running, 1u);
  EXPECT_EQ(rig.phase(), "idle");
}

TEST_F(MachineTest, AStoppedContainerOfTheCurrentRevisionIsStartedAgain) {
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.running = 0;
  rig.give(ContainerStopped{1, "app", "signal 9"});
  rig.run(5'000);
  EXPECT_EQ(rig.running, 1u);
}

// --- the broker goes away while a release is tried (docs/health.md) -------------------------------------

TEST_F(MachineTest, LosingTheBrokerForGoodAfterTheSwitchFailsTheTry) {
  rig.publish(rig.release(1));
  rig.run(1'500);
  ASSERT_EQ(rig.phase(), "trying");
  rig.disconnect();
  rig.run(60'000);
  EXPECT_EQ(rig.phase(), "trying");
  rig.run(180'000);
  EXPECT_EQ(rig.phase(), "idle");
  EXPECT_EQ(rig.running, 0u);
  rig.connect();
  rig.run(1'000);
  EXPECT_THAT(rig.applied.back().reason, testing::HasSubstr("reachable just before the switch"));
}

TEST_F(MachineTest, ABrokerThatComesBackWithinTheGraceIsNoFailure) {
  rig.publish(rig.release(1));
  rig.run(1'500);
  rig.disconnect();
  rig.run(60'000);
  rig.connect();
  rig.run(1'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

TEST_F(MachineTest, ABrokerThatWasAwayBeforeTheSwitchIsNoFailure) {
  rig.drop = [](const Effect& effect) { return std::holds_alternative<FinishStaging>(effect); };
  rig.publish(rig.release(1));
  rig.settle();
  ASSERT_EQ(rig.phase(), "staging");
  rig.disconnect();
  rig.drop = nullptr;
  rig.staged[1] = rig.opened[1].manifest;
  rig.give(StagingDone{1});
  rig.run(7'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

TEST_F(MachineTest, AReleaseWithNothingNewIsNotBlamedForTheLink) {
  rig.publish(rig.release(1));
  rig.run(10'000);
  auto two = rig.release(2);
  two.artifacts = rig.release(1).artifacts;
  two.containers = rig.release(1).containers;
  rig.publish(two);
  rig.run(500);
  ASSERT_EQ(rig.phase(), "trying");
  rig.disconnect();
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

// --- fetching --------------------------------------------------------------------------------------------

TEST_F(MachineTest, ADroppedLinkGoesOnWhereItWas) {
  rig.serves = false;
  rig.publish(rig.release(1));
  rig.settle();
  for (int i = 0; i < 6 && rig.phase() == "fetching"; ++i) {
    rig.fetches.back().window_bytes = 20'000;  // serve little, then drop the rest
    rig.serve(rig.fetches.back());
    rig.settle();
    rig.disconnect();
    rig.connect();
    rig.settle();
  }
  rig.serves = true;
  rig.disconnect();
  rig.connect();
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.bytes_sent, 94'000u) << "half a chunk is continued, not sent again";
  EXPECT_EQ(rig.applied.back().bytes_fetched, 94'000u);
}

TEST_F(MachineTest, SilenceIsAskedAboutAndThenOpensANewSessionWithWhatIsMissing) {
  rig.serves = false;
  rig.publish(rig.release(1));
  rig.run(14'000);
  ASSERT_EQ(rig.fetches.size(), 1u);
  rig.run(44'000);
  ASSERT_EQ(rig.fetches.size(), 4u) << "three questions";
  for (const auto& fetch : rig.fetches) EXPECT_EQ(fetch.session, rig.fetches[0].session);
  EXPECT_FALSE(rig.fetches[3].pack.has_value());
  rig.run(4'000);
  ASSERT_EQ(rig.fetches.size(), 5u);
  EXPECT_GT(rig.fetches[4].session, rig.fetches[0].session);
  EXPECT_LT(rig.fetches[4].window_bytes, rig.fetches[0].window_bytes);
  rig.serves = true;
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

TEST_F(MachineTest, PiecesOfAnOldSessionAreCountedButNotUsed) {
  rig.serves = false;
  rig.publish(rig.release(1));
  rig.settle();
  const auto first = rig.fetches.back();
  rig.disconnect();
  rig.connect();
  rig.settle();
  rig.receive(rig.topics.device(rig.facts.device, wire::TopicKind::device_chunk),
              wire::encode(wire::ChunkPiece{first.session, 0, 0, Bytes(1'000, 7), wire::ChunkFault::none}));
  rig.settle();
  EXPECT_EQ(rig.view().bytes_fetched, 1'000u);
  EXPECT_TRUE(rig.folders[1].begin()->second.empty());
}

TEST_F(MachineTest, ABrokenChunkIsFetchedAgainOnce) {
  rig.corrupt = {2};
  const auto one = rig.release(1);
  rig.publish(one);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ((rig.chunks_sent[{one.artifacts[0].packs[0].id, 2}]), 2);
  EXPECT_GT(rig.applied.back().bytes_fetched, rig.applied.back().bytes_planned);
}

TEST_F(MachineTest, AChunkThatIsBrokenTwiceFailsTheAttempt) {
  rig.corrupt = {2, 2};
  rig.publish(rig.release(1));
  rig.run(10'000);
  EXPECT_EQ(rig.applied.back().step, Step::failed);
  EXPECT_EQ(rig.applied.back().code, Code::corrupt);
  EXPECT_THAT(rig.applied.back().reason, testing::HasSubstr("twice"));
  EXPECT_EQ(rig.phase(), "idle");
  EXPECT_EQ(rig.running, 0u);
}

TEST_F(MachineTest, SeveralArtifactsAreFetchedOneAfterTheOther) {
  auto one = rig.release(1);
  for (int i = 0; i < 3; ++i) {
    const auto name = "extra" + std::to_string(i);
    one.artifacts.push_back(artifact_of(name, {500, 600}, {70'000, 10}));
    auto container = one.containers.front();
    container.name = name;
    container.artifact = one.artifacts.back().id;
    one.containers.push_back(container);
  }
  rig.publish(one);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.applied.back().bytes_planned, 94'000u + 3 * 71'110u);
  EXPECT_EQ(rig.applied.back().bytes_fetched, rig.applied.back().bytes_planned);
}

TEST_F(MachineTest, ADedupePackSaysTheExactBytesOnceItsHeadIsRead) {
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.applied.clear();
  auto two = rig.release(2);
  two.artifacts = {artifact_of("r2", {1'000}, {40'000, 50'000, 3'000}, artifact::PackKind::dedupe)};
  two.containers.front().artifact = two.artifacts.front().id;
  rig.publish(two);
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_THAT(rig.steps(), ElementsAre(Step::fetching, Step::fetching, Step::staging, Step::trying, Step::committed));
  EXPECT_EQ(rig.applied[0].bytes_planned, 1'000u);
  EXPECT_EQ(rig.applied[1].bytes_planned, 94'000u);
  EXPECT_EQ(rig.applied[4].bytes_fetched, 94'000u);
  EXPECT_EQ(rig.applied[4].pack_kind, artifact::PackKind::dedupe);
  EXPECT_EQ(rig.applied[4].bytes_full, 1'000u + 4 * 93'000u);
}

TEST_F(MachineTest, AFaultOfTheBrokerIsWaitedOut) {
  rig.serves = false;
  rig.publish(rig.release(1));
  rig.settle();
  const auto session = rig.fetches.back().session;
  rig.receive(rig.topics.device(rig.facts.device, wire::TopicKind::device_chunk),
              wire::encode(wire::ChunkPiece{session, 0, 0, {}, wire::ChunkFault::unknown_pack}));
  rig.run(1'000);
  EXPECT_EQ(rig.fetches.size(), 1u);
  rig.serves = true;
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

TEST_F(MachineTest, AChunkThatThePackDoesNotHaveFailsTheAttempt) {
  rig.serves = false;
  rig.publish(rig.release(1));
  rig.settle();
  rig.receive(rig.topics.device(rig.facts.device, wire::TopicKind::device_chunk),
              wire::encode(wire::ChunkPiece{rig.fetches.back().session, 0, 0, {}, wire::ChunkFault::out_of_range}));
  rig.run(1'000);
  EXPECT_EQ(rig.applied.back().step, Step::failed);
  EXPECT_EQ(rig.applied.back().code, Code::malformed);
}

// --- space -----------------------------------------------------------------------------------------------

TEST_F(MachineTest, ADiskTooSmallIsRefusedBeforeTheFirstByte) {
  rig.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  rig.publish(rig.release(1));
  rig.run(10'000);
  EXPECT_THAT(rig.steps(), ElementsAre(Step::refused));
  EXPECT_EQ(rig.applied.back().code, Code::no_space);
  EXPECT_EQ(rig.applied.back().reason, "needs 2000 bytes, 1000 are free");
  EXPECT_EQ(rig.bytes_sent, 0u);
  EXPECT_TRUE(rig.folders.empty());
}

TEST_F(MachineTest, ThePreviousRevisionMakesRoomForTheNext) {
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.publish(rig.release(2));
  rig.run(10'000);
  rig.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  rig.publish(rig.release(3));
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2") << "not without the owner's word";
  EXPECT_TRUE(rig.staged.contains(1));
  EXPECT_THAT(rig.applied.back().reason, testing::HasSubstr("previous_makes_room = yes"));

  rig.facts.previous_makes_room = true;
  rig.power_cut();
  rig.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  rig.publish(rig.release(4));
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r4");
  EXPECT_FALSE(rig.staged.contains(1));
}

TEST_F(MachineTest, AFailedStagingIsRetriedAsThePolicySays) {
  rig.finish_fails = Error{Code::io, "flash says no"};
  auto one = rig.release(1);
  one.policy.attempts_max = 2;
  one.policy.backoff_s = 5;
  rig.publish(one);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.bytes_sent, 94'000u) << "what is durable stays for the next attempt";
}

}  // namespace
}  // namespace instar::revision

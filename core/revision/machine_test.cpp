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
    fixture.boot();
    fixture.connect();
  }
  MachineFixture fixture;
};

TEST_F(MachineTest, CommitsARelease) {
  const auto one = fixture.release(1);
  fixture.publish(one);
  fixture.run(10'000);
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.running, fixture.view().current_revision);
  EXPECT_THAT(fixture.steps(), ElementsAre(Step::fetching, Step::staging, Step::trying, Step::committed));
  const auto& last = fixture.applied.back();
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
  EXPECT_EQ(fixture.bytes_sent, 94'000u);
  EXPECT_EQ(fixture.view().pending_reports, 0u);
}

TEST_F(MachineTest, TheReportOfACommitSaysWhatPeopleShouldKnowOfTheSwitch) {
  fixture.switch_remark = "container app did not react to SIGTERM in 10000 ms";
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  EXPECT_EQ(fixture.applied.back().step, Step::committed);
  EXPECT_EQ(fixture.applied.back().reason, fixture.switch_remark);
  fixture.switch_remark.clear();
  fixture.publish(fixture.release(2));
  fixture.run(10'000);
  EXPECT_EQ(fixture.applied.back().step, Step::committed);
  EXPECT_EQ(fixture.applied.back().reason, "") << "of that switch alone";
}

TEST_F(MachineTest, SaysThePlannedBytesBeforeTheFirstOneIsAskedFor) {
  fixture.publish(fixture.release(1));
  fixture.settle();
  const auto report = std::ranges::find(fixture.trace, "report");
  const auto fetch = std::ranges::find(fixture.trace, "fetch");
  ASSERT_NE(fetch, fixture.trace.end());
  EXPECT_LT(report, fetch);
  EXPECT_EQ(fixture.applied.front().step, Step::fetching);
  EXPECT_EQ(fixture.applied.front().bytes_planned, 94'000u);
  EXPECT_EQ(fixture.applied.front().bytes_fetched, 0u);
}

TEST_F(MachineTest, ASecondReleaseReplacesTheFirstAndTheThirdRemovesIt) {
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    fixture.publish(fixture.release(sequence));
    fixture.run(10'000);
    EXPECT_EQ(fixture.running_release(), "r" + std::to_string(sequence));
  }
  EXPECT_EQ(fixture.view().current_revision, 3u);
  EXPECT_EQ(fixture.view().previous_revision, 2u);
  EXPECT_EQ(fixture.staged.size(), 2u);
  EXPECT_THAT(fixture.opened[3].bases, ElementsAre(2u, 1u));
}

TEST_F(MachineTest, AProbeThatFailsThreeTimesBringsTheOldRevisionBack) {
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.bad_releases = {"r2"};
  const auto two = fixture.release(2);
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.running, 1u);
  EXPECT_EQ(fixture.phase(), "idle");
  const auto& last = fixture.applied.back();
  EXPECT_EQ(last.step, Step::rolled_back);
  EXPECT_EQ(last.code, Code::unhealthy);
  EXPECT_THAT(last.reason, testing::HasSubstr("failed 3 times in a row: exit 3"));
  EXPECT_FALSE(last.running.has_value()) << "what ran before, and the report of its commit said so";
  EXPECT_EQ(last.downtime_ms, 40u);
}

TEST_F(MachineTest, AReleaseThatWasTakenBackIsNotTriedAgain) {
  fixture.bad_releases = {"r1"};
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  const auto count = fixture.applied.size();
  fixture.disconnect();
  fixture.connect();
  fixture.run(20'000);
  fixture.power_cut();
  fixture.run(20'000);
  EXPECT_EQ(fixture.applied.size(), count);
  EXPECT_EQ(fixture.running, 0u);
}

TEST_F(MachineTest, AHigherRetryEpochTriesAgain) {
  fixture.bad_releases = {"r1"};
  const auto one = fixture.release(1);
  fixture.publish(one);
  fixture.run(10'000);
  fixture.bad_releases.clear();
  auto gate = fixture.gate_for(one, 2);
  gate.retry_epoch = 1;
  fixture.put_gate(gate);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.applied.back().attempt, 2u);
}

TEST_F(MachineTest, AContainerThatStopsFailsTheTry) {
  fixture.stopping = {"r1"};
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
  EXPECT_THAT(fixture.applied.back().reason,
              testing::HasSubstr("container 'app' stopped while its health was judged: exit 1"));
  EXPECT_EQ(fixture.running, 0u) << "nothing ran before the first release";
}

TEST_F(MachineTest, AContainerThatDoesNotStartFailsTheTry) {
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.unstartable = {"r2"};
  fixture.publish(fixture.release(2));
  fixture.run(10'000);
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
  EXPECT_THAT(fixture.applied.back().reason, testing::HasSubstr("no such init"));
  EXPECT_EQ(fixture.running, 1u);
}

TEST_F(MachineTest, AttemptsOfThePolicyAreMadeWithTheirPause) {
  fixture.bad_releases = {"r1"};
  auto one = fixture.release(1);
  one.policy.attempts_max = 3;
  one.policy.backoff_s = 30;
  fixture.publish(one);
  fixture.run(20'000);
  EXPECT_EQ(fixture.phase(), "waiting");
  fixture.run(30'000);
  EXPECT_EQ(fixture.applied.back().attempt, 2u);
  fixture.run(60'000);
  EXPECT_EQ(fixture.applied.back().attempt, 3u);
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
  EXPECT_EQ(fixture.phase(), "idle");
}

TEST_F(MachineTest, TheSecondOfThreeAttemptsMaySucceed) {
  fixture.bad_releases = {"r1"};
  auto one = fixture.release(1);
  one.policy.attempts_max = 3;
  one.policy.backoff_s = 30;
  fixture.publish(one);
  fixture.run(20'000);
  EXPECT_EQ(fixture.phase(), "waiting");
  fixture.bad_releases.clear();
  fixture.run(40'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_THAT(fixture.opened[2].bases, ElementsAre(1u)) << "the attempt before is a base of this one";
  EXPECT_EQ(fixture.folders.count(1), 0u);
}

TEST_F(MachineTest, SwitchingBackIsTriedUntilItWorks) {
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.bad_releases = {"r2"};
  fixture.switch_back_failures = 3;
  fixture.publish(fixture.release(2));
  fixture.run(60'000);
  EXPECT_EQ(fixture.running, 1u);
  EXPECT_EQ(fixture.phase(), "idle");
}

TEST_F(MachineTest, AStoppedContainerOfTheCurrentRevisionIsStartedAgain) {
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.running = 0;
  fixture.give(ContainerStopped{1, "app", "signal 9"});
  fixture.run(5'000);
  EXPECT_EQ(fixture.running, 1u);
}

// --- the broker goes away while a release is tried (docs/health.md) -------------------------------------

TEST_F(MachineTest, LosingTheBrokerForGoodAfterTheSwitchFailsTheTry) {
  fixture.publish(fixture.release(1));
  fixture.run(1'500);
  ASSERT_EQ(fixture.phase(), "trying");
  fixture.disconnect();
  fixture.run(60'000);
  EXPECT_EQ(fixture.phase(), "trying");
  fixture.run(180'000);
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_EQ(fixture.running, 0u);
  fixture.connect();
  fixture.run(1'000);
  EXPECT_THAT(fixture.applied.back().reason, testing::HasSubstr("reachable just before the switch"));
}

TEST_F(MachineTest, ABrokerThatComesBackWithinTheGraceIsNoFailure) {
  fixture.publish(fixture.release(1));
  fixture.run(1'500);
  fixture.disconnect();
  fixture.run(60'000);
  fixture.connect();
  fixture.run(1'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST_F(MachineTest, ABrokerThatWasAwayBeforeTheSwitchIsNoFailure) {
  fixture.drop = [](const Effect& effect) { return std::holds_alternative<FinishStaging>(effect); };
  fixture.publish(fixture.release(1));
  fixture.settle();
  ASSERT_EQ(fixture.phase(), "staging");
  fixture.disconnect();
  fixture.drop = nullptr;
  fixture.staged[1] = fixture.opened[1].manifest;
  fixture.give(StagingDone{1});
  fixture.run(7'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST_F(MachineTest, AReleaseWithNothingNewIsNotBlamedForTheLink) {
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  auto two = fixture.release(2);
  two.artifacts = fixture.release(1).artifacts;
  two.containers = fixture.release(1).containers;
  fixture.publish(two);
  fixture.run(500);
  ASSERT_EQ(fixture.phase(), "trying");
  fixture.disconnect();
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- fetching --------------------------------------------------------------------------------------------

TEST_F(MachineTest, ADroppedLinkGoesOnWhereItWas) {
  fixture.serves = false;
  fixture.publish(fixture.release(1));
  fixture.settle();
  for (int i = 0; i < 6 && fixture.phase() == "fetching"; ++i) {
    fixture.fetches.back().window_bytes = 20'000;  // serve little, then drop the rest
    fixture.serve(fixture.fetches.back());
    fixture.settle();
    fixture.disconnect();
    fixture.connect();
    fixture.settle();
  }
  fixture.serves = true;
  fixture.disconnect();
  fixture.connect();
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.bytes_sent, 94'000u) << "half a chunk is continued, not sent again";
  EXPECT_EQ(fixture.applied.back().bytes_fetched, 94'000u);
}

TEST_F(MachineTest, AConnectionThatBeganWithTheFetchNeedsNoOther) {
  fixture.serves = false;
  fixture.publish(fixture.release(1));
  fixture.settle();
  EXPECT_TRUE(fixture.openings.empty());
  for (int i = 0; i < 3; ++i) {
    auto fetch = i == 0 ? fixture.fetches.back() : fixture.openings.back();
    fetch.window_bytes = 20'000;
    fixture.serve(fetch);
    fixture.settle();
    ASSERT_EQ(fixture.phase(), "fetching");
    const auto fetches = fixture.fetches.size();
    const auto openings = fixture.openings.size();
    fixture.disconnect();
    fixture.run(20'000);
    ASSERT_EQ(fixture.openings.size(), openings + 1) << "once, and no question while there is no link";
    EXPECT_TRUE(fixture.openings.back().pack.has_value());
    fixture.connect(true);
    EXPECT_EQ(fixture.fetches.size(), fetches) << "asked for already";
  }
  fixture.serves = true;
  fixture.disconnect();
  fixture.connect();
  EXPECT_GT(fixture.fetches.back().session, fixture.openings.back().session) << "this one did not begin with it";
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.bytes_sent, 94'000u);
}

TEST_F(MachineTest, SilenceIsAskedAboutAndThenOpensANewSessionWithWhatIsMissing) {
  fixture.serves = false;
  fixture.publish(fixture.release(1));
  fixture.run(14'000);
  ASSERT_EQ(fixture.fetches.size(), 1u);
  fixture.run(44'000);
  ASSERT_EQ(fixture.fetches.size(), 4u) << "three questions";
  for (const auto& fetch : fixture.fetches) EXPECT_EQ(fetch.session, fixture.fetches[0].session);
  EXPECT_FALSE(fixture.fetches[3].pack.has_value());
  fixture.run(4'000);
  ASSERT_EQ(fixture.fetches.size(), 5u);
  EXPECT_GT(fixture.fetches[4].session, fixture.fetches[0].session);
  EXPECT_LT(fixture.fetches[4].window_bytes, fixture.fetches[0].window_bytes);
  fixture.serves = true;
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST_F(MachineTest, PiecesOfAnOldSessionAreCountedButNotUsed) {
  fixture.serves = false;
  fixture.publish(fixture.release(1));
  fixture.settle();
  const auto first = fixture.fetches.back();
  fixture.disconnect();
  fixture.connect();
  fixture.settle();
  fixture.receive(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_chunk),
                  wire::encode(wire::ChunkPiece{first.session, 0, 0, Bytes(1'000, 7), wire::ChunkFault::none}));
  fixture.settle();
  EXPECT_EQ(fixture.view().bytes_fetched, 1'000u);
  EXPECT_TRUE(fixture.folders[1].begin()->second.empty());
}

TEST_F(MachineTest, ABrokenChunkIsFetchedAgainOnce) {
  fixture.corrupt = {2};
  const auto one = fixture.release(1);
  fixture.publish(one);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ((fixture.chunks_sent[{one.artifacts[0].packs[0].id, 2}]), 2);
  EXPECT_GT(fixture.applied.back().bytes_fetched, fixture.applied.back().bytes_planned);
}

TEST_F(MachineTest, AChunkThatIsBrokenTwiceFailsTheAttempt) {
  fixture.corrupt = {2, 2};
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  EXPECT_EQ(fixture.applied.back().step, Step::failed);
  EXPECT_EQ(fixture.applied.back().code, Code::corrupt);
  EXPECT_THAT(fixture.applied.back().reason, testing::HasSubstr("twice"));
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_EQ(fixture.running, 0u);
}

TEST_F(MachineTest, SeveralArtifactsAreFetchedOneAfterTheOther) {
  auto one = fixture.release(1);
  for (int i = 0; i < 3; ++i) {
    const auto name = "extra" + std::to_string(i);
    one.artifacts.push_back(artifact_of(name, {500, 600}, {70'000, 10}));
    auto container = one.containers.front();
    container.name = name;
    container.artifact = one.artifacts.back().id;
    one.containers.push_back(container);
  }
  fixture.publish(one);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.applied.back().bytes_planned, 94'000u + 3 * 71'110u);
  EXPECT_EQ(fixture.applied.back().bytes_fetched, fixture.applied.back().bytes_planned);
}

TEST_F(MachineTest, ADedupePackSaysTheExactBytesOnceItsHeadIsRead) {
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.applied.clear();
  auto two = fixture.release(2);
  two.artifacts = {artifact_of("r2", {1'000}, {40'000, 50'000, 3'000}, artifact::PackKind::dedupe)};
  two.containers.front().artifact = two.artifacts.front().id;
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_THAT(fixture.steps(),
              ElementsAre(Step::fetching, Step::fetching, Step::staging, Step::trying, Step::committed));
  EXPECT_EQ(fixture.applied[0].bytes_planned, 1'000u);
  EXPECT_EQ(fixture.applied[1].bytes_planned, 94'000u);
  EXPECT_EQ(fixture.applied[4].bytes_fetched, 94'000u);
  EXPECT_EQ(fixture.applied[4].pack_kind, artifact::PackKind::dedupe);
  EXPECT_EQ(fixture.applied[4].bytes_full, 1'000u + 4 * 93'000u);
}

TEST_F(MachineTest, AFaultOfTheBrokerIsWaitedOut) {
  fixture.serves = false;
  fixture.publish(fixture.release(1));
  fixture.settle();
  const auto session = fixture.fetches.back().session;
  fixture.receive(fixture.topics.device(fixture.facts.device, wire::TopicKind::device_chunk),
                  wire::encode(wire::ChunkPiece{session, 0, 0, {}, wire::ChunkFault::unknown_pack}));
  fixture.run(1'000);
  EXPECT_EQ(fixture.fetches.size(), 1u);
  fixture.serves = true;
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST_F(MachineTest, AChunkThatThePackDoesNotHaveFailsTheAttempt) {
  fixture.serves = false;
  fixture.publish(fixture.release(1));
  fixture.settle();
  fixture.receive(
      fixture.topics.device(fixture.facts.device, wire::TopicKind::device_chunk),
      wire::encode(wire::ChunkPiece{fixture.fetches.back().session, 0, 0, {}, wire::ChunkFault::out_of_range}));
  fixture.run(1'000);
  EXPECT_EQ(fixture.applied.back().step, Step::failed);
  EXPECT_EQ(fixture.applied.back().code, Code::malformed);
}

// --- space -----------------------------------------------------------------------------------------------

TEST_F(MachineTest, ADiskTooSmallIsRefusedBeforeTheFirstByte) {
  fixture.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  EXPECT_THAT(fixture.steps(), ElementsAre(Step::refused));
  EXPECT_EQ(fixture.applied.back().code, Code::no_space);
  EXPECT_EQ(fixture.applied.back().reason, "needs 2000 bytes, 1000 are free");
  EXPECT_EQ(fixture.bytes_sent, 0u);
  EXPECT_TRUE(fixture.folders.empty());
}

TEST_F(MachineTest, ThePreviousRevisionMakesRoomForTheNext) {
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.publish(fixture.release(2));
  fixture.run(10'000);
  fixture.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  fixture.publish(fixture.release(3));
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2") << "not without the owner's word";
  EXPECT_TRUE(fixture.staged.contains(1));
  EXPECT_THAT(fixture.applied.back().reason, testing::HasSubstr("previous_makes_room = yes"));

  fixture.facts.previous_makes_room = true;
  fixture.power_cut();
  fixture.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  fixture.publish(fixture.release(4));
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r4");
  EXPECT_FALSE(fixture.staged.contains(1));
}

TEST_F(MachineTest, AFailedStagingIsRetriedAsThePolicySays) {
  fixture.finish_fails = Error{Code::io, "flash says no"};
  auto one = fixture.release(1);
  one.policy.attempts_max = 2;
  one.policy.backoff_s = 5;
  fixture.publish(one);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.bytes_sent, 94'000u) << "what is durable stays for the next attempt";
}

}  // namespace
}  // namespace instar::revision

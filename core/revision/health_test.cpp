#include "core/revision/health.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::revision {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr MonotonicMs kHealthStart{100'000};

wire::Manifest manifest_of(std::vector<wire::Container> containers) {
  wire::Manifest manifest;
  manifest.containers = std::move(containers);
  return manifest;
}

wire::Container container_of(const std::string& name, std::uint32_t settle_ms, bool probed) {
  wire::Container container;
  container.name = name;
  container.health.settle_ms = settle_ms;
  if (probed) container.health.probe = wire::Probe{{"/bin/check"}, 2'000, 1'000, 3};
  return container;
}

const LinkBefore kAway{false, true, 60'000};
const LinkBefore kReachable{true, true, 60'000};

TEST(Health, PassesWhenTheSettleTimeIsOver) {
  HealthJudge judge(manifest_of({container_of("app", 5'000, false)}), kAway, kHealthStart);
  EXPECT_EQ(judge.next_deadline(), kHealthStart + 5'000);
  EXPECT_FALSE(judge.verdict(true, kHealthStart + 4'999).has_value());
  const auto verdict = judge.verdict(true, kHealthStart + 5'000);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_TRUE(verdict->passed);
}

TEST(Health, WaitsForTheSlowestContainer) {
  HealthJudge judge(manifest_of({container_of("a", 1'000, false), container_of("b", 9'000, false)}), kAway,
                    kHealthStart);
  EXPECT_FALSE(judge.verdict(true, kHealthStart + 8'999).has_value());
  EXPECT_TRUE(judge.verdict(true, kHealthStart + 9'000).has_value());
}

TEST(Health, AStoppedContainerFailsAtOnce) {
  HealthJudge judge(manifest_of({container_of("app", 5'000, false)}), kAway, kHealthStart);
  judge.container_stopped("app", "exit 7");
  const auto verdict = judge.verdict(true, kHealthStart + 1);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_FALSE(verdict->passed);
  EXPECT_THAT(verdict->reason, HasSubstr("exit 7"));
}

TEST(Health, ProbesComeAtTheirIntervalOneAtATime) {
  HealthJudge judge(manifest_of({container_of("app", 5'000, true)}), kAway, kHealthStart);
  EXPECT_TRUE(judge.probes_due(kHealthStart + 999).empty());
  EXPECT_THAT(judge.probes_due(kHealthStart + 1'000), ElementsAre("app"));
  EXPECT_TRUE(judge.probes_due(kHealthStart + 3'000).empty()) << "one is running";
  judge.probe_ended("app", true, "", kHealthStart + 3'100);
  EXPECT_TRUE(judge.probes_due(kHealthStart + 4'000).empty());
  EXPECT_THAT(judge.probes_due(kHealthStart + 4'100), ElementsAre("app"));
}

TEST(Health, ItTakesThreeFailuresInARow) {
  HealthJudge judge(manifest_of({container_of("app", 60'000, true)}), kAway, kHealthStart);
  auto now = kHealthStart;
  const auto probe = [&](bool passed) {
    now = now + 1'000;
    ASSERT_EQ(judge.probes_due(now).size(), 1u);
    judge.probe_ended("app", passed, passed ? "" : "exit 1", now);
  };
  probe(false);
  probe(false);
  probe(true);
  probe(false);
  probe(false);
  EXPECT_FALSE(judge.verdict(true, now).has_value());
  probe(false);
  const auto verdict = judge.verdict(true, now);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_FALSE(verdict->passed);
  EXPECT_THAT(verdict->reason, HasSubstr("failed 3 times in a row: exit 1"));
}

TEST(Health, DoesNotPassWhileTheLastProbeFailed) {
  HealthJudge judge(manifest_of({container_of("app", 1'500, true)}), kAway, kHealthStart);
  ASSERT_EQ(judge.probes_due(kHealthStart + 1'000).size(), 1u);
  judge.probe_ended("app", false, "exit 1", kHealthStart + 1'100);
  EXPECT_FALSE(judge.verdict(true, kHealthStart + 2'000).has_value());
  ASSERT_EQ(judge.probes_due(kHealthStart + 2'100).size(), 1u);
  judge.probe_ended("app", true, "", kHealthStart + 2'200);
  EXPECT_TRUE(judge.verdict(true, kHealthStart + 2'200)->passed);
}

TEST(Health, DoesNotPassBeforeTheFirstProbePassed) {
  HealthJudge judge(manifest_of({container_of("app", 100, true)}), kAway, kHealthStart);
  EXPECT_FALSE(judge.verdict(true, kHealthStart + 900).has_value());
}

TEST(Health, AProbeWithoutAnAnswerCountsAsFailed) {
  HealthJudge judge(manifest_of({container_of("app", 1'000, true)}), kAway, kHealthStart);
  auto now = kHealthStart + 1'000;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(judge.probes_due(now).size(), 1u);
    now = now + 12'000;
    EXPECT_TRUE(judge.probes_due(now).empty());
    now = now + 1'000;
  }
  const auto verdict = judge.verdict(true, now);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_THAT(verdict->reason, HasSubstr("no answer"));
}

TEST(Health, AnAnswerThatNobodyWaitsForIsIgnored) {
  HealthJudge judge(manifest_of({container_of("app", 1'000, true)}), kAway, kHealthStart);
  judge.probe_ended("app", true, "", kHealthStart + 10);
  judge.probe_ended("other", true, "", kHealthStart + 10);
  EXPECT_FALSE(judge.verdict(true, kHealthStart + 1'000).has_value());
}

// --- rule 8 ------------------------------------------------------------------------------------------------

TEST(HealthAndTheLink, ABrokerAwayBeforeTheSwitchNeverFailsATry) {
  HealthJudge judge(manifest_of({container_of("app", 1'000, false)}), kAway, kHealthStart);
  const auto verdict = judge.verdict(false, kHealthStart + 1'000);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_TRUE(verdict->passed);
  EXPECT_THAT(verdict->reason, HasSubstr("away before the switch"));
}

TEST(HealthAndTheLink, ABrokerLostSinceTheSwitchFailsItAfterTheGrace) {
  HealthJudge judge(manifest_of({container_of("app", 1'000, false)}), kReachable, kHealthStart);
  EXPECT_FALSE(judge.verdict(false, kHealthStart + 1'000).has_value());
  EXPECT_EQ(judge.next_deadline(), kHealthStart + 61'000);
  EXPECT_FALSE(judge.verdict(false, kHealthStart + 60'999).has_value());
  const auto verdict = judge.verdict(false, kHealthStart + 61'000);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_FALSE(verdict->passed);
}

TEST(HealthAndTheLink, ABrokerThatIsBackInTimePasses) {
  HealthJudge judge(manifest_of({container_of("app", 1'000, false)}), kReachable, kHealthStart);
  EXPECT_FALSE(judge.verdict(false, kHealthStart + 1'000).has_value());
  EXPECT_TRUE(judge.verdict(true, kHealthStart + 60'000)->passed);
}

TEST(HealthAndTheLink, OnlyTheEndOfSettleCounts) {
  HealthJudge judge(manifest_of({container_of("app", 10'000, false)}), kReachable, kHealthStart);
  EXPECT_FALSE(judge.verdict(false, kHealthStart + 2'000).has_value());
  EXPECT_FALSE(judge.verdict(false, kHealthStart + 9'000).has_value());
  EXPECT_TRUE(judge.verdict(true, kHealthStart + 10'000)->passed);
}

TEST(HealthAndTheLink, AReleaseThatChangesNothingIsNotTheCause) {
  HealthJudge judge(manifest_of({container_of("app", 1'000, false)}), LinkBefore{true, false, 60'000}, kHealthStart);
  EXPECT_TRUE(judge.verdict(false, kHealthStart + 1'000)->passed);
}

}  // namespace
}  // namespace instar::revision

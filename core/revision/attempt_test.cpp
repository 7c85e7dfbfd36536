#include "core/revision/attempt.hpp"

#include <gtest/gtest.h>

#include "core/revision/testing/machine_fixture.hpp"
#include "core/revision/testing/outbox_fixture.hpp"

namespace instar::revision {
namespace {

constexpr MonotonicMs kAttemptStart{1'000};

class AttemptTest : public testing::Test {
 protected:
  void begin(const History& history = History({})) {
    attempt.begin(OutboxFixture::hash_of(manifest), manifest, {{artifact().id, artifact().packs.front().id}}, 3,
                  history);
    attempt.assert_invariants();
  }
  [[nodiscard]] wire::Artifact& artifact() { return manifest.artifacts.front(); }

  wire::Manifest manifest = OutboxFixture::release(2);
  Attempt attempt{{}};
};

TEST_F(AttemptTest, NumbersGoOnAfterThoseOfAnEarlierTime) {
  History history({});
  begin(history);
  EXPECT_EQ(attempt.number(), 1U);
  history.record({OutboxFixture::hash_of(manifest), 2, 4, 0, wire::Step::failed, Code::corrupt});
  begin(history);
  EXPECT_EQ(attempt.number(), 5U);
  EXPECT_EQ(attempt.state().first, 5U);
  EXPECT_EQ(attempt.state().retry_epoch, 3U);
  EXPECT_EQ(attempt.state().bytes_full, 94'000U);
}

TEST_F(AttemptTest, AttemptsAreCountedFromTheFirstOfThisTime) {
  manifest.policy.attempts_max = 2;
  begin();
  EXPECT_TRUE(attempt.attempts_left(manifest.policy));
  attempt.next();
  EXPECT_FALSE(attempt.attempts_left(manifest.policy));
  manifest.policy.attempts_max = 0;
  begin();
  EXPECT_FALSE(attempt.attempts_left(manifest.policy)) << "one at least";
}

TEST_F(AttemptTest, WhatWasFetchedBeforeCountsAgainstTheBudget) {
  begin();
  EXPECT_EQ(attempt.plan({900, 900, true}, 1'000), Attempt::Planned::news);
  static_cast<void>(attempt.count(600));
  attempt.next();
  EXPECT_TRUE(attempt.had_earlier_bytes());
  EXPECT_EQ(attempt.plan({900, 900, true}, 1'000), Attempt::Planned::over_budget);
  EXPECT_EQ(attempt.over_budget_reason({900, 900, true}, 1'000),
            "this takes 900 bytes after 600 of earlier attempts, the release's budget for a device is 1000");
  EXPECT_EQ(attempt.plan({400, 400, true}, 1'000), Attempt::Planned::news);
}

TEST_F(AttemptTest, APlanIsSaidOnceAndAgainWhenItIsExactAndAnother) {
  begin();
  EXPECT_EQ(attempt.plan({5'000, 900, false}, 0), Attempt::Planned::news);
  EXPECT_EQ(attempt.plan_reason(false), "an estimate, until the head of the pack is there");
  EXPECT_EQ(attempt.plan({6'000, 900, false}, 0), Attempt::Planned::known);
  EXPECT_EQ(attempt.plan({4'000, 4'000, true}, 0), Attempt::Planned::news);
  EXPECT_EQ(attempt.plan({3'000, 3'000, true}, 0), Attempt::Planned::known);
  EXPECT_EQ(attempt.state().bytes_planned, 4'000U);
  EXPECT_EQ(attempt.bytes_fetched(), 1'000U) << "what a power cut left uncounted is durable";
  begin();
  EXPECT_EQ(attempt.plan({5'000, 900, false}, 0), Attempt::Planned::news);
  EXPECT_EQ(attempt.plan({5'000, 5'000, true}, 0), Attempt::Planned::noted) << "as it was said";
}

TEST_F(AttemptTest, AFallbackIsPlannedOnTopOfWhatWasSpent) {
  begin();
  EXPECT_EQ(attempt.plan({500, 500, true}, 0), Attempt::Planned::news);
  static_cast<void>(attempt.count(500));
  attempt.fall_back_to(0, artifact().packs.front(), false, "etc/motd was changed", manifest);
  EXPECT_FALSE(attempt.is_announced());
  EXPECT_EQ(attempt.plan({200, 200, true}, 0), Attempt::Planned::news);
  EXPECT_EQ(attempt.state().bytes_planned, 700U);
  EXPECT_EQ(attempt.plan_reason(true), "etc/motd was changed, 200 bytes more");
}

TEST_F(AttemptTest, BytesAreToBePersistedNowAndThen) {
  begin();
  EXPECT_FALSE(attempt.count(1024 * 1024 - 1));
  EXPECT_TRUE(attempt.has_uncounted());
  EXPECT_TRUE(attempt.count(1));
  attempt.note_persisted();
  EXPECT_FALSE(attempt.has_uncounted());
  EXPECT_FALSE(attempt.count(1));
}

TEST_F(AttemptTest, APauseIsDueUntilTheNextAttemptBegins) {
  attempt.pause_until(kAttemptStart + 500);
  EXPECT_EQ(attempt.next_deadline(), kAttemptStart + 500);
  attempt.tick(kAttemptStart + 499);
  EXPECT_FALSE(attempt.is_retry_due());
  attempt.tick(kAttemptStart + 500);
  EXPECT_TRUE(attempt.is_retry_due());
  EXPECT_FALSE(attempt.next_deadline().has_value());
  attempt.assert_invariants();
  attempt.end_pause();
  EXPECT_FALSE(attempt.is_retry_due());
}

TEST_F(AttemptTest, AReportCarriesItsCounts) {
  begin();
  EXPECT_EQ(attempt.plan({500, 500, true}, 0), Attempt::Planned::news);
  static_cast<void>(attempt.count(20));
  const auto report = attempt.report(OutboxFixture::record_of(4, manifest), wire::Step::fetching, Code::ok, "because");
  EXPECT_EQ(report.rollout, OutboxFixture::hash_of(manifest));
  EXPECT_EQ(report.attempt, 1U);
  EXPECT_EQ(report.bytes_planned, 500U);
  EXPECT_EQ(report.bytes_fetched, 20U);
  EXPECT_EQ(report.bytes_full, 94'000U);
  EXPECT_EQ(report.reason, "because");
}

}  // namespace
}  // namespace instar::revision

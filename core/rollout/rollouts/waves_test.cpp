#include "core/rollout/rollouts/waves.hpp"

#include <gtest/gtest.h>

namespace instar::rollout {
namespace {

class JudgeWaveTest : public testing::Test {
 protected:
  JudgeWaveTest() {
    policy.waves = {wire::Wave{.share_bp = 1'000}, wire::Wave{.share_bp = 10'000}};
    policy.silent_s = 100;
    tally.devices = 10;
    tally.waves.resize(2);
    tally.named_unknown.resize(2);
    tally.waves[0].admitted = tally.waves[0].committed = 4;
  }
  [[nodiscard]] Judgement judge(WaveTimes times = {}) const { return judge_wave(policy, record, tally, times); }
  wire::Policy policy;
  RolloutRecord record;
  Tally tally;
};

TEST_F(JudgeWaveTest, AllHaveCommitted) {
  EXPECT_TRUE(judge().holds);
  EXPECT_EQ(judge().wait, Wait::nothing);
}

TEST_F(JudgeWaveTest, WithoutADeviceNothingIsProved) {
  tally.devices = 0;
  EXPECT_EQ(judge().wait, Wait::devices);
}

TEST_F(JudgeWaveTest, WhereNobodyWasKnownALatecomersProofIsWaitedFor) {
  tally.waves[0] = {};
  EXPECT_EQ(judge().wait, Wait::devices);
  const WaveTimes silent{.open_ms = 100'000, .settled_ms = 0};
  EXPECT_TRUE(judge(silent).holds) << "nobody is there, and nobody comes";
  tally.waves[0].late = 1;
  EXPECT_EQ(judge(silent).wait, Wait::devices) << "it has fetched nothing, so it does not count";
  tally.waves[0] = {.admitted = 1, .in_flight = 1};
  EXPECT_EQ(judge(silent).wait, Wait::success);
  tally.waves[0].committed = 1;
  EXPECT_TRUE(judge(silent).holds);
}

TEST_F(JudgeWaveTest, WhereNobodyWasKnownALaterWaveWaitsForItsLatecomersAsLongAsForSilentOnes) {
  policy.waves = {wire::Wave{.share_bp = 1'000}, wire::Wave{.share_bp = 2'000}, wire::Wave{.share_bp = 10'000}};
  tally.waves.resize(3);
  tally.named_unknown.resize(3);
  record.wave = 1;
  tally.waves[1].late = tally.late_not_ended = 3;
  EXPECT_EQ(judge().wait, Wait::success);
  EXPECT_EQ(judge().needed, 7U);
  EXPECT_TRUE(judge({.open_ms = 100'000, .settled_ms = 0}).holds);
  tally.known = 1;
  EXPECT_TRUE(judge().holds) << "there are others to go by";
}

TEST_F(JudgeWaveTest, NamedDevicesThatNobodyKnowsAreSilentOnes) {
  tally.named_unknown[0] = 1;
  EXPECT_EQ(judge().wait, Wait::success);
  EXPECT_EQ(judge().sums.unseen, 1U);
  EXPECT_EQ(judge({.open_ms = 100'000, .settled_ms = 0}).wait, Wait::nothing) << "not waited for any more";
  tally.named_unknown[0] = 5;
  EXPECT_EQ(judge({.open_ms = 100'000, .settled_ms = 0}).wait, Wait::quorum) << "four of nine are not half";
}

TEST_F(JudgeWaveTest, AllHaveEndedAndTooFewHaveCommitted) {
  tally.waves[0].committed = 3;
  tally.waves[0].failed = 1;
  EXPECT_EQ(judge().wait, Wait::stuck);
  tally.waves[0].failed = 0;
  tally.waves[0].retrying = 1;
  EXPECT_EQ(judge().wait, Wait::success);
}

TEST_F(JudgeWaveTest, ThenTheSoakThenTheApproval) {
  policy.waves[0].soak_s = 60;
  policy.waves[0].approval = true;
  EXPECT_EQ(judge().wait, Wait::soak);
  EXPECT_EQ(judge().left_ms, 60'000);
  record.settled = {1};
  EXPECT_EQ(judge({.open_ms = 0, .settled_ms = 59'000}).left_ms, 1'000);
  EXPECT_EQ(judge({.open_ms = 0, .settled_ms = 60'000}).wait, Wait::approval);
  record.approved = 1;
  EXPECT_EQ(judge({.open_ms = 0, .settled_ms = 60'000}).wait, Wait::nothing);
}

}  // namespace
}  // namespace instar::rollout

// The broker's wall clock, and that of whoever signs: ahead, behind, in doubt, and put right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/rollout/testing/tracker_fixture.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kYearsMs = 20LL * 365 * 24 * kHourMs;

class ClockTest : public testing::Test {
 protected:
  void fleet(std::initializer_list<const char*> names) {
    for (const auto* name : names) ASSERT_TRUE(fixture.hello(hello(name)).has_value());
  }
  // Two devices by name and a soak of 100 s, then everyone.
  [[nodiscard]] wire::Manifest by_name() const {
    auto out = manifest(1);
    out.policy.waves = {wire::Wave{.devices = {"a", "b"}, .soak_s = 100}, wire::Wave{.share_bp = 10'000}};
    out.policy.silent_s = 600;
    out.issued = kNow.wall;
    return out;
  }
  void set_back_to(WallMs wall) {
    fixture.now.wall = wall + -1'000;
    fixture.pass(1);
  }
  [[nodiscard]] std::vector<wire::Gate> gates() const {
    std::vector<wire::Gate> out;
    for (const auto& send : fixture.all<SendGate>()) out.push_back(send.gate);
    return out;
  }
  [[nodiscard]] const RolloutRecord& record() const { return fixture.tracker.rollout(hash(1))->record; }
  TrackerFixture fixture;
};

TEST_F(ClockTest, AReleaseThatIsDatedAheadWaitsForItsTime) {
  fleet({"a"});
  auto release = manifest(1);
  release.issued = kNow.wall + kHourMs;
  ASSERT_TRUE(fixture.take(release).has_value());
  EXPECT_THAT(gates(), IsEmpty());
  EXPECT_THAT(fixture.waits(1), HasSubstr("60 min ahead of the broker's clock"));
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
  EXPECT_EQ(fixture.tracker.charge(id("a"), hash(1).prefix64(), pack(), 1), Charge::not_offered);
  fixture.restart();
  const auto wait_s = (kHourMs - limits::kGateClockMsMax) / 1'000;
  fixture.pass(wait_s - 10, 10);
  EXPECT_THAT(gates(), IsEmpty());
  fixture.pass(10, 10);
  ASSERT_THAT(gates(), SizeIs(1));
  EXPECT_TRUE(wire::check_gate(release, gates()[0]).has_value());
  EXPECT_EQ(gates()[0].fresh, fixture.now.wall);
  EXPECT_EQ(fixture.waits(1), "");
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 1U);
}

TEST_F(ClockTest, OnePausedMeanwhileOpensWhenItIsResumed) {
  auto release = manifest(1);
  release.issued = kNow.wall + kHourMs;
  ASSERT_TRUE(fixture.take(release).has_value());
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  fixture.pass(3'600, 100);
  EXPECT_THAT(gates(), IsEmpty());
  ASSERT_TRUE(fixture.act(1, Action::resume).has_value());
  EXPECT_THAT(gates(), SizeIs(1));
}

TEST_F(ClockTest, NothingLastsOfAClockThatWasAhead) {
  fleet({"a", "b"});
  fixture.now.wall = fixture.now.wall + kYearsMs;
  ASSERT_TRUE(fixture.take(by_name()).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  fixture.pass(100);
  ASSERT_EQ(record().wave, 1U);
  const auto issue = record().issue;
  const auto right = kNow.wall + kHourMs;
  set_back_to(right);
  ASSERT_THAT(gates(), SizeIs(1));
  EXPECT_TRUE(wire::check_gate(by_name(), gates()[0]).has_value());
  EXPECT_GT(gates()[0].issue, issue);
  EXPECT_EQ(gates()[0].fresh, right);
  for (const auto& time : {record().wave_opened[0], record().wave_opened[1], record().started, record().updated})
    EXPECT_LE(time, right);
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 2U) << "who was known before counts as before";
  fixture.pass(10);
  EXPECT_THAT(gates(), IsEmpty()) << "once is enough";
}

TEST_F(ClockTest, AnEarlierProcessClockIsPutRightAtTheStart) {
  fixture.now.wall = fixture.now.wall + kYearsMs;
  ASSERT_TRUE(fixture.take(by_name()).has_value());
  fixture.now.wall = kNow.wall + kHourMs;
  fixture.restart();
  fixture.pass(1);
  ASSERT_THAT(gates(), SizeIs(1));
  EXPECT_LE(gates()[0].wave_opened[0], gates()[0].fresh);
}

TEST_F(ClockTest, ADeviceThatCameWhenTheClockWasAheadIsKnownAfterwards) {
  fixture.now.wall = fixture.now.wall + kYearsMs;
  fleet({"a"});
  set_back_to(kNow.wall + kHourMs);
  EXPECT_EQ(fixture.tracker.device(id("a"))->record.first_seen, fixture.now.wall);
  fixture.pass(1);
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 1U);
}

TEST_F(ClockTest, WhoCameWhenTheClockWasAheadCountsInTheWavesThatOpenedThen) {
  fixture.now.wall = fixture.now.wall + kYearsMs;
  fleet({"a", "b"});
  fixture.now.wall = fixture.now.wall + 5'000;
  ASSERT_TRUE(fixture.take(by_name()).has_value());
  ASSERT_EQ(fixture.rollout(1).waves[0].admitted, 2U);
  set_back_to(kNow.wall + kHourMs);
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 2U);
  fixture.pass(200);
  EXPECT_EQ(record().wave, 0U) << "none of them has committed";
  fixture.restart();
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 2U) << "that is stored";
}

TEST_F(ClockTest, AStrangerDoesNotGainWeightByASetBackClock) {
  fleet({"a"});
  fixture.now.wall = fixture.now.wall + kYearsMs;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  fixture.now.wall = fixture.now.wall + 5'000;
  fleet({"stranger"});
  EXPECT_EQ(fixture.rollout(1).waves[0].late, 1U);
  set_back_to(kNow.wall + kHourMs);
  EXPECT_EQ(fixture.rollout(1).waves[0].late, 1U);
  EXPECT_EQ(fixture.rollout(1).waves[0].admitted, 1U);
}

TEST_F(ClockTest, OneThatCameInTheFirstWaveDoesNotEitherThoughThatOpensWithTheNextNow) {
  fleet({"a", "b", "c"});
  fixture.now.wall = fixture.now.wall + kYearsMs;
  auto release = by_name();
  release.policy.waves[0].soak_s = 0;
  ASSERT_TRUE(fixture.take(release).has_value());
  fixture.now.wall = fixture.now.wall + 5'000;
  fleet({"stranger"});
  fixture.now.wall = fixture.now.wall + 5'000;
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  ASSERT_EQ(record().wave, 1U);
  set_back_to(kNow.wall + kHourMs);
  ASSERT_EQ(record().wave_opened[0], record().wave_opened[1]);
  EXPECT_EQ(fixture.rollout(1).waves[1].late, 1U);
  EXPECT_EQ(fixture.rollout(1).waves[1].admitted, 1U) << "c";
  fixture.restart();
  EXPECT_EQ(fixture.rollout(1).waves[1].late, 1U);
}

TEST_F(ClockTest, WhatFailsAfterTheClockWasSetBackMayTryAgain) {
  fleet({"a"});
  fixture.now.wall = fixture.now.wall + kYearsMs;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("a", 1, Step::rolled_back).has_value());
  ASSERT_TRUE(fixture.retry(1).has_value());
  set_back_to(kNow.wall + kHourMs);
  fixture.pass(10);
  ASSERT_TRUE(fixture.report_step("a", 1, Step::rolled_back, 2).has_value());
  ASSERT_TRUE(fixture.retry(1).has_value());
  EXPECT_EQ(record().retry_epoch, 2U);
}

TEST_F(ClockTest, WhileItIsInDoubtNothingOpens) {
  fleet({"a", "b"});
  Effects shown;
  fixture.tracker.hold("it says 2046", shown);
  ASSERT_TRUE(fixture.take(by_name()).has_value());
  EXPECT_THAT(fixture.waits(1), StartsWith("the broker's clock, which is in doubt: it says 2046"));
  fixture.pass(1'000, 100);
  EXPECT_THAT(gates(), IsEmpty());
  fixture.tracker.hold("", shown);
  fixture.pass(1);
  ASSERT_THAT(gates(), SizeIs(1));
  ASSERT_TRUE(fixture.report_step("a", 1, Step::committed).has_value());
  ASSERT_TRUE(fixture.report_step("b", 1, Step::committed).has_value());
  fixture.tracker.hold("it says 2046", shown);
  EXPECT_EQ(shown.size(), 2U) << "one rollout, held and let go: nothing was there to show at first";
  fixture.pass(200);
  EXPECT_EQ(record().wave, 0U) << "its soak is over";
  EXPECT_THAT(gates(), IsEmpty());
  fixture.tracker.hold("", shown);
  fixture.pass(1);
  EXPECT_EQ(record().wave, 1U);
}

TEST_F(ClockTest, WhatAClockSignedThatWasAheadIsSignedAgainWhenItIsPutRight) {
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  fixture.now.wall = fixture.now.wall + kHourMs;
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  ASSERT_TRUE(fixture.act(1, Action::resume).has_value());
  ASSERT_GT(gates().back().fresh, kNow.wall + kHourMs / 2);
  fixture.pass(1);
  set_back_to(kNow.wall + 60'000);
  ASSERT_THAT(gates(), SizeIs(1)) << "though its wave opened before";
  EXPECT_EQ(gates()[0].fresh, fixture.now.wall);
  set_back_to(fixture.now.wall + -5'000);
  EXPECT_THAT(gates(), IsEmpty()) << "seconds do no harm";
}

TEST_F(ClockTest, AStopGoesOutInSpiteOfTheDoubtWithoutItsTime) {
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  const auto opened = record().wave_opened[0];
  Effects shown;
  fixture.tracker.hold("it says 2046", shown);
  fixture.now.wall = fixture.now.wall + kYearsMs;
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  ASSERT_THAT(gates(), SizeIs(1));
  EXPECT_EQ(gates()[0].state, wire::GateState::paused);
  EXPECT_EQ(gates()[0].fresh, opened);
  ASSERT_TRUE(fixture.act(1, Action::resume).has_value());
  EXPECT_THAT(gates(), IsEmpty()) << "this one has to wait";
  fixture.now.wall = opened;
  fixture.tracker.hold("", shown);
  fixture.pass(1);
  ASSERT_THAT(gates(), SizeIs(1));
  EXPECT_EQ(gates()[0].state, wire::GateState::open);
}

}  // namespace
}  // namespace instar::rollout

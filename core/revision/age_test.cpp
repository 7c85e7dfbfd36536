#include "core/revision/age.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::ClockState;

constexpr std::int64_t kOneHourMs = 3'600'000;

class AgeTest : public testing::Test {
 protected:
  AgeTest() {
    manifest.release = "2.0";
    manifest.issued = now + -kOneHourMs;
    gate.fresh = now;
    gate.wave_opened = {now};
    manifest.policy.waves.resize(2);
    manifest.policy.waves[0].soak_s = 60;
    time.set_root(now + -24 * kOneHourMs);
  }
  [[nodiscard]] std::string ahead(WallMs wall) const { return ahead_blocker(manifest, gate, time, wall).text(); }

  const WallMs now{1'700'000'000'000};
  wire::Manifest manifest;
  wire::Gate gate;
  TrustedTime time;
};

TEST_F(AgeTest, AReleaseExpires) {
  EXPECT_TRUE(check_age(manifest, time.judge(now), time).has_value()) << "never, when nothing is said";
  manifest.expires = now + 1;
  EXPECT_TRUE(check_age(manifest, time.judge(now), time).has_value());
  manifest.expires = now;
  const auto expired = check_age(manifest, time.judge(now), time);
  ASSERT_FALSE(expired.has_value());
  EXPECT_EQ(expired.error().code, Code::expired);
  EXPECT_EQ(expired.error().message,
            "release 2.0 expired on 2023-11-14 22:13 UTC; it is 2023-11-14 22:13 UTC by this device's own clock (not "
            "synchronized)");
  manifest.expires = {};
  manifest.policy.deadline = now;
  EXPECT_THAT(check_age(manifest, time.judge(now), time).error().message, HasSubstr("was to start before 2023-11-14"));
}

TEST_F(AgeTest, AGateAheadOfTheClockWaits) {
  EXPECT_EQ(ahead(now), "");
  gate.wave_opened = {now, now + limits::kGateClockMsMax};
  gate.wave = 1;
  EXPECT_EQ(ahead(now), "") << "clocks differ";
  gate.wave_opened.back() = now + 27 * 60'000;
  EXPECT_EQ(ahead(now),
            "waits: the gate says wave 2 opened at 2023-11-14 22:40 UTC, 27 min ahead of this device's clock");
  EXPECT_EQ(ms_ahead(manifest, gate, time, now), 17 * 60'000);
  EXPECT_EQ(ahead(now + 17 * 60'000), "");
  EXPECT_EQ(ms_ahead(manifest, gate, time, now + 17 * 60'000), std::nullopt);
}

TEST_F(AgeTest, WithoutASoakBeforeItAWaveMayOpenByAClockThatIsAhead) {
  gate.wave_opened = {now + 3 * kOneHourMs};
  EXPECT_EQ(ahead(now), "") << "the first wave";
  gate.wave = 1;
  gate.wave_opened = {now, now + 3 * kOneHourMs};
  EXPECT_NE(ahead(now), "");
  manifest.policy.waves[0].soak_s = 0;
  EXPECT_EQ(ahead(now), "");
}

TEST_F(AgeTest, TheWaitIsTheSameOneWhileItsTimeComesNearer) {
  gate.wave = 1;
  gate.wave_opened = {now, now + 60 * 60'000};
  const auto first = ahead_blocker(manifest, gate, time, now);
  const auto later = ahead_blocker(manifest, gate, time, now + 20 * 60'000);
  EXPECT_NE(first.text(), later.text());
  EXPECT_TRUE(later.is_said_by(first.text()));
  gate.wave_opened.back() = now + 61 * 60'000;
  EXPECT_FALSE(ahead_blocker(manifest, gate, time, now).is_said_by(first.text()));
}

TEST_F(AgeTest, AClockThatNobodyBelievesChecksNothing) {
  gate.wave = 1;
  gate.wave_opened = {now, now + 24 * kOneHourMs};
  gate.fresh = gate.wave_opened.back();
  EXPECT_NE(ahead(now), "");
  EXPECT_EQ(ahead(manifest.issued + -kOneHourMs), "") << "it stands behind the release";
  time.set_clock(ClockState::none);
  EXPECT_EQ(ahead(now), "");
}

TEST_F(AgeTest, WhenItWasSignedIsForClocksThatAreKept) {
  gate.fresh = now + 11 * 60'000;
  EXPECT_EQ(ahead(now), "");
  time.set_clock(ClockState::synchronized);
  EXPECT_EQ(ahead(now),
            "waits: the gate says it was signed at 2023-11-14 22:24 UTC, 11 min ahead of this device's clock");
  EXPECT_EQ(ms_ahead(manifest, gate, time, now), 60'000);
}

TEST_F(AgeTest, AStaleGateIsWaitedForOnlyWhereThePolicySaysSo) {
  const auto stale = [&](WallMs wall) { return stale_blocker(manifest, gate, time, wall).text(); };
  const auto year = now + std::int64_t{365} * 24 * kOneHourMs;
  EXPECT_EQ(stale(year), "") << "a device that was away for a year";
  manifest.policy.stale_after_s = 30 * 86'400;
  EXPECT_EQ(stale(now + 30 * 24 * kOneHourMs), "");
  EXPECT_THAT(stale(year), HasSubstr("365 days ago, and its release takes none of over 30 days"));
  time.set_clock(ClockState::none);
  EXPECT_EQ(stale(year), "");
}

TEST_F(AgeTest, AnExpiredRootDocumentWaits) {
  trust::RootDocument root;
  root.version = 3;
  EXPECT_TRUE(root_blocker(root, time, now).empty());
  root.expires = now + 1;
  EXPECT_TRUE(root_blocker(root, time, now).empty());
  root.expires = now;
  EXPECT_THAT(root_blocker(root, time, now).text(),
              HasSubstr("root document 3 expired on 2023-11-14 22:13 UTC: publish a new version; it is"));
}

}  // namespace
}  // namespace instar::revision

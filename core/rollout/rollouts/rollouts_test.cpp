// The rollouts' side by itself: counts and manifests go in; waves, gates, turns and ends come out.
#include "core/rollout/rollouts/rollouts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/limits.hpp"
#include "core/rollout/testing/fake_fleet.hpp"
#include "core/rollout/testing/messages.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class RolloutsTest : public testing::Test {
 protected:
  void TearDown() override { rollouts.assert_invariants(); }
  Status take(const wire::Manifest& message) {
    const auto taken = rollouts.take_manifest(hash(message.sequence), message, {}, "ann", fleet, now, effects);
    if (!taken.has_value()) return tl::unexpected(taken.error());
    return {};
  }
  // A tenth first, then everyone.
  static wire::Manifest two_waves(std::uint64_t sequence = 1) {
    auto out = manifest(sequence);
    out.policy.waves = {wire::Wave{.share_bp = 1'000}, wire::Wave{.share_bp = 10'000}};
    return out;
  }
  // Ten devices; of the first wave's two, so many have committed and failed.
  void count(std::uint64_t committed, std::uint64_t failed = 0, std::uint64_t recovered = 0) {
    CountChange change;
    change.rollout = hash(1);
    change.recovered = recovered;
    auto& tally = change.tally;
    tally.devices = 10;
    tally.committed = committed;
    tally.failed = failed;
    tally.all_ended = false;
    tally.waves.resize(rollouts.find(hash(1))->tally().waves.size());
    tally.named_unknown.resize(tally.waves.size());
    tally.waves[0] = {.admitted = 2, .committed = committed, .failed = failed, .waiting = 2 - committed - failed};
    rollouts.take_counts({change}, effects);
    rollouts.advance(hash(1), fleet, now, effects);
  }
  [[nodiscard]] std::vector<wire::Gate> gates() const {
    std::vector<wire::Gate> out;
    for (const auto& effect : effects) {
      if (const auto* gate = std::get_if<SendGate>(&effect)) out.push_back(gate->gate);
    }
    return out;
  }
  [[nodiscard]] const Rollout& first() const { return *rollouts.find(hash(1)); }
  Rollouts rollouts;
  FakeFleet fleet;
  Now now = kNow;
  Effects effects;
};

TEST_F(RolloutsTest, AManifestIsOfferedThenItsFirstWaveOpens) {
  ASSERT_TRUE(take(two_waves()).has_value());
  ASSERT_THAT(fleet.offered, SizeIs(2));
  EXPECT_THAT(fleet.offered[0].wave_limits, IsEmpty());
  EXPECT_THAT(fleet.offered[1].wave_limits, SizeIs(1));
  EXPECT_THAT(gates(), SizeIs(1));
}

TEST_F(RolloutsTest, CountsAloneOpenTheNextWave) {
  ASSERT_TRUE(take(two_waves()).has_value());
  count(1);
  EXPECT_EQ(first().record().wave, 0U);
  EXPECT_EQ(first().waiting_for(now, ""), "more commits: 1 of 2 devices have committed, 2 are needed (success 100 %)");
  effects.clear();
  count(2);
  EXPECT_EQ(first().record().wave, 1U);
  ASSERT_THAT(gates(), SizeIs(1));
  EXPECT_EQ(gates()[0].admitted_point, wire::kPointsEnd);
  EXPECT_EQ(fleet.offered.back().wave_limits.back(), wire::kPointsEnd);
}

TEST_F(RolloutsTest, AWaveByCountGoesAsFarAsTheFleetSays) {
  auto release = manifest(1);
  release.policy.waves = {wire::Wave{.device_count = 7}, wire::Wave{.share_bp = 10'000}};
  fleet.point = 123'456;
  ASSERT_TRUE(take(release).has_value());
  EXPECT_THAT(first().record().wave_limits, ElementsAre(123'456U));
}

TEST_F(RolloutsTest, TurnsAreGivenUpToTheBoundAndRepeatedBeyondIt) {
  auto release = manifest(1);
  release.policy.in_flight_max = 3;
  ASSERT_TRUE(take(release).has_value());
  fleet.in_flight_count = 2;
  fleet.requests = {{id("repeated"), 1, true}, {id("a"), 1, false}, {id("b"), 1, false}};
  rollouts.give_turns(hash(1), fleet, now, effects);
  EXPECT_THAT(fleet.turns_given, ElementsAre(id("repeated"), id("a")));
}

TEST_F(RolloutsTest, StartsAreSavedWhereTheyAreBounded) {
  auto release = manifest(1);
  release.policy.starts_per_minute_max = 1;
  ASSERT_TRUE(take(release).has_value());
  fleet.requests = {{id("a"), 1, false}, {id("b"), 1, false}};
  rollouts.tick(fleet, now, effects);
  EXPECT_THAT(fleet.turns_given, ElementsAre(id("a")));
  EXPECT_EQ(first().record().starts, 1U);
  now.monotonic = now.monotonic + 60'000;
  rollouts.tick(fleet, now, effects);
  EXPECT_THAT(fleet.turns_given, ElementsAre(id("a"), id("b")));
}

TEST_F(RolloutsTest, ARecoveredDeviceIsNoLongerForgiven) {
  auto release = two_waves();
  release.policy.failures_max = 1;
  ASSERT_TRUE(take(release).has_value());
  count(0, 1);
  EXPECT_EQ(first().state_name(), "paused");
  ASSERT_TRUE(rollouts.act(hash(1), Action::resume, "ann", fleet, now, effects).has_value());
  EXPECT_EQ(first().record().forgiven, 1U);
  count(0, 0, 1);
  EXPECT_EQ(first().record().forgiven, 0U);
  EXPECT_EQ(first().state_name(), "active");
  count(0, 1);
  EXPECT_EQ(first().state_name(), "paused");
}

TEST_F(RolloutsTest, AnAbortedRolloutIsOfferedAsOneThatHasStopped) {
  ASSERT_TRUE(take(manifest(1)).has_value());
  ASSERT_TRUE(rollouts.act(hash(1), Action::abort, "ann", fleet, now, effects).has_value());
  EXPECT_FALSE(fleet.offered.back().goes_on);
}

TEST_F(RolloutsTest, WhatAnOfferChangesInOtherRolloutsReachesThem) {
  ASSERT_TRUE(take(manifest(1)).has_value());
  CountChange change;
  change.rollout = hash(1);
  change.tally = first().tally();
  change.tally.devices = 5;
  fleet.changes_of_offer = {change};
  ASSERT_TRUE(take(manifest(2)).has_value());
  EXPECT_EQ(first().tally().devices, 5U);
  change.tally.devices = 6;
  fleet.changes_of_offer = {change};
  ASSERT_TRUE(rollouts.act(hash(2), Action::abort, "ann", fleet, now, effects).has_value());
  EXPECT_EQ(first().tally().devices, 6U);
}

TEST_F(RolloutsTest, RetryAsksHowManyHaveFailed) {
  ASSERT_TRUE(take(manifest(1)).has_value());
  effects.clear();
  ASSERT_TRUE(rollouts.retry(hash(1), "ann", fleet, now, effects).has_value());
  EXPECT_THAT(effects, IsEmpty());
  fleet.failed = 2;
  ASSERT_TRUE(rollouts.retry(hash(1), "ann", fleet, now, effects).has_value());
  EXPECT_EQ(gates().at(0).retry_epoch, 1U);
}

TEST_F(RolloutsTest, BytesWaitForALeaseThatIsSavedFirst) {
  auto release = manifest(1);
  release.policy.rollout_bytes_max = 1'000'000;
  release.policy.device_bytes_max = 500;
  ASSERT_TRUE(take(release).has_value());
  EXPECT_EQ(rollouts.charge(hash(1), 0, 100), Charge::wait) << "the lease is on its way to the store";
  rollouts.lease_saved(hash(1), first().record().bytes_leased);
  EXPECT_EQ(rollouts.charge(hash(1), 0, 100), Charge::ok);
  EXPECT_EQ(rollouts.charge(hash(1), 450, 100), Charge::device_spent);
  EXPECT_FALSE(rollouts.is_urgent());
}

TEST_F(RolloutsTest, OldRolloutsAreArchivedByTheirSums) {
  fleet.counts_of_archive.devices = 4;
  for (std::uint64_t i = 1; i <= limits::kRolloutsWithMembersMax + 1; ++i) ASSERT_TRUE(take(manifest(i)).has_value());
  EXPECT_THAT(fleet.archived, ElementsAre(hash(1)));
  EXPECT_EQ(first().record().archived->devices, 4U);
}

}  // namespace
}  // namespace instar::rollout

#include "core/wire/placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

using testing::HasSubstr;

DeviceId device(int number) {
  return DeviceId::parse("device-" + std::to_string(number)).value();
}

Wave by_share(std::uint16_t share_bp, std::uint32_t soak_s = 0) {
  Wave wave;
  wave.share_bp = share_bp;
  wave.soak_s = soak_s;
  return wave;
}

Wave by_count(std::uint32_t count) {
  Wave wave;
  wave.device_count = count;
  return wave;
}

Wave by_name(std::vector<std::string> devices) {
  Wave wave;
  wave.devices = std::move(devices);
  return wave;
}

Policy policy_of(std::vector<Wave> waves) {
  Policy policy;
  policy.waves = std::move(waves);
  return policy;
}

TEST(Placement, IsFixedForADeviceAndASalt) {
  // BLAKE2b-256("salt" ‖ "gw-01"), computed by another implementation.
  EXPECT_EQ(placement_point(as_bytes("salt"), examples::device()), 3010511131u);
  EXPECT_EQ(placement_point({}, examples::device()), 2188508673u);
}

TEST(Placement, SpreadsDevicesEvenly) {
  std::vector<int> tenths(10);
  for (int i = 0; i < 10'000; ++i) ++tenths[share_of_point(placement_point(as_bytes("s"), device(i))) / 1'000U];
  for (const int count : tenths) EXPECT_NEAR(count, 1'000, 150);
}

TEST(Placement, SharesAreConvertedToPointsAndBack) {
  EXPECT_EQ(point_of_share(0), 0U);
  EXPECT_EQ(point_of_share(10'000), kPointsEnd);
  for (int share = 0; share <= 10'000; ++share) {
    EXPECT_EQ(share_of_point(point_of_share(static_cast<std::uint16_t>(share))), share);
  }
}

TEST(Waves, APolicyWithoutWavesHasOneWithEveryone) {
  const Policy policy;
  EXPECT_EQ(wave_count(policy), 1U);
  EXPECT_EQ(wave_of(policy, 0).share_bp, 10'000);
  EXPECT_EQ(point_max(policy, 0), kPointsEnd);
  EXPECT_TRUE(check_waves(policy).has_value());
}

TEST(Waves, PolicyBoundsEachWavesLimit) {
  const auto policy =
      policy_of({by_name({"device-1"}), by_share(100), by_count(50), by_share(1'000), by_share(10'000)});
  ASSERT_TRUE(check_waves(policy).has_value());
  EXPECT_EQ(point_max(policy, 0), 0U);
  EXPECT_EQ(point_max(policy, 1), point_of_share(100));
  EXPECT_EQ(point_max(policy, 2), point_of_share(1'000));
  EXPECT_EQ(point_max(policy, 3), point_of_share(1'000));
  EXPECT_EQ(point_max(policy, 4), kPointsEnd);
}

TEST(Waves, ADeviceBelongsToTheFirstThatAdmitsIt) {
  const auto policy = policy_of({by_name({"device-1"}), by_share(5'000), by_share(10'000)});
  const std::vector<std::uint64_t> limits{0, point_of_share(5'000)};
  EXPECT_EQ(first_wave(policy, limits, device(1), 0xffffffff), 0U);
  EXPECT_EQ(first_wave(policy, limits, device(2), 5), 1U);
  EXPECT_EQ(first_wave(policy, limits, device(2), 0xffffffff), std::nullopt);
  EXPECT_TRUE(is_named(policy, 2, device(1)));
  EXPECT_FALSE(is_named(policy, 2, device(2)));
}

TEST(Waves, RulesOfAPolicy) {
  const auto says = [](std::vector<Wave> waves) {
    const auto status = check_waves(policy_of(std::move(waves)));
    return status.has_value() ? std::string("ok") : status.error().message;
  };
  auto both = by_share(10'000);
  both.device_count = 3;
  EXPECT_THAT(says({both}), HasSubstr("wave 1 must have one of"));
  EXPECT_THAT(says({by_share(100), by_share(100), by_share(10'000)}), HasSubstr("wave 2 has share_bp 100"));
  EXPECT_THAT(says({by_count(9), by_count(5), by_share(10'000)}), HasSubstr("wave 2 has device_count 5"));
  EXPECT_THAT(says({by_share(100)}), HasSubstr("the last wave must have share_bp 10000"));
  auto approved = by_share(10'000);
  approved.approval = true;
  EXPECT_THAT(says({by_share(100), approved}), HasSubstr("no wave follows"));
  Policy revert;
  revert.budget_action = BudgetAction::revert;
  EXPECT_THAT(check_waves(revert).error().message, HasSubstr("revert_allowed"));
}

class GateRules : public testing::Test {
 protected:
  GateRules() {
    manifest_.policy = policy_of({by_share(100, 60), by_share(1'000, 30), by_share(10'000)});
    gate_.wave = 1;
    gate_.wave_opened = {{1'000'000}, {1'060'000}};
    gate_.fresh = {1'060'000};
    gate_.admitted_bp = 1'000;
    gate_.admitted_point = point_of_share(1'000);
  }
  [[nodiscard]] std::string verdict() const {
    const auto status = check_gate(manifest_, gate_);
    return status.has_value() ? "ok" : status.error().message;
  }
  Manifest manifest_;
  Gate gate_;
};

TEST_F(GateRules, AGateThatFollowsThePolicyIsAccepted) {
  EXPECT_EQ(verdict(), "ok");
  gate_.admitted_point = 17;  // the broker may admit fewer than allowed
  gate_.admitted_bp = 0;
  EXPECT_EQ(verdict(), "ok");
}

TEST_F(GateRules, ASoakIsNotCutShort) {
  gate_.wave_opened[1] = {1'059'999};
  EXPECT_THAT(verdict(), HasSubstr("opens wave 2 59 s after the one before"));
}

TEST_F(GateRules, AWaveIsNotSkipped) {
  gate_.wave_opened = {{1'000'000}};
  EXPECT_THAT(verdict(), HasSubstr("skips a wave"));
  gate_.wave = 3;
  EXPECT_THAT(verdict(), HasSubstr("opens wave 4 of 3"));
}

TEST_F(GateRules, NoMoreAreAdmittedThanItsWaveAllows) {
  gate_.admitted_point = point_of_share(1'000) + 1;
  EXPECT_THAT(verdict(), HasSubstr("admits 1000 of 10000 devices in wave 2"));
  gate_.admitted_point = 0;
  gate_.admitted_bp = 1'001;
  EXPECT_THAT(verdict(), HasSubstr("admits 1001 of 10000 devices in wave 2, its policy 1000"));
}

TEST_F(GateRules, NothingIsOpenedInTheFuture) {
  gate_.fresh = {1'059'000};
  EXPECT_THAT(verdict(), HasSubstr("in the future"));
}

TEST_F(GateRules, NothingIsOpenedLongBeforeTheReleaseWasMade) {
  manifest_.issued = gate_.wave_opened.front() + limits::kGateClockMsMax;
  EXPECT_EQ(verdict(), "ok") << "clocks differ";
  manifest_.issued = manifest_.issued + 1;
  EXPECT_THAT(verdict(), HasSubstr("opened its first wave 10 min before the release was made"));
}

TEST_F(GateRules, WhatStopsARolloutIsObeyedWhateverItsTimes) {
  gate_.wave_opened = {{1'000'000}, {1'000'001}};
  gate_.fresh = {5};
  manifest_.issued = gate_.wave_opened.front() + 2 * limits::kGateClockMsMax;
  manifest_.policy.revert_allowed = true;
  EXPECT_NE(verdict(), "ok");
  for (const auto state : {GateState::paused, GateState::aborted, GateState::reverted}) {
    gate_.state = state;
    EXPECT_EQ(verdict(), "ok");
  }
}

TEST_F(GateRules, OnlyAManifestThatAllowsItIsReverted) {
  gate_.state = GateState::reverted;
  EXPECT_THAT(verdict(), HasSubstr("does not allow"));
  manifest_.policy.revert_allowed = true;
  EXPECT_EQ(verdict(), "ok");
}

TEST_F(GateRules, AdmitsNamedDevicesAndThoseBelowTheLimit) {
  const auto point = placement_point(manifest_.policy.salt, device(7));
  gate_.admitted_point = point;
  EXPECT_FALSE(admits(manifest_.policy, gate_, device(7)));
  gate_.admitted_point = std::uint64_t{point} + 1;
  EXPECT_TRUE(admits(manifest_.policy, gate_, device(7)));
  gate_.admitted_point = 0;
  gate_.admitted_bp = 10'000;
  EXPECT_TRUE(admits(manifest_.policy, gate_, device(7))) << "an older broker's gate";
  gate_.admitted_bp = 0;
  manifest_.policy.waves[0] = by_name({"device-7"});
  EXPECT_TRUE(admits(manifest_.policy, gate_, device(7)));
}

TEST(Turns, AreAskedForWhereStartsAreBoundedAndInWavesByCount) {
  Policy policy;
  EXPECT_FALSE(goes_by_turns(policy, 0));
  policy.waves = {by_share(100), by_count(5), by_share(10'000)};
  EXPECT_FALSE(goes_by_turns(policy, 0));
  EXPECT_TRUE(goes_by_turns(policy, 1));
  EXPECT_FALSE(goes_by_turns(policy, 2));
  EXPECT_FALSE(goes_by_turns(policy, 9));
  policy.starts_per_minute_max = 1;
  EXPECT_TRUE(goes_by_turns(policy, 2));
  policy.starts_per_minute_max = 0;
  policy.in_flight_max = 1;
  EXPECT_TRUE(goes_by_turns(policy, 0));
}

}  // namespace
}  // namespace instar::wire

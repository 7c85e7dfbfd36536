// How far a key reaches, at the broker: numbers are used up by product and group, and a root document that takes a key
// out ends what it has used up.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "core/base/limits.hpp"
#include "core/rollout/testing/tracker_fixture.hpp"

namespace instar::rollout {
namespace {

constexpr trust::KeyId kGood = 1;
constexpr trust::KeyId kLimited = 2;

class TrackerKeysTest : public testing::Test {
 protected:
  void SetUp() override {
    take_keys({{kGood, "#"}, {kLimited, "plant-7/#"}}, 1);
    hello("d", "plant-7/line-a", 0, 1);
  }
  void TearDown() override { tracker.assert_invariants(); }
  void take_keys(trust::ReleaseKeys keys, std::uint32_t since) {
    effects.clear();
    tracker.take_keys({std::move(keys), since}, effects);
  }
  void hello(std::string_view device, std::string_view where, std::uint64_t highest, std::uint32_t root_version) {
    auto message = rollout::hello(device, {group(where)});
    message.connect = ++connects;
    message.description.highest_sequence = highest;
    message.description.root_version = root_version;
    ASSERT_TRUE(tracker.hello(message, Via::own_connection, kNow, effects).has_value());
  }
  Status take(std::uint64_t sequence, std::string_view where, trust::KeyId signer) {
    auto taken =
        tracker.take_manifest(hash(sequence), manifest(sequence, {group(where)}), {signer}, "ann", kNow, effects);
    if (!taken.has_value()) return tl::unexpected(std::move(taken.error()));
    return {};
  }
  [[nodiscard]] std::uint64_t next(std::string_view where) const {
    return tracker.next_sequence("gateway-2", {group(where)}).sequence;
  }
  [[nodiscard]] std::optional<ManifestId> target() const { return tracker.device(id("d"))->target; }

  Tracker tracker;
  Effects effects;
  std::uint32_t connects = 0;
};

TEST_F(TrackerKeysTest, OnePlantsNumbersAreNoBarToAnother) {
  ASSERT_TRUE(take(900'000, "plant-7", kLimited).has_value());
  EXPECT_EQ(take(3, "plant-7", kGood).error().code, Code::stale);
  EXPECT_TRUE(take(3, "plant-9", kGood).has_value());
  EXPECT_EQ(next("plant-7"), 900'001U);
  EXPECT_EQ(next("plant-9"), 4U);
  EXPECT_EQ(take(3 + limits::kSequenceStepMax + 1, "plant-9", kGood).error().code, Code::refused);
}

TEST_F(TrackerKeysTest, ARolloutOfAKeyThatIsGoneIsNobodysTargetAndNoBar) {
  ASSERT_TRUE(take(5, "plant-7", kGood).has_value());
  ASSERT_TRUE(take(900'000, "plant-7", kLimited).has_value());
  ASSERT_EQ(target(), hash(900'000));
  hello("d", "plant-7/line-a", 900'000, 1);
  take_keys({{kGood, "#"}}, 2);
  EXPECT_EQ(target(), hash(5));
  EXPECT_EQ(next("plant-7"), 6U) << "what the device obeyed under the root document before counts no more";
  EXPECT_TRUE(take(6, "plant-7", kGood).has_value());
  EXPECT_EQ(target(), hash(6));
}

TEST_F(TrackerKeysTest, AKeyThatReachesLessThanItDidIsAsGoneForTheOthers) {
  ASSERT_TRUE(take(800'000, "plant-7", kLimited).has_value());
  take_keys({{kGood, "#"}, {kLimited, "plant-7/line-b"}}, 2);
  EXPECT_EQ(target(), std::nullopt);
  EXPECT_TRUE(take(1, "plant-7", kGood).has_value());
}

TEST_F(TrackerKeysTest, WhatAKeyThatIsGoneHadReplacedComesBack) {
  ASSERT_TRUE(take(5, "plant-7", kGood).has_value());
  ASSERT_TRUE(take(6, "plant-7", kLimited).has_value());
  take_keys({{kGood, "#"}}, 2);
  effects.clear();
  tracker.withdraw_unsigned(kNow, effects);
  std::vector<ManifestId> offered;
  for (const auto& effect : effects) {
    EXPECT_FALSE(std::holds_alternative<ClearManifest>(effect)) << "its place is taken again";
    if (const auto* offer = std::get_if<OfferManifest>(&effect)) offered.push_back(offer->rollout);
  }
  EXPECT_EQ(offered, std::vector{hash(5)});
}

TEST_F(TrackerKeysTest, WhatAKeyThatIsGoneHasSignedIsWithdrawnAndEnds) {
  const auto cleared = [&] {
    std::vector<std::string> groups;
    for (const auto& effect : effects) {
      if (const auto* clear = std::get_if<ClearManifest>(&effect)) groups.push_back(clear->audience.group.str());
    }
    return groups;
  };
  const auto events = [&] {
    return std::ranges::count_if(effects, [](const Effect& one) { return std::holds_alternative<SaveEvent>(one); });
  };
  ASSERT_TRUE(take(5, "plant-7", kLimited).has_value());
  ASSERT_TRUE(take(6, "plant-9", kGood).has_value());
  effects.clear();
  tracker.withdraw_unsigned(kNow, effects);
  EXPECT_TRUE(effects.empty()) << "all keys are in force";
  take_keys({{kGood, "#"}}, 2);
  tracker.withdraw_unsigned(kNow, effects);
  EXPECT_EQ(cleared(), std::vector<std::string>{"plant-7"});
  EXPECT_EQ(events(), 1);
  EXPECT_EQ(tracker.rollout(hash(5))->state_name(), "aborted");
  EXPECT_NE(tracker.rollout(hash(5))->record.cause, "");
  EXPECT_EQ(tracker.rollout(hash(6))->state_name(), "active");
  effects.clear();
  tracker.withdraw_unsigned(kNow, effects);
  EXPECT_EQ(cleared(), std::vector<std::string>{"plant-7"}) << "at each start: it may not have been said yet";
  EXPECT_EQ(events(), 0);
}

TEST_F(TrackerKeysTest, WhatDevicesHaveObeyedRaisesTheNextOne) {
  hello("d", "plant-7/line-a", 40, 1);
  hello("e", "plant-7/line-a", 41, 1);
  hello("f", "plant-9", 99, 1);
  EXPECT_EQ(next("plant-7"), 42U);
  EXPECT_EQ(next("plant-7/line-b"), 1U);
}

}  // namespace
}  // namespace instar::rollout

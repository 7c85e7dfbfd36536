#include "core/rollout/rollouts/supersession.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

class SupersessionTest : public testing::Test {
 protected:
  void add(std::uint64_t sequence, std::vector<GroupPath> groups, bool offered = true) {
    auto& record = records_.emplace_back();
    record.sequence = sequence;
    record.groups = std::move(groups);
    contenders_.push_back({hash(sequence), &record, offered});
  }
  // By which one it is taken over; 0: by none.
  [[nodiscard]] std::uint64_t taken_over_by(std::uint64_t sequence) const {
    const auto all = superseded(contenders_);
    const auto found = all.find(hash(sequence));
    for (std::uint64_t i = 1; found != all.end() && i < 10; ++i) {
      if (found->second == hash(i)) return i;
    }
    return 0;
  }

 private:
  std::deque<RolloutRecord> records_;
  std::vector<Contender> contenders_;
};

TEST_F(SupersessionTest, TheNewestOfAGroupTakesOverAllBeforeIt) {
  for (std::uint64_t i = 1; i <= 3; ++i) add(i, {group("plant-7")});
  EXPECT_EQ(taken_over_by(1), 3U);
  EXPECT_EQ(taken_over_by(2), 3U);
  EXPECT_EQ(taken_over_by(3), 0U);
}

TEST_F(SupersessionTest, OnlyInAllOfItsGroups) {
  add(1, {group("plant-7"), group("plant-8")});
  add(2, {group("plant-7")});
  EXPECT_EQ(taken_over_by(1), 0U);
  add(3, {group("plant-8")});
  EXPECT_EQ(taken_over_by(1), 3U) << "by two of them together";
}

TEST_F(SupersessionTest, AGroupAboveTakesOverThoseBelowAndNotTheOtherWayRound) {
  add(1, {group("plant-7/line-a")});
  add(2, {group("plant-7")});
  add(3, {group("plant-7/line-b")});
  EXPECT_EQ(taken_over_by(1), 2U);
  EXPECT_EQ(taken_over_by(2), 0U);
}

TEST_F(SupersessionTest, OfTwoGroupsTheLowerSequenceNeverTakesOver) {
  add(5, {group("plant-7/line-a")});
  add(2, {group("plant-7")});
  EXPECT_EQ(taken_over_by(5), 0U) << "its devices have obeyed more";
}

TEST_F(SupersessionTest, WhatDevicesDoNotTakeTakesNothingOver) {
  add(1, {group("plant-7")});
  add(2, {group("plant-7")}, false);
  EXPECT_EQ(taken_over_by(1), 0U);
  EXPECT_EQ(taken_over_by(2), 0U);
}

}  // namespace
}  // namespace instar::rollout

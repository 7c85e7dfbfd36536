#include "core/rollout/devices/turn_queue.hpp"

#include <gtest/gtest.h>

#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

MemberRecord asking(std::uint64_t place) {
  MemberRecord record;
  record.attempt = 1;
  record.asks = place;
  return record;
}

MemberRecord granted(Step step) {
  MemberRecord record;
  record.step = step;
  record.attempt = record.granted = 1;
  return record;
}

TEST(TurnQueue, TheOrderIsThatOfAsking) {
  TurnQueue queue;
  queue.update(id("late"), nullptr, asking(7));
  queue.update(id("early"), nullptr, asking(3));
  EXPECT_EQ(queue.first_asking(), id("early"));
  const auto before = asking(3);
  queue.update(id("early"), &before, granted(Step::waiting));
  EXPECT_EQ(queue.first_asking(), id("late"));
  EXPECT_TRUE(queue.in_flight().contains(id("early")));
  queue.assert_invariants();
}

TEST(TurnQueue, AMemberThatHasEndedIsNoLongerInFlight) {
  TurnQueue queue;
  const auto before = granted(Step::trying);
  queue.update(id("d"), nullptr, before);
  EXPECT_EQ(queue.in_flight().size(), 1U);
  queue.update(id("d"), &before, granted(Step::committed));
  EXPECT_TRUE(queue.in_flight().empty());
}

TEST(TurnQueue, ATurnIsRepeatedOnceHoweverOftenTheDeviceAsks) {
  TurnQueue queue;
  queue.repeat(id("d"));
  queue.repeat(id("d"));
  EXPECT_EQ(queue.first_to_repeat(), id("d"));
  queue.drop_repeat();
  EXPECT_EQ(queue.first_to_repeat(), std::nullopt);
}

TEST(TurnQueue, WhoIsRemovedAsksNoMore) {
  TurnQueue queue;
  queue.update(id("d"), nullptr, asking(1));
  queue.remove(id("d"), asking(1));
  EXPECT_EQ(queue.first_asking(), std::nullopt);
  EXPECT_EQ(queue.asking(), 0U);
}

}  // namespace
}  // namespace instar::rollout

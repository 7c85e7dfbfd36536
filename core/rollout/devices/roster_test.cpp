#include "core/rollout/devices/roster.hpp"

#include <gtest/gtest.h>

#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

class RosterTest : public testing::Test {
 protected:
  void TearDown() override { roster.assert_invariants(); }
  Device& say(const wire::Hello& message) { return roster.describe(message, kNow, effects); }
  Roster roster;
  Effects effects;
};

TEST_F(RosterTest, PinsTheKeyOfTheFirstHello) {
  ASSERT_TRUE(roster.check(hello("d"), Via::own_connection).has_value());
  say(hello("d"));
  EXPECT_EQ(effects.size(), 1U) << "a note that it is new";
  auto other = hello("d");
  other.key = wire::examples::key(7).public_key();
  EXPECT_EQ(roster.check(other, Via::own_connection).error().code, Code::untrusted_key);
}

TEST_F(RosterTest, OverABridgeAnOlderHelloIsStale) {
  auto newer = hello("d");
  newer.boot = 5;
  say(newer);
  EXPECT_EQ(roster.check(hello("d"), Via::bridge).error().code, Code::stale);
  EXPECT_TRUE(roster.check(hello("d"), Via::own_connection).has_value());
}

TEST_F(RosterTest, ALateHelloDoesNotUndoWhatRuns) {
  auto message = hello("d");
  message.last_sequence = message.acked_sequence = 3;
  message.description.running = wire::RevisionInfo{"gateway-2", "r1", 1, hash(1), {}};
  say(message);
  auto late = hello("d");
  late.last_sequence = 2;
  EXPECT_EQ(say(late).record.description.running, message.description.running);
  EXPECT_EQ(say(late).record.applied_sequence, 3U);
}

TEST_F(RosterTest, CountsWhoIsConnected) {
  auto& device = say(hello("d"));
  say(hello("e"));
  EXPECT_EQ(roster.online_count(), 2U);
  EXPECT_FALSE(roster.connect(device)) << "it was connected already";
  roster.disconnect(device, kNow);
  roster.disconnect(device, kNow);
  EXPECT_EQ(roster.online_count(), 1U);
  EXPECT_FALSE(roster.is_online(id("d")));
  roster.erase(id("e"));
  EXPECT_EQ(roster.online_count(), 0U);
}

TEST_F(RosterTest, ALoginBringsSoManyDevicesAndNoMoreUntilTheyTakePart) {
  roster.bound_newcomers(2);
  roster.describe(hello("d"), kNow, effects, "shared");
  auto& second = roster.describe(hello("e"), kNow, effects, "shared");
  EXPECT_EQ(roster.check(hello("f"), Origin(Via::own_connection, "shared")).error().code, Code::unavailable);
  EXPECT_TRUE(roster.check(hello("e"), Origin(Via::own_connection, "shared")).has_value()) << "it is known";
  EXPECT_TRUE(roster.check(hello("f"), Origin(Via::own_connection, "other")).has_value());
  roster.note_part(second);
  roster.note_part(second);
  EXPECT_TRUE(roster.check(hello("f"), Origin(Via::own_connection, "shared")).has_value());
  roster.erase(id("e"));
  EXPECT_EQ(roster.newcomers().count("shared"), 1U);
  roster.erase(id("d"));
  EXPECT_EQ(roster.newcomers().count("shared"), 0U);
}

TEST_F(RosterTest, WhatWasStoredCountsAgain) {
  DeviceRecord record;
  record.login = "shared";
  roster.load(id("d"), record);
  record.took_part = true;
  roster.load(id("e"), record);
  EXPECT_EQ(roster.newcomers().count("shared"), 1U);
}

}  // namespace
}  // namespace instar::rollout

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
  ASSERT_TRUE(roster.check(hello("d"), Via::own_connection, kNow.wall).has_value());
  say(hello("d"));
  EXPECT_EQ(effects.size(), 1U) << "a note that it is new";
  auto other = hello("d");
  other.key = wire::examples::key(7).public_key();
  EXPECT_EQ(roster.check(other, Via::own_connection, kNow.wall).error().code, Code::untrusted_key);
}

TEST_F(RosterTest, AnotherKeyIsRememberedUntilItIsTakenIn) {
  say(hello("d"));
  auto other = hello("d");
  other.key = wire::examples::key(7).public_key();
  roster.note_other_key(hello("d"), kNow.wall);
  EXPECT_EQ(roster.find(id("d"))->other_key_at, WallMs{}) << "its own is no other";
  roster.note_other_key(other, kNow.wall);
  EXPECT_EQ(roster.find(id("d"))->other_key, other.key.id());
  EXPECT_EQ(roster.find(id("d"))->other_key_at, kNow.wall);
  roster.await_key(id("d"), *roster.find(id("d")), other.key.id(), kNow.wall, effects);
  EXPECT_EQ(say(other).other_key_at, WallMs{});
}

TEST_F(RosterTest, AHelloThatIsNotLaterIsStaleOnEveryPath) {
  auto last = hello("d");
  last.boot = 5;
  last.connect = 3;
  last.instance = 77;
  say(last);
  EXPECT_TRUE(roster.is_repeated(last)) << "delivered twice";
  auto later = last;
  for (const auto via : {Via::bridge, Via::own_connection}) {
    EXPECT_EQ(roster.check(last, via, kNow.wall).error().code, Code::stale);
    EXPECT_EQ(roster.check(hello("d"), via, kNow.wall).error().code, Code::stale) << "recorded before";
    later = last;
    later.connect = 4;
    EXPECT_TRUE(roster.check(later, via, kNow.wall).has_value());
    later.boot = 6;
    later.connect = 1;
    EXPECT_TRUE(roster.check(later, via, kNow.wall).has_value());
  }
  auto other = last;
  other.instance = 78;
  EXPECT_FALSE(roster.is_repeated(other)) << "of another device under this name";
}

TEST_F(RosterTest, AStartThatComesBackIsAClone) {
  auto message = hello("d");
  const auto say_as = [&](std::uint64_t instance) -> const DeviceRecord& {
    message.instance = instance;
    ++message.boot;
    ++message.connect;
    return say(message).record;
  };
  say_as(1);
  EXPECT_EQ(say_as(2).cloned, WallMs{}) << "the client was started again";
  EXPECT_EQ(say_as(3).cloned, WallMs{});
  EXPECT_EQ(say_as(1).cloned, kNow.wall) << "it was not gone";
  EXPECT_NE(std::get<Note>(effects.back()).text.find("cloned disk"), std::string::npos);
}

TEST_F(RosterTest, TwoInOneStartAreClones) {
  auto message = hello("d");
  message.boot = 1;
  message.instance = 1;
  say(message);
  auto other = message;
  other.instance = 2;
  EXPECT_FALSE(roster.note_stale(other, kNow, effects)) << "its state may have been lost in its very first start";
  message.boot = other.boot = 6;
  say(message);
  EXPECT_TRUE(roster.note_stale(other, kNow, effects));
  EXPECT_FALSE(roster.note_stale(other, kNow, effects)) << "it was said already";
  EXPECT_EQ(roster.find(id("d"))->record.cloned, kNow.wall);
}

TEST_F(RosterTest, OtherHardwareTakesThePlaceByItsOwnKey) {
  auto message = hello("d");
  message.boot = 9;
  message.last_sequence = message.acked_sequence = 3;
  message.description.running = wire::RevisionInfo{"gateway-2", "r1", 1, hash(1), {}};
  auto& device = say(message);
  const auto renewed_key = wire::examples::key(7).public_key();
  roster.await_key(id("d"), device, renewed_key.id(), kNow.wall, effects);
  EXPECT_FALSE(device.record.description.running.has_value());
  EXPECT_FALSE(device.record.pinned_key().has_value());
  EXPECT_EQ(roster.check(message, Via::own_connection, kNow.wall).error().code, Code::untrusted_key) << "taken back";
  auto renewed = hello("d");
  renewed.key = wire::examples::key(8).public_key();
  EXPECT_EQ(roster.check(renewed, Via::own_connection, kNow.wall).error().code, Code::untrusted_key) << "not that key";
  renewed.key = renewed_key;
  ASSERT_TRUE(roster.check(renewed, Via::own_connection, kNow.wall).has_value());
  EXPECT_EQ(say(renewed).record.pinned_key(), renewed_key);
  EXPECT_EQ(device.record.applied_sequence, 3U) << "its history goes on";
  EXPECT_FALSE(device.record.awaits_key);
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
  EXPECT_EQ(roster.check(hello("f"), Origin(Via::own_connection, "shared"), kNow.wall).error().code, Code::unavailable);
  auto again = hello("e");
  ++again.connect;
  EXPECT_TRUE(roster.check(again, Origin(Via::own_connection, "shared"), kNow.wall).has_value()) << "it is known";
  EXPECT_TRUE(roster.check(hello("f"), Origin(Via::own_connection, "other"), kNow.wall).has_value());
  roster.note_part(second);
  roster.note_part(second);
  EXPECT_TRUE(roster.check(hello("f"), Origin(Via::own_connection, "shared"), kNow.wall).has_value());
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

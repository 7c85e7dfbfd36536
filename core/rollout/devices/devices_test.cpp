// The devices' side by itself: terms and messages go in, counts come out.
#include "core/rollout/devices/devices.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/rollout/testing/messages.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class DevicesTest : public testing::Test {
 protected:
  void TearDown() override { devices.assert_invariants(); }
  static Terms terms(std::uint64_t sequence) {
    Terms out;
    out.product = "gateway-2";
    out.sequence = sequence;
    out.groups = {group("plant-7")};
    out.wave_limits = {wire::kPointsEnd};
    out.wave_opened = {kNow.wall};
    out.release = release_of(manifest(sequence));
    return out;
  }
  CountChanges offer(std::uint64_t sequence) { return devices.offer(hash(sequence), terms(sequence), effects); }
  CountChanges say(const wire::Hello& message) {
    EXPECT_TRUE(devices.hello(message, Via::own_connection, kNow, effects).has_value());
    return devices.take_changes();
  }
  CountChanges apply(const wire::Report& message) {
    EXPECT_TRUE(devices.report(message, kNow, effects).value());
    return devices.take_changes();
  }
  std::ptrdiff_t count(bool (*is_one)(const Effect&)) const { return std::ranges::count_if(effects, is_one); }
  Devices devices;
  Effects effects;
};

TEST_F(DevicesTest, AnOfferMakesMembersOfTheDevicesItCovers) {
  say(hello("a"));
  say(hello("elsewhere", {group("plant-8")}));
  const auto changes = offer(1);
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].rollout, hash(1));
  EXPECT_EQ(changes[0].tally.devices, 1U);
  EXPECT_EQ(changes[0].tally.waves[0].waiting, 1U);
}

TEST_F(DevicesTest, ANewerOfferTakesTheMembersThatHaveNotBegun) {
  say(hello("a"));
  say(hello("b"));
  offer(1);
  apply(report("b", 1, hash(1), Step::fetching));
  const auto changes = offer(2);
  ASSERT_THAT(changes, SizeIs(2)) << "both rollouts' counts have changed";
  EXPECT_EQ(devices.members(hash(1))->tally().devices, 1U);
  EXPECT_EQ(devices.members(hash(2))->tally().devices, 2U);
}

TEST_F(DevicesTest, AReportYieldsAbsoluteCountsAndSaysIfTheMemberRecovers) {
  say(hello("a"));
  offer(1);
  auto failed = report("a", 1, hash(1), Step::failed);
  failed.code = Code::unhealthy;
  auto changes = apply(failed);
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].tally.failed, 1U);
  EXPECT_EQ(changes[0].recovered, 0U);
  EXPECT_EQ(changes[0].updated, kNow.wall);
  changes = apply(report("a", 2, hash(1), Step::fetching, 2));
  EXPECT_EQ(changes[0].tally.failed, 0U);
  EXPECT_EQ(changes[0].recovered, 1U);
  EXPECT_THAT(devices.take_changes(), IsEmpty());
}

TEST_F(DevicesTest, AReportOutOfOrderChangesNothing) {
  say(hello("a"));
  offer(1);
  effects.clear();
  EXPECT_FALSE(devices.report(report("a", 2, hash(1), Step::fetching), kNow, effects).value());
  EXPECT_THAT(effects, IsEmpty());
  EXPECT_THAT(devices.take_changes(), IsEmpty());
}

TEST_F(DevicesTest, TurnsAreAskedForInOrderAndGivenByTheOtherSide) {
  offer(1);
  for (const auto* name : {"b", "a"}) {
    say(hello(name));
    auto asks = report(name, 1, hash(1), Step::waiting);
    asks.asks_start = true;
    apply(asks);
  }
  EXPECT_EQ(devices.in_flight(hash(1), 1'000, kNow.monotonic), 0U);
  const auto first = devices.next_request(hash(1), Latecomers::may_begin);
  ASSERT_EQ(first, (TurnRequest{id("b"), 1, false}));
  effects.clear();
  devices.give_turn(hash(1), *first, effects);
  EXPECT_EQ(count([](const Effect& effect) { return std::holds_alternative<SendAck>(effect); }), 1);
  EXPECT_EQ(devices.next_request(hash(1), Latecomers::may_begin), (TurnRequest{id("a"), 1, false}));
  EXPECT_EQ(devices.in_flight(hash(1), 1'000, kNow.monotonic), 1U);
  devices.gone(id("b"), kNow);
  EXPECT_EQ(devices.in_flight(hash(1), 1'000, kNow.monotonic + 1'000), 0U) << "silent for long";
}

TEST_F(DevicesTest, AnOpenedWaveAdmitsAnewAndOnlyWhoIsConnectedIsSeen) {
  say(hello("a"));
  say(hello("b"));
  auto first = terms(1);
  first.wave_limits = {};
  first.wave_opened = {};
  devices.offer(hash(1), first, effects);
  devices.gone(id("b"), kNow);
  const auto changes = offer(1);
  EXPECT_EQ(changes[0].tally.waves[0].admitted, 2U);
  EXPECT_EQ(changes[0].tally.waves[0].unseen, 1U);
  devices.is_there(id("b"));
  EXPECT_EQ(devices.take_changes()[0].tally.waves[0].unseen, 0U);
}

TEST_F(DevicesTest, AnArchivedRolloutKeepsNoMembersAndTakesNone) {
  say(hello("a"));
  offer(1);
  apply(report("a", 1, hash(1), Step::committed));
  effects.clear();
  EXPECT_EQ(devices.archive(hash(1), effects).at(Step::committed), 1U);
  EXPECT_EQ(count([](const Effect& effect) { return std::holds_alternative<RemoveMember>(effect); }), 1);
  EXPECT_EQ(devices.take_changes()[0].tally.devices, 0U);
  devices.load_member(hash(1), id("a"), MemberRecord{});
  EXPECT_EQ(devices.members(hash(1))->tally().devices, 0U);
}

TEST_F(DevicesTest, AWithdrawnRolloutIsNoTargetAnyMore) {
  say(hello("a"));
  offer(1);
  EXPECT_EQ(devices.roster().find(id("a"))->target, hash(1));
  devices.withdraw(hash(1), effects);
  EXPECT_EQ(devices.roster().find(id("a"))->target, std::nullopt);
  EXPECT_EQ(devices.members(hash(1)), nullptr);
}

TEST_F(DevicesTest, CountedBytesAreSavedWithTheDevice) {
  say(hello("a"));
  offer(1);
  devices.count_bytes(id("a"), hash(1), 700);
  devices.count_bytes(id("a"), std::nullopt, 50);
  EXPECT_EQ(devices.bytes_sent(hash(1), id("a")), 700U);
  EXPECT_EQ(devices.roster().find(id("a"))->record.bytes_sent, 750U);
  EXPECT_EQ(devices.unsaved_bytes(), 1U);
  effects.clear();
  devices.save_bytes(5, effects);
  EXPECT_EQ(count([](const Effect& effect) { return std::holds_alternative<SaveMember>(effect); }), 1);
  EXPECT_EQ(devices.unsaved_bytes(), 0U);
}

}  // namespace
}  // namespace instar::rollout

#include "core/rollout/devices/members.hpp"

#include <gtest/gtest.h>

#include "core/rollout/testing/messages.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

// Two devices by name, then everyone.
Terms canaries() {
  wire::Policy policy;
  policy.waves = {wire::Wave{.devices = {"a", "b"}}, wire::Wave{.share_bp = 10'000}};
  Terms out;
  auto release = std::make_shared<Release>();
  release->policy = policy;
  out.release = std::move(release);
  out.wave_limits = {0};
  out.wave_opened = {kNow.wall};
  return out;
}

MemberRecord at(Step step, std::uint32_t attempt = 1) {
  MemberRecord out;
  out.step = step;
  out.attempt = attempt;
  return out;
}

class MembersTest : public testing::Test {
 protected:
  void TearDown() override { members.assert_invariants(); }
  void set(std::string_view device, MemberRecord record) {
    members.set(terms, id(device), std::move(record), true, true, known_since);
  }
  Terms terms = canaries();
  WallMs known_since = kNow.wall;
  Members members{terms.policy()};
};

TEST_F(MembersTest, AreCountedInTheWaveThatAdmitsThem) {
  set("a", at(Step::fetching));
  set("c", at(Step::waiting));
  EXPECT_EQ(members.tally().devices, 2U);
  EXPECT_EQ(members.tally().waves[0].in_flight, 1U);
  EXPECT_EQ(members.tally().waves[1].admitted, 0U);
  set("a", at(Step::committed));
  EXPECT_EQ(members.tally().waves[0].in_flight, 0U);
  EXPECT_EQ(members.tally().waves[0].committed, 1U);
  terms.wave_limits = {0, wire::kPointsEnd};
  terms.wave_opened = {kNow.wall, kNow.wall};
  members.admit(terms, [](const DeviceId&) { return false; });
  EXPECT_EQ(members.tally().waves[1].admitted, 1U);
  EXPECT_EQ(members.tally().waves[1].unseen, 1U);
  EXPECT_TRUE(members.mark_seen(id("c")));
  EXPECT_FALSE(members.mark_seen(id("c"))) << "nothing new";
  EXPECT_EQ(members.tally().waves[1].unseen, 0U);
}

TEST_F(MembersTest, NamedDevicesThatAreNoMembersAreCounted) {
  EXPECT_EQ(members.tally().named_unknown, (std::vector<std::uint64_t>{2, 0}));
  set("a", at(Step::waiting));
  EXPECT_EQ(members.tally().named_unknown[0], 1U);
  members.remove(id("a"));
  EXPECT_EQ(members.tally().named_unknown[0], 2U);
}

TEST_F(MembersTest, WhoCameAfterTheFirstWaveHadOpenedMovesNoneUntilItIsServed) {
  set("c", at(Step::waiting));
  known_since = kNow.wall + 1'000;
  set("d", at(Step::failed));
  terms.wave_limits = {0, wire::kPointsEnd};
  terms.wave_opened = {kNow.wall, kNow.wall + 2'000};
  members.admit(terms, [](const DeviceId&) { return true; });
  EXPECT_EQ(members.tally().waves[1].admitted, 1U);
  EXPECT_EQ(members.tally().waves[1].late, 1U);
  EXPECT_EQ(members.tally().failed, 0U);
  EXPECT_TRUE(members.add_bytes(terms, id("d"), 1));
  EXPECT_FALSE(members.add_bytes(terms, id("d"), 1)) << "it counts already";
  EXPECT_EQ(members.tally().waves[1].late, 0U);
  EXPECT_EQ(members.tally().failed, 1U);
}

TEST_F(MembersTest, ALatecomerGoesWithTheNextWaveAndOnceServedCountsInTheFirstThatAdmitsIt) {
  known_since = kNow.wall + 1'000;
  set("a", at(Step::waiting));
  EXPECT_EQ(members.tally().waves[0].late, 1U);
  EXPECT_EQ(members.tally().named_unknown[0], 2U);
  terms.wave_limits = {0, wire::kPointsEnd};
  terms.wave_opened = {kNow.wall, kNow.wall + 2'000};
  members.admit(terms, [](const DeviceId&) { return true; });
  EXPECT_EQ(members.tally().waves[1].late, 1U);
  EXPECT_TRUE(members.add_bytes(terms, id("a"), 1));
  EXPECT_EQ(members.tally().waves[0].admitted, 1U) << "as it will be after a restart";
  EXPECT_EQ(members.tally().named_unknown[0], 1U);
}

TEST_F(MembersTest, AChangeCarriesTheLatestTimeOnce) {
  auto record = at(Step::waiting);
  record.updated = {500};
  set("a", record);
  record.updated = {400};
  set("b", record);
  members.note_recovered();
  const auto change = members.take_change(hash(1));
  EXPECT_EQ(change.updated, WallMs{500});
  EXPECT_EQ(change.recovered, 1U);
  EXPECT_EQ(members.take_change(hash(1)).updated, WallMs{});
  EXPECT_EQ(members.take_change(hash(1)).recovered, 0U);
}

TEST_F(MembersTest, ARepeatedTurnComesBeforeNewOnesUnlessTheDeviceHasMovedOn) {
  auto record = at(Step::waiting);
  record.granted = 1;
  set("a", record);
  members.repeat_turn(id("a"));
  record.granted = 0;
  record.asks = 4;
  set("c", record);
  EXPECT_EQ(members.next_request(Latecomers::may_begin), (TurnRequest{id("a"), 1, true}));
  record = at(Step::fetching);
  record.granted = 1;
  set("a", record);
  EXPECT_EQ(members.next_request(Latecomers::may_begin), (TurnRequest{id("c"), 1, false}));
}

TEST_F(MembersTest, ATurnHoldsForItsAttempt) {
  auto record = at(Step::waiting, 2);
  record.granted = 2;
  set("a", record);
  EXPECT_TRUE(members.has_turn(id("a"), 2));
  EXPECT_FALSE(members.has_turn(id("a"), 1));
  EXPECT_FALSE(members.has_turn(id("b"), 2));
}

TEST_F(MembersTest, FailuresAreCountedSinceATime) {
  auto record = at(Step::rolled_back);
  record.updated = {100};
  set("a", record);
  record.updated = {200};
  set("b", record);
  record.again = true;
  set("c", record);
  EXPECT_EQ(members.failed_since(std::nullopt), 2U) << "c tries again by itself";
  EXPECT_EQ(members.failed_since(WallMs{100}), 1U);
}

TEST_F(MembersTest, ThePointAfterSoManyLeavesSoManyBelow) {
  for (int i = 0; i < 50; ++i) set("d" + std::to_string(i), at(Step::waiting));
  EXPECT_EQ(members.point_after(50), std::nullopt);
  const auto point = members.point_after(7).value();
  std::size_t below = 0;
  for (const auto& [device, member] : members.all()) below += member.point < point ? 1 : 0;
  EXPECT_EQ(below, 7U);
}

TEST_F(MembersTest, ClearedTheyAddUpToNothing) {
  auto record = at(Step::waiting);
  record.asks = 1;
  set("a", record);
  members.clear();
  EXPECT_EQ(members.tally(), Members(terms.policy()).tally());
  EXPECT_EQ(members.next_request(Latecomers::may_begin), std::nullopt);
}

}  // namespace
}  // namespace instar::rollout

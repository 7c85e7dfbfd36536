// Products that share a group, and what comes back when a rollout that had taken another one's place has ended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/rollout/testing/tracker_fixture.hpp"

namespace instar::rollout {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

wire::Manifest of_product(std::string product, std::uint64_t sequence,
                          std::vector<GroupPath> groups = {group("plant-7")}) {
  auto out = manifest(sequence, std::move(groups));
  out.product = std::move(product);
  return out;
}

ManifestId current(const TrackerFixture& fixture, std::string_view where, std::string product = "gateway-2") {
  const auto found = fixture.tracker.current_rollouts().find({group(where), std::move(product)});
  return found == fixture.tracker.current_rollouts().end() ? ManifestId{} : found->second;
}

// The gates that a broker has retained after `effects`, if it had none before.
std::map<Audience, wire::Gate> retained(const Effects& effects) {
  std::map<Audience, wire::Gate> out;
  for (const auto& effect : effects) {
    if (const auto* gate = std::get_if<SendGate>(&effect)) out[{gate->gate.group, gate->gate.product}] = gate->gate;
  }
  return out;
}

// As a broker has them that has lost its retained messages.
std::map<Audience, wire::Gate> refreshed(TrackerFixture& fixture) {
  fixture.refresh_gates();
  return retained(fixture.effects);
}

std::vector<std::pair<std::string, ManifestId>> offered(const TrackerFixture& fixture) {
  std::vector<std::pair<std::string, ManifestId>> out;
  for (const auto& offer : fixture.all<OfferManifest>()) out.emplace_back(offer.audience.group.str(), offer.rollout);
  return out;
}

TEST(TrackerBack, ProductsOfOneGroupDoNotTakeEachOthersPlace) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(of_product("gateway-2", 1)).has_value());
  ASSERT_TRUE(fixture.take(of_product("gatway", 2)).has_value());
  EXPECT_EQ(current(fixture, "plant-7"), hash(1));
  EXPECT_EQ(current(fixture, "plant-7", "gatway"), hash(2));
  const auto gates = refreshed(fixture);
  EXPECT_THAT(gates, SizeIs(2));
  EXPECT_EQ(gates.at({group("plant-7"), "gateway-2"}).manifest, hash(1));
  ASSERT_TRUE(fixture.hello(hello("late")).has_value());
  EXPECT_EQ(fixture.count(1, Step::waiting), 1U);
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  EXPECT_THAT(offered(fixture), IsEmpty());
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
}

TEST(TrackerBack, ALevelBelowIsAnAudienceOfItsOwn) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(of_product("gateway-2", 1, {group("plant-7")})).has_value());
  ASSERT_TRUE(fixture.take(of_product("gateway-2", 2, {group("plant-7/line-a"), group("plant-9/a/b/c")})).has_value());
  EXPECT_EQ(current(fixture, "plant-7"), hash(1));
  EXPECT_EQ(current(fixture, "plant-7/line-a"), hash(2));
  EXPECT_EQ(current(fixture, "plant-9/a/b/c"), hash(2));
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  EXPECT_THAT(offered(fixture), IsEmpty()) << "nothing stood there before";
  EXPECT_EQ(current(fixture, "plant-7/line-a"), hash(2)) << "what has ended stays, so that devices hear of it";
  EXPECT_EQ(refreshed(fixture).at({group("plant-7/line-a"), "gateway-2"}).state, wire::GateState::aborted);
}

TEST(TrackerBack, AnAbortBringsTheReleaseBackThatHadStoodThere) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.take(manifest(2)).has_value());
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  EXPECT_THAT(offered(fixture), ElementsAre(std::pair{std::string("plant-7"), hash(1)}));
  const auto gates = fixture.all<SendGate>();
  ASSERT_THAT(gates, SizeIs(2));
  EXPECT_EQ(gates[0].gate.manifest, hash(2)) << "devices that are there hear of the end first";
  EXPECT_EQ(gates[0].gate.state, wire::GateState::aborted);
  EXPECT_EQ(gates[1].gate.manifest, hash(1));
  EXPECT_EQ(gates[1].gate.state, wire::GateState::open);
  EXPECT_EQ(current(fixture, "plant-7"), hash(1));
  EXPECT_EQ(fixture.count(1, Step::waiting), 1U);
  fixture.restart();
  EXPECT_EQ(current(fixture, "plant-7"), hash(1)) << "also after a restart";
  EXPECT_EQ(refreshed(fixture).at({group("plant-7"), "gateway-2"}).manifest, hash(1));
  ASSERT_TRUE(fixture.report_step("d", 1, Step::committed).has_value());
  EXPECT_EQ(fixture.rollout(1).state_name(), "complete");
  ASSERT_TRUE(fixture.take(manifest(3)).has_value());
  EXPECT_EQ(current(fixture, "plant-7"), hash(3));
}

TEST(TrackerBack, WhatHasEndedExpiredOrWentOnElsewhereIsPassedOver) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1, {group("plant-7"), group("plant-8")})).has_value());
  ASSERT_TRUE(fixture.take(manifest(2, {group("plant-8")})).has_value());
  auto expiring = manifest(3);
  expiring.expires = fixture.now.wall + 60'000;
  ASSERT_TRUE(fixture.take(expiring).has_value());
  ASSERT_TRUE(fixture.take(manifest(4)).has_value());
  ASSERT_TRUE(fixture.act(4, Action::abort).has_value());
  EXPECT_EQ(current(fixture, "plant-7"), hash(3));
  ASSERT_TRUE(fixture.take(manifest(5)).has_value());
  fixture.pass(61);
  ASSERT_TRUE(fixture.act(5, Action::abort).has_value());
  EXPECT_THAT(offered(fixture), ElementsAre(std::pair{std::string("plant-7"), hash(1)}));
  EXPECT_EQ(current(fixture, "plant-8"), hash(2)) << "where another one goes on it stays";
  EXPECT_EQ(retained(fixture.effects).at({group("plant-7"), "gateway-2"}).manifest, hash(1));
  ASSERT_TRUE(fixture.act(1, Action::abort).has_value());
  EXPECT_THAT(offered(fixture), ElementsAre(std::pair{std::string("plant-7"), hash(5)})) << "nothing is left";
  EXPECT_EQ(retained(fixture.effects).at({group("plant-7"), "gateway-2"}).state, wire::GateState::aborted);
}

TEST(TrackerBack, ASpentErrorBudgetBringsItBackToo) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto fragile = manifest(2);
  fragile.policy.failures_max = 1;
  fragile.policy.budget_action = wire::BudgetAction::abort;
  ASSERT_TRUE(fixture.take(fragile).has_value());
  ASSERT_TRUE(fixture.report_step("d", 2, Step::rolled_back).has_value());
  ASSERT_EQ(fixture.rollout(2).state_name(), "aborted");
  EXPECT_THAT(offered(fixture), ElementsAre(std::pair{std::string("plant-7"), hash(1)}));
  EXPECT_EQ(retained(fixture.effects).at({group("plant-7"), "gateway-2"}).manifest, hash(1));
}

TEST(TrackerBack, AnEndThatIsNotOnTheTopicAnyMoreIsHeardThereAndGivesWayAgain) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto second = manifest(2);
  second.policy.revert_allowed = true;
  ASSERT_TRUE(fixture.take(second).has_value());
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  ASSERT_EQ(current(fixture, "plant-7"), hash(1));
  ASSERT_TRUE(fixture.act(2, Action::revert).has_value());
  const auto gates = fixture.all<SendGate>();
  ASSERT_THAT(gates, SizeIs(2));
  EXPECT_EQ(gates[0].gate.manifest, hash(2));
  EXPECT_EQ(gates[0].gate.state, wire::GateState::reverted);
  EXPECT_EQ(gates[1].gate.manifest, hash(1));
  EXPECT_EQ(gates[1].gate.state, wire::GateState::open);
  EXPECT_THAT(offered(fixture), IsEmpty()) << "its manifest stands there already";
}

class EndingsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fixture.hello(hello("d")).has_value());
    ASSERT_TRUE(fixture.take(manifest(1)).has_value());
    auto second = manifest(2);
    second.policy.revert_allowed = true;
    ASSERT_TRUE(fixture.take(second).has_value());
  }
  // What the ack of a hello names: rollouts that have ended, and stand on no topic of the device.
  std::vector<ManifestId> endings(wire::Hello message) {
    EXPECT_TRUE(fixture.hello(std::move(message)).has_value());
    std::vector<ManifestId> out;
    for (const auto& ack : fixture.all<SendAck>())
      for (const auto& gate : ack.endings) out.push_back(gate.manifest);
    return out;
  }
  static wire::Hello running(std::uint64_t sequence) {
    auto out = hello("d");
    out.description.running =
        wire::RevisionInfo{"gateway-2", "r" + std::to_string(sequence), sequence, hash(sequence), {}};
    return out;
  }
  static wire::Hello at(std::uint64_t sequence, Step step) {
    auto out = hello("d");
    out.rollout = hash(sequence);
    out.step = step;
    out.attempt = 1;
    return out;
  }
  TrackerFixture fixture;
};

TEST_F(EndingsTest, ADeviceThatWasAwayHearsThatWhatItRunsIsTakenBack) {
  EXPECT_THAT(endings(running(2)), IsEmpty());
  ASSERT_TRUE(fixture.act(2, Action::revert).has_value());
  EXPECT_THAT(endings(running(2)), ElementsAre(hash(2)));
  fixture.restart();
  EXPECT_THAT(endings(running(2)), ElementsAre(hash(2)));
  EXPECT_THAT(endings(running(1)), IsEmpty());
}

TEST_F(EndingsTest, WhatWasAbortedIsLeftByThoseThatAreAtItOnly) {
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  EXPECT_THAT(endings(at(2, Step::fetching)), ElementsAre(hash(2)));
  EXPECT_THAT(endings(at(2, Step::refused)), IsEmpty());
  EXPECT_THAT(endings(running(2)), IsEmpty()) << "who runs it stays with it";
}

TEST_F(EndingsTest, AnEndThatStandsOnATopicOfTheDeviceIsNotSaidTwice) {
  ASSERT_TRUE(fixture.act(2, Action::revert).has_value());
  ASSERT_TRUE(fixture.act(1, Action::abort).has_value());
  EXPECT_EQ(current(fixture, "plant-7"), hash(2));
  EXPECT_THAT(endings(running(2)), IsEmpty());
}

TEST_F(EndingsTest, ADeviceElsewhereOrOfAnotherProductHearsNothing) {
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  auto other = at(2, Step::fetching);
  other.description.groups = {group("plant-9")};
  EXPECT_THAT(endings(other), IsEmpty());
  other.description.groups = {group("plant-7")};
  other.description.product = "press";
  EXPECT_THAT(endings(other), IsEmpty());
}

}  // namespace
}  // namespace instar::rollout

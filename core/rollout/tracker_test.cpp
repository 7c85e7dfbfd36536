#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"
#include "core/rollout/tracker_rig_for_test.hpp"

namespace instar::rollout {
namespace {

TEST(Tracker, ADeviceOfTheGroupWaitsAsSoonAsBothAreKnown) {
  Rig rig;
  ASSERT_TRUE(rig.hello(hello("early")).has_value());
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.hello(hello("late")).has_value());
  ASSERT_TRUE(rig.hello(hello("elsewhere", {group("plant-8")})).has_value());
  auto other = hello("other-product");
  other.product = "sensor";
  ASSERT_TRUE(rig.hello(other).has_value());
  EXPECT_EQ(rig.count(1, Step::waiting), 2U);
  EXPECT_EQ(rig.rollout(1).counts.devices, 2U);
  EXPECT_EQ(rig.rollout(1).state_name(), "active");
}

TEST(Tracker, AppliesEachReportOnceAndInOrder) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  ASSERT_TRUE(rig.report(report("d", 1, hash(1), Step::fetching)).has_value());
  ASSERT_TRUE(rig.report(report("d", 3, hash(1), Step::committed)).has_value());
  EXPECT_EQ(rig.all<SendAck>().front().ack.sequence, 1U) << "a gap is not applied";
  EXPECT_TRUE(rig.all<SaveDevice>().empty());
  EXPECT_EQ(rig.count(1, Step::fetching), 1U);
  ASSERT_TRUE(rig.report(report("d", 2, hash(1), Step::trying)).has_value());
  ASSERT_TRUE(rig.report(report("d", 2, hash(1), Step::failed)).has_value());
  EXPECT_EQ(rig.all<SendAck>().front().ack.sequence, 2U) << "a duplicate is acked and not applied";
  EXPECT_EQ(rig.count(1, Step::trying), 1U);
  ASSERT_TRUE(rig.report(report("d", 3, hash(1), Step::committed)).has_value());
  EXPECT_EQ(rig.count(1, Step::committed), 1U);
  EXPECT_EQ(rig.rollout(1).counts.devices, 1U);
  EXPECT_EQ(rig.rollout(1).state_name(), "complete");
  EXPECT_EQ(rig.rollout(1).counts.bytes_full, 1'000U);
}

TEST(Tracker, CountsReasonsOfTheMembersAsTheyStand) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  for (const auto* name : {"a", "b"}) {
    ASSERT_TRUE(rig.hello(hello(name)).has_value());
    auto refused = report(name, 1, hash(1), Step::refused);
    refused.code = Code::no_space;
    refused.reason = "needs 5, has 3";
    ASSERT_TRUE(rig.report(refused).has_value());
  }
  EXPECT_EQ(rig.rollout(1).counts.reasons.at({Code::no_space, "needs 5, has 3"}), 2U);
  ASSERT_TRUE(rig.report(report("a", 2, hash(1), Step::fetching)).has_value());
  EXPECT_EQ(rig.rollout(1).counts.reasons.at({Code::no_space, "needs 5, has 3"}), 1U);
  ASSERT_TRUE(rig.report(report("b", 2, hash(1), Step::fetching)).has_value());
  EXPECT_TRUE(rig.rollout(1).counts.reasons.empty());
}

TEST(Tracker, AReportThatMayNotFollowIsHeardAndNotCounted) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  ASSERT_TRUE(rig.report(report("d", 1, hash(1), Step::rolled_back)).has_value());
  ASSERT_TRUE(rig.report(report("d", 2, hash(1), Step::committed)).has_value());
  EXPECT_EQ(rig.count(1, Step::rolled_back), 1U);
  EXPECT_EQ(rig.all<SendAck>().front().ack.sequence, 2U);
  ASSERT_TRUE(rig.report(report("d", 3, hash(1), Step::committed, 2)).has_value());
  EXPECT_EQ(rig.count(1, Step::committed), 1U);
}

TEST(Tracker, AReportAboutAnUnknownManifestIsKeptWithTheDevice) {
  Rig rig;
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  auto refused = report("d", 1, Hash256{}, Step::refused);
  refused.code = Code::bad_signature;
  ASSERT_TRUE(rig.report(refused).has_value());
  ASSERT_EQ(rig.all<SaveReport>().size(), 1U);
  EXPECT_EQ(decode_report_summary(rig.all<SaveReport>()[0].record).value().code, Code::bad_signature);
  EXPECT_EQ(rig.tracker.device(id("d"))->record.applied_sequence, 1U);
}

TEST(Tracker, EachReportGoesIntoTheHistoryOnce) {
  Rig rig;
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  ASSERT_TRUE(rig.report(report("d", 1, Hash256{}, Step::refused)).has_value());
  ASSERT_EQ(rig.all<SaveReport>().size(), 1U);
  EXPECT_EQ(rig.all<SaveReport>()[0].sequence, 1U);
  ASSERT_TRUE(rig.report(report("d", 1, Hash256{}, Step::refused)).has_value());
  EXPECT_TRUE(rig.all<SaveReport>().empty()) << "it came twice";
}

TEST(Tracker, ReportsOfStrangersAreNotTaken) {
  Rig rig;
  EXPECT_EQ(rig.report(report("d", 1, hash(1), Step::fetching)).error().code, Code::not_found);
  EXPECT_TRUE(rig.effects.empty());
}

TEST(Tracker, PinsTheFirstKey) {
  Rig rig;
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  auto other = hello("d");
  other.key = wire::examples::key(7).public_key();
  EXPECT_EQ(rig.hello(other).error().code, Code::untrusted_key);
  EXPECT_TRUE(rig.effects.empty());
  ASSERT_TRUE(rig.forget("d").has_value());
  EXPECT_TRUE(rig.hello(other).has_value());
  EXPECT_EQ(rig.forget("nobody").error().code, Code::not_found);
}

TEST(Tracker, ForgettingADeviceTakesItOutOfTheCounts) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.hello(hello("a")).has_value());
  ASSERT_TRUE(rig.hello(hello("b")).has_value());
  ASSERT_TRUE(rig.report(report("a", 1, hash(1), Step::committed)).has_value());
  ASSERT_TRUE(rig.forget("a").has_value());
  EXPECT_EQ(rig.rollout(1).counts.devices, 1U);
  EXPECT_EQ(rig.count(1, Step::committed), 0U);
}

TEST(Tracker, StartsFromWhatADeviceSaysWasAckedWhenItsOwnStoreIsLost) {
  Rig rig;
  auto message = hello("d");
  message.last_sequence = 9;
  message.acked_sequence = 7;
  ASSERT_TRUE(rig.hello(message).has_value());
  EXPECT_EQ(rig.all<SendAck>().front().ack.sequence, 7U);
  ASSERT_TRUE(rig.report(report("d", 8, Hash256{}, Step::refused)).has_value());
  EXPECT_EQ(rig.all<SendAck>().front().ack.sequence, 8U);
}

TEST(Tracker, AnAckedSequenceBelowOursChangesNothing) {
  Rig rig;
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  ASSERT_TRUE(rig.report(report("d", 1, Hash256{}, Step::refused)).has_value());
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  EXPECT_EQ(rig.all<SendAck>().front().ack.sequence, 1U);
}

TEST(Tracker, TakesOverWhereADeviceIsFromItsHello) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  auto message = hello("d");
  message.rollout = hash(1);
  message.step = Step::rolled_back;
  message.attempt = 2;
  message.last_sequence = 5;
  message.acked_sequence = 5;
  ASSERT_TRUE(rig.hello(message).has_value());
  EXPECT_EQ(rig.count(1, Step::rolled_back), 1U);
}

TEST(Tracker, WaitsForAPendingReportRatherThanTakeTheHellosWord) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  auto message = hello("d");
  message.rollout = hash(1);
  message.step = Step::trying;
  message.last_sequence = 1;
  ASSERT_TRUE(rig.hello(message).has_value());
  EXPECT_EQ(rig.count(1, Step::waiting), 1U);
}

TEST(Tracker, AHelloThatComesAgainLateDoesNotUndoAReport) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  auto late = hello("d");
  late.rollout = hash(1);
  late.step = Step::fetching;
  late.attempt = 1;
  ASSERT_TRUE(rig.hello(late).has_value());
  EXPECT_EQ(rig.count(1, Step::fetching), 1U);
  ASSERT_TRUE(rig.report(report("d", 1, hash(1), Step::failed)).has_value());
  ASSERT_TRUE(rig.hello(late).has_value());
  EXPECT_EQ(rig.count(1, Step::failed), 1U);
  auto committed = report("d", 2, hash(1), Step::committed, 2);
  committed.running = wire::RevisionInfo{"gateway-2", "r1", 1, hash(1), {}};
  ASSERT_TRUE(rig.report(committed).has_value());
  late.last_sequence = 1;
  ASSERT_TRUE(rig.hello(late).has_value());
  EXPECT_EQ(rig.tracker.device(id("d"))->record.running, committed.running);
  EXPECT_EQ(rig.all<SendAck>().front().ack.sequence, 2U) << "and the device still hears where it stands";
}

TEST(Tracker, ADeviceThatRunsTheReleaseAlreadyIsCommitted) {
  Rig rig;
  auto message = hello("d");
  message.running = wire::RevisionInfo{"gateway-2", "r1", 1, hash(1), {}};
  ASSERT_TRUE(rig.hello(message).has_value());
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  EXPECT_EQ(rig.count(1, Step::committed), 1U);
  EXPECT_EQ(rig.rollout(1).state_name(), "complete");
}

TEST(Tracker, ADeviceWaitsInItsNewestRolloutOnly) {
  Rig rig;
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.take(manifest(2, {group("plant-7/line-a")})).has_value());
  EXPECT_EQ(rig.rollout(1).counts.devices, 0U);
  EXPECT_EQ(rig.count(2, Step::waiting), 1U);
  ASSERT_TRUE(rig.act(2, Action::abort).has_value());
  EXPECT_EQ(rig.count(1, Step::waiting), 1U);
  EXPECT_EQ(rig.rollout(2).counts.devices, 0U);
}

TEST(Tracker, NeverAimsADeviceBelowWhatItRuns) {
  Rig rig;
  auto message = hello("d");
  message.running = wire::RevisionInfo{"gateway-2", "r5", 5, hash(5), {}};
  ASSERT_TRUE(rig.hello(message).has_value());
  ASSERT_TRUE(rig.take(manifest(4)).has_value());
  EXPECT_EQ(rig.rollout(4).counts.devices, 0U);
}

TEST(Tracker, WhatHasBeenReportedStaysWhenANewerRolloutComes) {
  Rig rig;
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.report(report("d", 1, hash(1), Step::committed)).has_value());
  ASSERT_TRUE(rig.take(manifest(2)).has_value());
  EXPECT_EQ(rig.count(1, Step::committed), 1U);
  EXPECT_EQ(rig.count(2, Step::waiting), 1U);
}

TEST(Tracker, SequencesOfAProductOnlyRise) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(5)).has_value());
  EXPECT_EQ(*rig.take(manifest(5)), Tracker::Taken::known);
  EXPECT_TRUE(rig.effects.empty());
  EXPECT_EQ(rig.take(manifest(4)).error().code, Code::stale);
  Effects ignored;
  EXPECT_EQ(rig.tracker.take_manifest(hash(99), manifest(5), "ann", kNow, ignored).error().code, Code::stale);
  auto other = manifest(1);
  other.product = "sensor";
  EXPECT_TRUE(rig.take(other).has_value());
}

TEST(Tracker, AKnownManifestThatWasReplacedOnItsGroupIsStale) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.take(manifest(2, {group("plant-8")})).has_value());
  EXPECT_EQ(*rig.take(manifest(1)), Tracker::Taken::known) << "plant-7 still looks at it";
  ASSERT_TRUE(rig.take(manifest(3)).has_value());
  EXPECT_EQ(rig.take(manifest(1)).error().code, Code::stale);
}

TEST(Tracker, RefusesWavesThatLeaveSomebodyOut) {
  Rig rig;
  auto waves = manifest(1);
  waves.policy.waves = {wire::Wave{.share_bp = 1'000}};
  EXPECT_EQ(rig.take(waves).error().code, Code::invalid_argument);
  waves.policy.waves = {wire::Wave{.share_bp = 1'000}, wire::Wave{.share_bp = 10'000}};
  EXPECT_TRUE(rig.take(waves).has_value());
}

TEST(Tracker, GatesRiseWithEveryChangeAndStandOnEachGroup) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1, {group("plant-7"), group("plant-8")})).has_value());
  ASSERT_EQ(rig.all<SendGate>().size(), 2U);
  EXPECT_EQ(rig.all<SendGate>()[1].gate.group, group("plant-8"));
  EXPECT_EQ(rig.all<SendGate>()[0].gate.issue, 1U);
  ASSERT_TRUE(rig.act(1, Action::pause).has_value());
  EXPECT_EQ(rig.all<SendGate>()[0].gate.issue, 2U);
  EXPECT_EQ(rig.all<SendGate>()[0].gate.state, wire::GateState::paused);
  ASSERT_TRUE(rig.act(1, Action::pause).has_value());
  EXPECT_TRUE(rig.effects.empty()) << "nothing changed";
  ASSERT_TRUE(rig.take(manifest(2, {group("plant-8")})).has_value());
  Effects effects;
  rig.tracker.refresh_gates(kNow, effects);
  int gates = 0;
  for (const auto& effect : effects) gates += std::holds_alternative<SendGate>(effect) ? 1 : 0;
  EXPECT_EQ(gates, 2) << "plant-8's gate is now the newer rollout's alone";
}

TEST(Tracker, DropsTheOldestRolloutThatNoGroupLooksAtWhenThereAreTooMany) {
  Tracker tracker;
  Effects effects;
  auto first = hello("d");
  ASSERT_TRUE(tracker.hello(first, Via::own_connection, kNow, effects).has_value());
  ASSERT_TRUE(tracker.take_manifest(hash(1), manifest(1, {group("plant-8")}), "ann", kNow, effects).has_value());
  ASSERT_TRUE(tracker.take_manifest(hash(2), manifest(2), "ann", kNow, effects).has_value());
  ASSERT_TRUE(tracker.report(report("d", 1, hash(2), Step::committed), kNow, effects).has_value());
  for (std::uint64_t i = 3; i <= limits::kRolloutsMax; ++i) {
    ASSERT_TRUE(tracker.take_manifest(hash(i), manifest(i), "ann", kNow, effects).has_value());
  }
  effects.clear();
  ASSERT_TRUE(tracker.take_manifest(hash(5'000), manifest(5'000), "ann", kNow, effects).has_value());
  EXPECT_EQ(tracker.rollouts().size(), limits::kRolloutsMax);
  EXPECT_NE(tracker.rollout(hash(1)), nullptr) << "plant-8 still looks at the first";
  EXPECT_EQ(tracker.rollout(hash(2)), nullptr);
  EXPECT_FALSE(tracker.by_prefix(hash(2).prefix64()).has_value());
  int rollouts = 0;
  for (const auto& effect : effects) {
    if (const auto* gone = std::get_if<RemoveRollout>(&effect)) rollouts += gone->rollout == hash(2) ? 1 : 0;
  }
  EXPECT_EQ(rollouts, 1);
}

TEST(Tracker, AnAbortedRolloutStaysSo) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.act(1, Action::abort).has_value());
  EXPECT_EQ(rig.act(1, Action::resume).error().code, Code::refused);
  EXPECT_EQ(rig.act(9, Action::pause).error().code, Code::not_found);
  EXPECT_EQ(rig.rollout(1).state_name(), "aborted");
}

TEST(Tracker, AccountsBytesPerDeviceAndRollout) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  EXPECT_EQ(rig.tracker.charge(id("d"), hash(1).prefix64(), 1'000), Charge::ok);
  EXPECT_EQ(rig.tracker.charge(id("d"), 12'345, 500), Charge::ok);
  EXPECT_EQ(rig.tracker.charge(id("nobody"), hash(1).prefix64(), 7), Charge::ok);
  rig.save_bytes();
  EXPECT_EQ(rig.rollout(1).counts.bytes_sent, 1'000U);
  EXPECT_EQ(rig.tracker.device(id("d"))->record.bytes_sent, 1'500U);
  rig.save_bytes();
  EXPECT_TRUE(rig.effects.empty());
}

TEST(Tracker, CountedBytesAreSavedAFewAtATimeAndWithWhatIsSavedAnyway) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  const std::array<const char*, 3> names{"a", "b", "c"};
  for (const auto* name : names) ASSERT_TRUE(rig.hello(hello(name)).has_value());
  // By the tracker itself from here on: the rig would have everything saved at once.
  auto& tracker = rig.tracker;
  for (const auto* name : names) EXPECT_EQ(tracker.charge(id(name), hash(1).prefix64(), 1'000), Charge::ok);
  Effects effects;
  ASSERT_TRUE(tracker.report(report("b", 1, hash(1), Step::fetching), kNow, effects).has_value());
  const auto is_member = [](const Effect& effect) { return std::holds_alternative<SaveMember>(effect); };
  EXPECT_EQ(std::ranges::count_if(effects, is_member), 1);
  EXPECT_EQ(tracker.unsaved_bytes(), 2U);
  const auto saved = [&] {
    effects.clear();
    tracker.save_bytes(1, effects);
    const auto* device = effects.empty() ? nullptr : std::get_if<SaveDevice>(&effects.front());
    return device == nullptr ? "" : device->device.str();
  };
  EXPECT_EQ(saved(), "a");
  EXPECT_EQ(tracker.charge(id("a"), hash(1).prefix64(), 1), Charge::ok);
  EXPECT_EQ(saved(), "c") << "new bytes wait until those before them are saved";
  EXPECT_EQ(std::ranges::count_if(effects, is_member), 1);
  EXPECT_EQ(saved(), "a");
  EXPECT_EQ(saved(), "");
}

TEST(Tracker, AWordBesideTheWayTakesNothingBackOfWhatWasPlanned) {
  Rig rig;
  ASSERT_TRUE(rig.take(manifest(1)).has_value());
  ASSERT_TRUE(rig.hello(hello("d")).has_value());
  auto fetching = report("d", 1, hash(1), Step::fetching);
  fetching.bytes_planned = 400;
  ASSERT_TRUE(rig.report(fetching).has_value());
  auto word = report("d", 2, hash(1), Step::fetching);
  word.bytes_full = 0;
  word.code = Code::refused;
  ASSERT_TRUE(rig.report(word).has_value());
  EXPECT_EQ(rig.rollout(1).members.at(id("d")).record.bytes_planned, 400U);
  EXPECT_EQ(rig.rollout(1).counts.bytes_full, 1'000U);
}

TEST(Tracker, AnOlderHelloOverABridgeIsNotTaken) {
  Rig rig;
  auto newer = hello("d");
  newer.boot = 5;
  ASSERT_TRUE(rig.hello(newer, Via::bridge).has_value());
  EXPECT_EQ(rig.hello(hello("d"), Via::bridge).error().code, Code::stale);
  EXPECT_TRUE(rig.hello(hello("d"), Via::own_connection).has_value()) << "a device may have lost its counters";
}

}  // namespace
}  // namespace instar::rollout

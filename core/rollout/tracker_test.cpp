#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"
#include "core/rollout/testing/tracker_fixture.hpp"

namespace instar::rollout {
namespace {

TEST(Tracker, ADeviceOfTheGroupWaitsAsSoonAsBothAreKnown) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("early")).has_value());
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.hello(hello("late")).has_value());
  ASSERT_TRUE(fixture.hello(hello("elsewhere", {group("plant-8")})).has_value());
  auto other = hello("other-product");
  other.description.product = "sensor";
  ASSERT_TRUE(fixture.hello(other).has_value());
  EXPECT_EQ(fixture.count(1, Step::waiting), 2U);
  EXPECT_EQ(fixture.rollout(1).counts.devices, 2U);
  EXPECT_EQ(fixture.rollout(1).state_name(), "active");
}

TEST(Tracker, AppliesEachReportOnceAndInOrder) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.report(report("d", 1, hash(1), Step::fetching)).has_value());
  ASSERT_TRUE(fixture.report(report("d", 3, hash(1), Step::committed)).has_value());
  EXPECT_EQ(fixture.all<SendAck>().front().ack.sequence, 1U) << "a gap is not applied";
  EXPECT_TRUE(fixture.all<SaveDevice>().empty());
  EXPECT_EQ(fixture.count(1, Step::fetching), 1U);
  ASSERT_TRUE(fixture.report(report("d", 2, hash(1), Step::trying)).has_value());
  ASSERT_TRUE(fixture.report(report("d", 2, hash(1), Step::failed)).has_value());
  EXPECT_EQ(fixture.all<SendAck>().front().ack.sequence, 2U) << "a duplicate is acked and not applied";
  EXPECT_EQ(fixture.count(1, Step::trying), 1U);
  ASSERT_TRUE(fixture.report(report("d", 3, hash(1), Step::committed)).has_value());
  EXPECT_EQ(fixture.count(1, Step::committed), 1U);
  EXPECT_EQ(fixture.rollout(1).counts.devices, 1U);
  EXPECT_EQ(fixture.rollout(1).state_name(), "complete");
  EXPECT_EQ(fixture.rollout(1).counts.bytes_full, 1'000U);
}

TEST(Tracker, CountsReasonsOfTheMembersAsTheyStand) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  for (const auto* name : {"a", "b"}) {
    ASSERT_TRUE(fixture.hello(hello(name)).has_value());
    auto refused = report(name, 1, hash(1), Step::refused);
    refused.code = Code::no_space;
    refused.reason = "needs 5, has 3";
    ASSERT_TRUE(fixture.report(refused).has_value());
  }
  EXPECT_EQ(fixture.rollout(1).counts.reasons.at({Code::no_space, "needs 5, has 3"}), 2U);
  ASSERT_TRUE(fixture.report(report("a", 2, hash(1), Step::fetching)).has_value());
  EXPECT_EQ(fixture.rollout(1).counts.reasons.at({Code::no_space, "needs 5, has 3"}), 1U);
  ASSERT_TRUE(fixture.report(report("b", 2, hash(1), Step::fetching)).has_value());
  EXPECT_TRUE(fixture.rollout(1).counts.reasons.empty());
}

TEST(Tracker, AReportThatMayNotFollowIsAckedAndNotCounted) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.report(report("d", 1, hash(1), Step::rolled_back)).has_value());
  ASSERT_TRUE(fixture.report(report("d", 2, hash(1), Step::committed)).has_value());
  EXPECT_EQ(fixture.count(1, Step::rolled_back), 1U);
  EXPECT_EQ(fixture.all<SendAck>().front().ack.sequence, 2U);
  ASSERT_TRUE(fixture.report(report("d", 3, hash(1), Step::committed, 2)).has_value());
  EXPECT_EQ(fixture.count(1, Step::committed), 1U);
}

TEST(Tracker, AReportAboutAnUnknownManifestIsKeptWithTheDevice) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  auto refused = report("d", 1, ManifestId{}, Step::refused);
  refused.code = Code::bad_signature;
  ASSERT_TRUE(fixture.report(refused).has_value());
  ASSERT_EQ(fixture.all<SaveReport>().size(), 1U);
  EXPECT_EQ(decode_report_summary(fixture.all<SaveReport>()[0].record).value().code, Code::bad_signature);
  EXPECT_EQ(fixture.tracker.device(id("d"))->record.applied_sequence, 1U);
}

TEST(Tracker, EachReportGoesIntoTheHistoryOnce) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.report(report("d", 1, ManifestId{}, Step::refused)).has_value());
  ASSERT_EQ(fixture.all<SaveReport>().size(), 1U);
  EXPECT_EQ(fixture.all<SaveReport>()[0].sequence, 1U);
  ASSERT_TRUE(fixture.report(report("d", 1, ManifestId{}, Step::refused)).has_value());
  EXPECT_TRUE(fixture.all<SaveReport>().empty()) << "it came twice";
}

TEST(Tracker, ReportsOfStrangersAreNotTaken) {
  TrackerFixture fixture;
  EXPECT_EQ(fixture.report(report("d", 1, hash(1), Step::fetching)).error().code, Code::not_found);
  EXPECT_TRUE(fixture.effects.empty());
}

TEST(Tracker, PinsTheFirstKey) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  auto other = hello("d");
  other.key = wire::examples::key(7).public_key();
  EXPECT_EQ(fixture.hello(other).error().code, Code::untrusted_key);
  EXPECT_TRUE(fixture.effects.empty());
  ASSERT_TRUE(fixture.forget("d").has_value());
  EXPECT_TRUE(fixture.hello(other).has_value());
  EXPECT_EQ(fixture.forget("nobody").error().code, Code::not_found);
}

TEST(Tracker, AKeyThatWasForgottenDoesNotComeBackUnlessItIsAllowed) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.forget("d").has_value());
  EXPECT_EQ(fixture.hello(hello("d")).error().code, Code::untrusted_key);
  EXPECT_EQ(fixture.tracker.device(id("d")), nullptr);
  fixture.restart();
  EXPECT_EQ(fixture.hello(hello("d")).error().code, Code::untrusted_key) << "that is stored";
  ASSERT_TRUE(fixture.forget("d", OldKey::allowed).has_value());
  EXPECT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.forget("d", OldKey::allowed).has_value());
  EXPECT_TRUE(fixture.hello(hello("d")).has_value()) << "it was forgotten, and its key was not taken back";
}

TEST(Tracker, ForgettingWhatWasMadeUpLetsNoOtherKeyBack) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.forget("d").has_value());
  auto other = hello("d");
  other.key = wire::examples::key(7).public_key();
  ASSERT_TRUE(fixture.hello(other).has_value());
  ASSERT_TRUE(fixture.forget("d", OldKey::untouched).has_value());
  EXPECT_EQ(fixture.hello(hello("d")).error().code, Code::untrusted_key) << "an operator has taken it back";
  EXPECT_TRUE(fixture.hello(other).has_value());
}

TEST(Tracker, AReplacedDeviceBeginsAnewInItsOldPlace) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report_step("d", 1, Step::committed).has_value());
  EXPECT_EQ(fixture.replace("nobody").error().code, Code::not_found);
  ASSERT_TRUE(fixture.replace("d").has_value());
  fixture.restart();
  EXPECT_EQ(fixture.count(1, Step::committed), 0U);
  EXPECT_EQ(fixture.count(1, Step::waiting), 1U) << "it keeps its place";
  EXPECT_EQ(fixture.hello(hello("d")).error().code, Code::untrusted_key);
  auto renewed = hello("d");
  renewed.key = wire::examples::key(7).public_key();
  ASSERT_TRUE(fixture.hello(renewed).has_value());
  EXPECT_EQ(fixture.all<SendAck>().at(0).ack.sequence, 1U) << "its reports go on after those of before";
  ASSERT_TRUE(fixture.report_step("d", 1, Step::fetching).has_value());
  EXPECT_EQ(fixture.count(1, Step::fetching), 1U);
}

TEST(Tracker, AHelloThatIsDeliveredTwiceIsAckedAndChangesNothing) {
  TrackerFixture fixture;
  auto message = hello("d");
  message.connect = 7;
  ASSERT_TRUE(fixture.hello(message).has_value());
  message.description.groups = {group("elsewhere")};
  ASSERT_TRUE(fixture.hello(message).has_value());
  EXPECT_EQ(fixture.effects.size(), 1U);
  EXPECT_EQ(fixture.all<SendAck>().size(), 1U);
  EXPECT_EQ(fixture.tracker.device(id("d"))->record.description.groups, hello("d").description.groups);
}

TEST(Tracker, ForgettingADeviceTakesItOutOfTheCounts) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.hello(hello("a")).has_value());
  ASSERT_TRUE(fixture.hello(hello("b")).has_value());
  ASSERT_TRUE(fixture.report(report("a", 1, hash(1), Step::committed)).has_value());
  ASSERT_TRUE(fixture.forget("a").has_value());
  EXPECT_EQ(fixture.rollout(1).counts.devices, 1U);
  EXPECT_EQ(fixture.count(1, Step::committed), 0U);
}

TEST(Tracker, StartsFromWhatADeviceSaysWasAckedWhenItsOwnStoreIsLost) {
  TrackerFixture fixture;
  auto message = hello("d");
  message.last_sequence = 9;
  message.acked_sequence = 7;
  ASSERT_TRUE(fixture.hello(message).has_value());
  EXPECT_EQ(fixture.all<SendAck>().front().ack.sequence, 7U);
  ASSERT_TRUE(fixture.report(report("d", 8, ManifestId{}, Step::refused)).has_value());
  EXPECT_EQ(fixture.all<SendAck>().front().ack.sequence, 8U);
}

TEST(Tracker, AnAckedSequenceBelowOursChangesNothing) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.report(report("d", 1, ManifestId{}, Step::refused)).has_value());
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  EXPECT_EQ(fixture.all<SendAck>().front().ack.sequence, 1U);
}

TEST(Tracker, TakesOverWhereADeviceIsFromItsHello) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto message = hello("d");
  message.rollout = hash(1);
  message.step = Step::rolled_back;
  message.attempt = 2;
  message.last_sequence = 5;
  message.acked_sequence = 5;
  ASSERT_TRUE(fixture.hello(message).has_value());
  EXPECT_EQ(fixture.count(1, Step::rolled_back), 1U);
}

TEST(Tracker, AReportThatIsStillToComeCountsMoreThanTheHello) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto message = hello("d");
  message.rollout = hash(1);
  message.step = Step::trying;
  message.last_sequence = 1;
  ASSERT_TRUE(fixture.hello(message).has_value());
  EXPECT_EQ(fixture.count(1, Step::waiting), 1U);
}

TEST(Tracker, AHelloThatComesAgainLateDoesNotUndoAReport) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  auto late = hello("d");
  late.rollout = hash(1);
  late.step = Step::fetching;
  late.attempt = 1;
  ASSERT_TRUE(fixture.hello(late).has_value());
  EXPECT_EQ(fixture.count(1, Step::fetching), 1U);
  ASSERT_TRUE(fixture.report(report("d", 1, hash(1), Step::failed)).has_value());
  ASSERT_TRUE(fixture.hello(late).has_value());
  EXPECT_EQ(fixture.count(1, Step::failed), 1U);
  auto committed = report("d", 2, hash(1), Step::committed, 2);
  committed.running = wire::RevisionInfo{"gateway-2", "r1", 1, hash(1), {}};
  ASSERT_TRUE(fixture.report(committed).has_value());
  late.last_sequence = 1;
  ASSERT_TRUE(fixture.hello(late).has_value());
  EXPECT_EQ(fixture.tracker.device(id("d"))->record.description.running, committed.running);
  EXPECT_EQ(fixture.all<SendAck>().front().ack.sequence, 2U) << "and the device still learns where it stands";
}

TEST(Tracker, WhatRanBeforeACommitIsThePreviousRevision) {
  TrackerFixture fixture;
  const auto revision = [](std::uint64_t sequence) {
    return wire::RevisionInfo{"gateway-2", "r" + std::to_string(sequence), sequence, hash(sequence), {}};
  };
  auto message = hello("d");
  message.description.running = revision(1);
  ASSERT_TRUE(fixture.hello(message).has_value());
  const auto& known = fixture.tracker.device(id("d"))->record.description;
  auto committed = report("d", 1, hash(2), Step::committed);
  committed.running = revision(2);
  ASSERT_TRUE(fixture.report(committed).has_value());
  EXPECT_EQ(known.running, revision(2));
  EXPECT_EQ(known.previous, revision(1));
  committed.sequence = 2;
  ASSERT_TRUE(fixture.report(committed).has_value());
  EXPECT_EQ(known.previous, revision(1)) << "nothing has changed";
  committed.sequence = 3;
  committed.running = revision(1);
  ASSERT_TRUE(fixture.report(committed).has_value());
  EXPECT_EQ(known.running, revision(1));
  EXPECT_FALSE(known.previous.has_value()) << "it went back";
}

TEST(Tracker, ADeviceThatRunsTheReleaseAlreadyIsCommitted) {
  TrackerFixture fixture;
  auto message = hello("d");
  message.description.running = wire::RevisionInfo{"gateway-2", "r1", 1, hash(1), {}};
  ASSERT_TRUE(fixture.hello(message).has_value());
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  EXPECT_EQ(fixture.count(1, Step::committed), 1U);
  EXPECT_EQ(fixture.rollout(1).state_name(), "complete");
}

TEST(Tracker, ADeviceWaitsInItsNewestRolloutOnly) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.take(manifest(2, {group("plant-7/line-a")})).has_value());
  EXPECT_EQ(fixture.rollout(1).counts.devices, 0U);
  EXPECT_EQ(fixture.count(2, Step::waiting), 1U);
  ASSERT_TRUE(fixture.act(2, Action::abort).has_value());
  EXPECT_EQ(fixture.count(1, Step::waiting), 1U);
  EXPECT_EQ(fixture.rollout(2).counts.devices, 0U);
}

TEST(Tracker, NeverAimsADeviceBelowWhatItRuns) {
  TrackerFixture fixture;
  auto message = hello("d");
  message.description.running = wire::RevisionInfo{"gateway-2", "r5", 5, hash(5), {}};
  ASSERT_TRUE(fixture.hello(message).has_value());
  ASSERT_TRUE(fixture.take(manifest(4)).has_value());
  EXPECT_EQ(fixture.rollout(4).counts.devices, 0U);
}

TEST(Tracker, WhatHasBeenReportedStaysWhenANewerRolloutComes) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.report(report("d", 1, hash(1), Step::committed)).has_value());
  ASSERT_TRUE(fixture.take(manifest(2)).has_value());
  EXPECT_EQ(fixture.count(1, Step::committed), 1U);
  EXPECT_EQ(fixture.count(2, Step::waiting), 1U);
}

TEST(Tracker, SequencesOfAProductOnlyRise) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(5)).has_value());
  EXPECT_EQ(*fixture.take(manifest(5)), Tracker::Taken::known);
  EXPECT_TRUE(fixture.effects.empty());
  EXPECT_EQ(fixture.take(manifest(4)).error().code, Code::stale);
  Effects ignored;
  EXPECT_EQ(fixture.tracker.take_manifest(hash(99), manifest(5), {}, "ann", kNow, ignored).error().code, Code::stale);
  auto other = manifest(1);
  other.product = "sensor";
  EXPECT_TRUE(fixture.take(other).has_value());
}

TEST(Tracker, AKnownManifestThatWasReplacedOnItsGroupIsStale) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.take(manifest(2, {group("plant-8")})).has_value());
  EXPECT_EQ(*fixture.take(manifest(1)), Tracker::Taken::known) << "it is still the one of plant-7";
  ASSERT_TRUE(fixture.take(manifest(3)).has_value());
  EXPECT_EQ(fixture.take(manifest(1)).error().code, Code::stale);
}

TEST(Tracker, RefusesWavesThatLeaveSomebodyOut) {
  TrackerFixture fixture;
  auto waves = manifest(1);
  waves.policy.waves = {wire::Wave{.share_bp = 1'000}};
  EXPECT_EQ(fixture.take(waves).error().code, Code::invalid_argument);
  waves.policy.waves = {wire::Wave{.share_bp = 1'000}, wire::Wave{.share_bp = 10'000}};
  EXPECT_TRUE(fixture.take(waves).has_value());
}

TEST(Tracker, GatesRiseWithEveryChangeAndStandOnEachGroup) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1, {group("plant-7"), group("plant-8")})).has_value());
  ASSERT_EQ(fixture.all<SendGate>().size(), 2U);
  EXPECT_EQ(fixture.all<SendGate>()[1].gate.group, group("plant-8"));
  EXPECT_EQ(fixture.all<SendGate>()[0].gate.issue, 1U);
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  EXPECT_EQ(fixture.all<SendGate>()[0].gate.issue, 2U);
  EXPECT_EQ(fixture.all<SendGate>()[0].gate.state, wire::GateState::paused);
  ASSERT_TRUE(fixture.act(1, Action::pause).has_value());
  EXPECT_TRUE(fixture.effects.empty()) << "nothing changed";
  ASSERT_TRUE(fixture.take(manifest(2, {group("plant-8")})).has_value());
  Effects effects;
  fixture.tracker.refresh_gates(kNow, effects);
  int gates = 0;
  for (const auto& effect : effects) gates += std::holds_alternative<SendGate>(effect) ? 1 : 0;
  EXPECT_EQ(gates, 2) << "plant-8's gate is now the newer rollout's alone";
}

TEST(Tracker, DropsTheOldestRolloutThatIsNoGroupsCurrentOneWhenThereAreTooMany) {
  Tracker tracker;
  Effects effects;
  auto first = hello("d");
  ASSERT_TRUE(tracker.hello(first, Via::own_connection, kNow, effects).has_value());
  ASSERT_TRUE(tracker.take_manifest(hash(1), manifest(1, {group("plant-8")}), {}, "ann", kNow, effects).has_value());
  ASSERT_TRUE(tracker.take_manifest(hash(2), manifest(2), {}, "ann", kNow, effects).has_value());
  ASSERT_TRUE(tracker.report(report("d", 1, hash(2), Step::committed), kNow, effects).has_value());
  for (std::uint64_t i = 3; i <= limits::kRolloutsMax; ++i) {
    ASSERT_TRUE(tracker.take_manifest(hash(i), manifest(i), {}, "ann", kNow, effects).has_value());
  }
  effects.clear();
  ASSERT_TRUE(tracker.take_manifest(hash(5'000), manifest(5'000), {}, "ann", kNow, effects).has_value());
  EXPECT_EQ(tracker.rollouts().size(), limits::kRolloutsMax);
  EXPECT_TRUE(tracker.rollout(hash(1)).has_value()) << "the first is still the one of plant-8";
  EXPECT_FALSE(tracker.rollout(hash(2)).has_value());
  EXPECT_FALSE(tracker.by_prefix(hash(2).prefix64()).has_value());
  int rollouts = 0;
  for (const auto& effect : effects) {
    if (const auto* gone = std::get_if<RemoveRollout>(&effect)) rollouts += gone->rollout == hash(2) ? 1 : 0;
  }
  EXPECT_EQ(rollouts, 1);
}

TEST(Tracker, AnAbortedRolloutStaysSo) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.act(1, Action::abort).has_value());
  EXPECT_EQ(fixture.act(1, Action::resume).error().code, Code::refused);
  EXPECT_EQ(fixture.act(9, Action::pause).error().code, Code::not_found);
  EXPECT_EQ(fixture.rollout(1).state_name(), "aborted");
}

TEST(Tracker, AccountsBytesPerDeviceAndRollout) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  EXPECT_EQ(fixture.tracker.charge(id("d"), hash(1).prefix64(), pack(), 1'000), Charge::ok);
  EXPECT_EQ(fixture.tracker.charge(id("d"), 12'345, pack(), 500), Charge::ok) << "no such rollout: for its target";
  EXPECT_EQ(fixture.tracker.charge(id("nobody"), hash(1).prefix64(), pack(), 7), Charge::not_offered);
  fixture.save_bytes();
  EXPECT_EQ(fixture.rollout(1).counts.bytes_sent, 1'500U);
  EXPECT_EQ(fixture.tracker.device(id("d"))->record.bytes_sent, 1'500U);
  fixture.save_bytes();
  EXPECT_TRUE(fixture.effects.empty());
}

TEST(Tracker, CountedBytesAreSavedAFewAtATimeAndWithWhatIsSavedAnyway) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  const std::array<const char*, 3> names{"a", "b", "c"};
  for (const auto* name : names) ASSERT_TRUE(fixture.hello(hello(name)).has_value());
  // By the tracker itself from here on: the fixture would have everything saved at once.
  auto& tracker = fixture.tracker;
  for (const auto* name : names) EXPECT_EQ(tracker.charge(id(name), hash(1).prefix64(), pack(), 1'000), Charge::ok);
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
  EXPECT_EQ(tracker.charge(id("a"), hash(1).prefix64(), pack(), 1), Charge::ok);
  EXPECT_EQ(saved(), "c") << "new bytes wait until those before them are saved";
  EXPECT_EQ(std::ranges::count_if(effects, is_member), 1);
  EXPECT_EQ(saved(), "a");
  EXPECT_EQ(saved(), "");
}

TEST(Tracker, AReportThatIsNotAboutTheTransferKeepsThePlan) {
  TrackerFixture fixture;
  ASSERT_TRUE(fixture.take(manifest(1)).has_value());
  ASSERT_TRUE(fixture.hello(hello("d")).has_value());
  auto fetching = report("d", 1, hash(1), Step::fetching);
  fetching.bytes_planned = 400;
  ASSERT_TRUE(fixture.report(fetching).has_value());
  auto aside = report("d", 2, hash(1), Step::fetching);
  aside.bytes_full = 0;
  aside.code = Code::refused;
  ASSERT_TRUE(fixture.report(aside).has_value());
  EXPECT_EQ(fixture.rollout(1).members.at(id("d")).record.bytes_planned, 400U);
  EXPECT_EQ(fixture.rollout(1).counts.bytes_full, 1'000U);
}

TEST(Tracker, AnOlderHelloIsNotTaken) {
  TrackerFixture fixture;
  auto newer = hello("d");
  newer.boot = 5;
  ASSERT_TRUE(fixture.hello(newer, Via::bridge).has_value());
  for (const auto via : {Via::bridge, Via::own_connection})
    EXPECT_EQ(fixture.hello(hello("d"), via).error().code, Code::stale);
}

}  // namespace
}  // namespace instar::rollout

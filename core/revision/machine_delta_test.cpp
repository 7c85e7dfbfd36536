// Deltas: taken when their base is held, and given up for another pack when they fall short.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/testing/machine_fixture.hpp"

namespace instar::revision {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using wire::Step;

constexpr std::uint32_t kHeadBytes = 500;
constexpr std::uint64_t kBodyBytes = 20'000;
constexpr std::uint64_t kDedupeBytes = 94'000;  // head and all that the fixture wants of the body

wire::Manifest second(MachineFixture& fixture) {
  auto two = fixture.release(2);
  two.artifacts = {artifact_of("r2", {1'000}, {40'000, 50'000, 3'000}, artifact::PackKind::dedupe)};
  add_delta(two.artifacts.front(), hash_of("artifact r1"), kHeadBytes, kBodyBytes);
  two.containers.front().artifact = two.artifacts.front().id;
  return two;
}

PackUnusable damage(std::uint32_t files) {
  PackUnusable event;
  event.error = {Code::corrupt, files == 0 ? "the pack cannot be read" : "etc/motd was changed on this device"};
  event.missing = {files, files * std::uint64_t{10}};
  return event;
}

class DeltaTest : public testing::Test {
 protected:
  void SetUp() override {
    fixture.boot();
    fixture.connect();
    fixture.publish(fixture.release(1));
    fixture.run(10'000);
    ASSERT_EQ(fixture.running_release(), "r1");
    fixture.applied.clear();
    fixture.bytes_sent = 0;
    two = second(fixture);
    delta = two.artifacts.front().packs.back().id;
    dedupe = two.artifacts.front().packs[1].id;
  }
  [[nodiscard]] int chunks_of(const PackId& pack) const {
    int count = 0;
    for (const auto& [chunk, times] : fixture.chunks_sent) count += chunk.first == pack ? times : 0;
    return count;
  }
  MachineFixture fixture;
  wire::Manifest two;
  PackId delta;
  PackId dedupe;
};

TEST_F(DeltaTest, ADeltaFromTheRunningReleaseIsTaken) {
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_THAT(fixture.steps(), ElementsAre(Step::fetching, Step::staging, Step::trying, Step::committed));
  for (const auto& report : fixture.applied) EXPECT_EQ(report.bytes_planned, kHeadBytes + kBodyBytes);
  EXPECT_EQ(fixture.applied.back().bytes_fetched, kHeadBytes + kBodyBytes);
  EXPECT_EQ(fixture.applied.back().pack_kind, artifact::PackKind::delta);
  EXPECT_EQ(fixture.applied.back().reason, "");
  EXPECT_EQ(chunks_of(dedupe), 0);
}

TEST_F(DeltaTest, WhatADeltaLacksComesFromTheCheapestOtherPackAndIsReported) {
  fixture.short_packs[delta] = damage(1);
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_EQ(chunks_of(delta), 3);
  EXPECT_EQ(chunks_of(dedupe), 4);
  EXPECT_TRUE(fixture.logged("etc/motd was changed on this device; the delta brings everything else"));
  EXPECT_TRUE(
      fixture.logged("release r2: etc/motd was changed on this device; what is missing comes from the dedupe pack"));
  EXPECT_THAT(fixture.steps(), ElementsAre(Step::fetching, Step::staging, Step::staging, Step::staging, Step::staging,
                                           Step::trying, Step::committed));
  EXPECT_EQ(fixture.applied[2].bytes_planned, kHeadBytes + kBodyBytes + 1'000);
  EXPECT_EQ(fixture.applied[3].bytes_planned, kHeadBytes + kBodyBytes + kDedupeBytes);
  EXPECT_THAT(
      fixture.applied[3].reason,
      HasSubstr("etc/motd was changed on this device; what is missing comes from the dedupe pack, 94000 bytes more"));
  EXPECT_EQ(fixture.applied.back().bytes_fetched, kHeadBytes + kBodyBytes + kDedupeBytes);
  EXPECT_THAT(fixture.applied.back().reason, HasSubstr("etc/motd"));
  EXPECT_EQ(fixture.applied.back().pack_kind, artifact::PackKind::delta) << "of which only a part was missing";
}

TEST_F(DeltaTest, AMeteredLinkSpendsNoMoreThanTheHeadToFindOut) {
  fixture.facts.description.metered = true;
  fixture.power_cut();
  fixture.short_packs[delta] = damage(3);
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.phase(), "idle");
  EXPECT_THAT(fixture.steps(), ElementsAre(Step::fetching, Step::failed));
  const auto& report = fixture.applied.back();
  EXPECT_EQ(report.code, Code::refused);
  EXPECT_THAT(report.reason, HasSubstr("etc/motd was changed on this device"));
  EXPECT_THAT(report.reason, HasSubstr("the dedupe pack would bring what is missing for about"));
  EXPECT_THAT(report.reason, HasSubstr("94000 at most"));
  EXPECT_THAT(report.reason, HasSubstr("policy.metered_fallback"));
  EXPECT_EQ(report.bytes_fetched, kHeadBytes);
  EXPECT_EQ(fixture.bytes_sent, kHeadBytes);
}

TEST_F(DeltaTest, AMeteredLinkWithLeaveGoesOn) {
  fixture.facts.description.metered = true;
  fixture.power_cut();
  fixture.short_packs[delta] = damage(3);
  two.policy.metered_fallback = true;
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_EQ(chunks_of(dedupe), 4);
}

TEST_F(DeltaTest, AMeteredLinkWithoutDamageNeedsNoLeave) {
  fixture.facts.description.metered = true;
  fixture.power_cut();
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_EQ(fixture.bytes_sent, kHeadBytes + kBodyBytes);
}

TEST_F(DeltaTest, WithoutAnotherPackThatFitsTheAttemptFailsBeforeTheBody) {
  for (auto& pack : two.artifacts.front().packs) {
    if (pack.kind != artifact::PackKind::delta) pack.memory_bytes = 40 * 1024 * 1024;
  }
  fixture.short_packs[delta] = damage(1);
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.applied.back().step, Step::failed);
  EXPECT_EQ(fixture.applied.back().code, Code::unsupported);
  EXPECT_THAT(fixture.applied.back().reason,
              HasSubstr("etc/motd was changed on this device; the release has no other pack"));
  EXPECT_EQ(fixture.bytes_sent, kHeadBytes);
}

TEST_F(DeltaTest, ADeltaThatBringsNothingIsReplacedWhole) {
  fixture.short_packs[delta] = damage(0);
  fixture.publish(two);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_EQ(chunks_of(delta), 0);
  EXPECT_EQ(chunks_of(dedupe), 4);
  EXPECT_THAT(fixture.applied.back().reason, HasSubstr("the pack cannot be read; the dedupe pack is used instead"));
  EXPECT_EQ(fixture.applied.back().pack_kind, artifact::PackKind::dedupe);
  EXPECT_EQ(fixture.applied.back().bytes_planned, kDedupeBytes);
}

TEST_F(DeltaTest, AStagerThatSpeaksOfAnotherPackIsNotHeard) {
  fixture.publish(two);
  auto stray = damage(1);
  stray.revision = fixture.view().candidate_revision;
  stray.pack = dedupe;
  fixture.give(stray);
  stray.pack = delta;
  stray.revision = 1;
  fixture.give(stray);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_EQ(chunks_of(dedupe), 0);
}

// Room is made at the cost of the previous revision, but not of the base that a metered link depends on.
TEST_F(DeltaTest, TheOnlyBaseOfADeltaIsNotGivenUpForRoomOnAMeteredLink) {
  fixture.publish(fixture.release(2));
  fixture.run(10'000);
  fixture.facts.description.metered = true;
  fixture.facts.previous_makes_room = true;
  fixture.power_cut();
  fixture.applied.clear();
  auto three = fixture.release(3);
  add_delta(three.artifacts.front(), hash_of("artifact r1"), kHeadBytes, kBodyBytes);
  fixture.staging_fails = Error{Code::no_space, "needs 2000 bytes, 1000 are free"};
  fixture.publish(three);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_TRUE(fixture.staged.contains(1));
  EXPECT_EQ(fixture.applied.back().step, Step::refused);
  EXPECT_EQ(fixture.applied.back().code, Code::no_space);
}

// A delta that falls short, with the power cut after each effect in turn.
TEST(DeltaPowerCut, AfterAnyEffectAllEndsWell) {
  const auto tell_story = [](MachineFixture& fixture) {
    fixture.boot();
    fixture.connect();
    fixture.publish(fixture.release(1));
    fixture.run(10'000);
    const auto two = second(fixture);
    fixture.short_packs[two.artifacts.front().packs.back().id] = damage(1);
    fixture.publish(two);
    fixture.run(10'000);
  };
  MachineFixture whole;
  tell_story(whole);
  ASSERT_EQ(whole.running_release(), "r2");
  const auto effects = static_cast<std::int64_t>(whole.effects_done);
  for (std::int64_t cut = 1; cut <= effects; ++cut) {
    SCOPED_TRACE("power cut after effect " + std::to_string(cut));
    MachineFixture fixture;
    fixture.power_cut_after = cut;
    tell_story(fixture);
    fixture.run(60'000);
    EXPECT_EQ(fixture.running_release(), "r2");
    EXPECT_EQ(fixture.applied.back().step, Step::committed);
    EXPECT_THAT(fixture.applied.back().reason, HasSubstr("etc/motd"));
    EXPECT_EQ(fixture.view().pending_reports, 0u);
    auto step = Step::idle;
    for (const auto& report : fixture.applied) {
      if (report.rollout != fixture.applied.back().rollout) continue;
      EXPECT_GE(report.step, step) << "steps of an attempt never go back";
      EXPECT_GE(report.bytes_planned, report.bytes_fetched);
      step = report.step;
    }
    for (const auto& [chunk, count] : fixture.chunks_sent) EXPECT_LE(count, 2);
    if (testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace instar::revision

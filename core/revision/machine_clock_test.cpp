// Whose clock counts: gates that lie about times, clocks that are wrong and are put right, releases and root documents
// that expire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/testing/runs_r1_fixture.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::ClockState;
using wire::Step;

constexpr std::int64_t kClockHourMs = 3'600'000;
constexpr std::int64_t kClockYearMs = std::int64_t{365} * 24 * kClockHourMs;

class ClockTest : public RunsR1Fixture {
 protected:
  // With a soak before its last wave.
  static wire::Manifest soaking(wire::Manifest manifest) {
    wire::Wave canaries;
    canaries.devices = {"canary"};
    canaries.soak_s = 60;
    wire::Wave all;
    all.share_bp = 10'000;
    manifest.policy.waves = {canaries, all};
    return manifest;
  }
  // A gate of the last wave, opened and signed at that time.
  void put_gate(const wire::Manifest& manifest, std::uint64_t issue, WallMs when) {
    auto message = fixture.gate_for(manifest, issue);
    message.wave = manifest.policy.waves.empty() ? 0 : 1;
    message.wave_opened = {when};
    if (message.wave > 0) message.wave_opened.insert(message.wave_opened.begin(), manifest.issued);
    message.fresh = when;
    fixture.put_gate(message);
  }
  // The clock is set while the device runs, which its shell notices.
  void set_clock(WallMs wall, ClockState clock = ClockState::free) {
    fixture.wall = wall;
    fixture.give(LocalTime{0, clock});
  }
  [[nodiscard]] std::size_t reports_with(Code code) const {
    return static_cast<std::size_t>(
        std::ranges::count(fixture.applied, code, [](const wire::Report& report) { return report.code; }));
  }
};

// --- gates ---------------------------------------------------------------------------------------------------
TEST_F(ClockTest, AWaveThatOpensAheadOfTheClockIsWaitedFor) {
  const auto two = soaking(fixture.release(2));
  offer(two);
  put_gate(two, 1, fixture.wall + kClockHourMs);
  fixture.run(5'000);
  ASSERT_EQ(fixture.applied.size(), 1U);
  EXPECT_EQ(fixture.applied[0].step, Step::waiting);
  EXPECT_EQ(fixture.applied[0].code, Code::ok);
  EXPECT_THAT(last_reason(), HasSubstr("60 min ahead of this device's clock"));
  EXPECT_EQ(fixture.view().waits, last_reason());
  const auto deadline = fixture.machine->next_deadline();
  ASSERT_TRUE(deadline.has_value());
  EXPECT_LE(*deadline - fixture.monotonic, kClockHourMs - limits::kGateClockMsMax);
  fixture.power_cut();
  fixture.run(30 * 60'000);
  EXPECT_EQ(fixture.applied.size(), 1U) << "told once";
  EXPECT_EQ(fixture.running_release(), "r1");
  fixture.run(21 * 60'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(ClockTest, AGateThatIsPutRightIsObeyed) {
  const auto two = soaking(fixture.release(2));
  offer(two);
  put_gate(two, 1, fixture.wall + 20 * kClockYearMs);
  fixture.run(5'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  put_gate(two, 2, two.issued + 60'000);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(ClockTest, ABrokerWhoseClockIsAheadHoldsUpNoReleaseWithoutASoak) {
  auto two = fixture.release(2);
  two.expires = fixture.wall + 90 * 24 * kClockHourMs;
  offer(two);
  put_gate(two, 1, fixture.wall + kClockYearMs);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2") << "nor does it end what expires";
}

TEST_F(ClockTest, AClockThatStandsBehindTheReleaseCannotHoldAGate) {
  const auto two = fixture.release(2);
  const auto right = fixture.wall;
  set_clock(WallMs{0});
  offer(two);
  put_gate(two, 1, right);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(ClockTest, AKeptClockIgnoresWhatOthersSign) {
  set_clock(fixture.wall, ClockState::synchronized);
  auto two = fixture.release(2);
  two.expires = fixture.wall + kClockHourMs;
  offer(two);
  auto message = fixture.gate_for(two, 1);
  message.fresh = fixture.wall + kClockYearMs;
  fixture.put_gate(message);
  fixture.run(5'000);
  EXPECT_EQ(reports_with(Code::expired), 0U) << "what the broker believes is no time";
  EXPECT_THAT(fixture.view().waits, HasSubstr("ahead of this device's clock"));
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST_F(ClockTest, APausedGateStaysWhateverElseIsSigned) {
  const auto two = fixture.release(2);
  offer(two);
  gate(two, 5, wire::GateState::paused);
  for (int i = 0; i < 200; ++i) {
    auto other = fixture.gate_for(two, 1);
    other.manifest = hash_of("rollout " + std::to_string(i));
    fixture.put_gate(other);
  }
  gate(two, 4, wire::GateState::open);
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_TRUE(fixture.logged("is older (issue 4)"));
}

TEST_F(ClockTest, AStaleGateIsWaitedFor) {
  auto two = fixture.release(2);
  two.policy.stale_after_s = 3'600;
  offer(two);
  put_gate(two, 1, fixture.wall + -2 * kClockHourMs);
  fixture.run(5'000);
  EXPECT_THAT(fixture.view().waits, HasSubstr("waits for a newer gate"));
  put_gate(two, 2, fixture.wall);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- what expires --------------------------------------------------------------------------------------------
TEST_F(ClockTest, WhatAClockYearsAheadRefusesIsTakenOnceItIsRight) {
  const auto right = fixture.wall;
  set_clock(right + 60 * kClockYearMs);
  auto two = fixture.release(2);
  two.expires = right + kClockYearMs;
  offer(two);
  put_gate(two, 1, right);
  fixture.run(5'000);
  ASSERT_EQ(reports_with(Code::expired), 1U);
  EXPECT_EQ(fixture.applied.back().step, Step::refused);
  EXPECT_THAT(last_reason(), HasSubstr("by this device's own clock (not synchronized)"));
  fixture.power_cut();
  fixture.give(LocalTime{});
  fixture.run(5'000);
  EXPECT_EQ(reports_with(Code::expired), 1U) << "told once";
  set_clock(right);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(ClockTest, AStepThatNobodyTellsOfIsNoticedWithTheNextEvent) {
  const auto right = fixture.wall;
  fixture.wall = right + 60 * kClockYearMs;
  auto two = fixture.release(2);
  two.expires = right + kClockYearMs;
  offer(two);
  put_gate(two, 1, right);
  fixture.run(2'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  fixture.wall = right;
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(ClockTest, WhatOneReleaseSaysOfTheTimeIsNothingToTheNext) {
  auto two = fixture.release(2);
  two.issued = fixture.wall + 20 * kClockYearMs;
  two.expires = two.issued;
  offer(two);
  fixture.run(1'000);
  EXPECT_THAT(last_reason(), HasSubstr("by the release itself"));
  auto three = fixture.release(3);
  three.expires = fixture.wall + kClockHourMs;
  fixture.publish(three);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r3");
}

TEST_F(ClockTest, AnExpiredRootDocumentLetsNothingNewBegin) {
  auto second = fixture.root;
  second.version = 2;
  second.previous = trust::digest(trust::encode_root(fixture.root));
  second.issued = fixture.wall + -kClockHourMs;
  second.expires = fixture.wall + -1'000;
  const auto put_root = [&](const trust::RootDocument& root) {
    fixture.put(fixture.topics.root(), trust::seal(trust::Kind::root, trust::encode_root(root), fixture.root_key));
  };
  put_root(second);
  fixture.publish(fixture.release(2));
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_THAT(fixture.view().waits, HasSubstr("waits: root document 2 expired on"));
  auto third = second;
  third.version = 3;
  third.previous = trust::digest(trust::encode_root(second));
  third.expires = fixture.wall + kClockYearMs;
  put_root(third);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

// --- what is told --------------------------------------------------------------------------------------------
TEST_F(ClockTest, AHelloTellsTheClock) {
  set_clock(fixture.wall, ClockState::synchronized);
  fixture.disconnect();
  fixture.connect();
  EXPECT_EQ(fixture.hellos.back().description.time, fixture.wall);
  EXPECT_EQ(fixture.hellos.back().description.clock, ClockState::synchronized);
}

TEST_F(ClockTest, ASilentBrokerIsComplainedOf) {
  fixture.pass(7 * 24 * kClockHourMs);
  fixture.run(1'000);
  EXPECT_TRUE(fixture.logged("nothing has come from the broker for 7 days"));
}

}  // namespace
}  // namespace instar::revision

// The factory revision: never removed, and the way out when there is no other. And payloads of host handlers, as the
// machine sees them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/revision/state_codec.hpp"
#include "core/revision/testing/runs_r1_fixture.hpp"

namespace instar::revision {
namespace {

using testing::HasSubstr;
using wire::Step;

// A device whose r1 was made its factory release.
class FactoryTest : public RunsR1Fixture {
 protected:
  void SetUp() override {
    RunsR1Fixture::SetUp();
    const auto state = decode_state(rig.disk);
    ASSERT_TRUE(state.has_value());
    rig.facts.factory = state->revisions.current;
    rig.facts.factory_manifest = state->revisions.current_manifest;
    rig.boot();
    rig.connect();
  }
  void update(std::uint64_t sequence) {
    rig.publish(rig.release(sequence));
    rig.run(20'000);
    ASSERT_EQ(rig.running_release(), "r" + std::to_string(sequence));
  }
};

TEST_F(FactoryTest, ItIsNeverRemoved) {
  for (const std::uint64_t sequence : {2, 3, 4}) update(sequence);
  EXPECT_TRUE(rig.staged.contains(1)) << "r1 is no longer the one before, and stays";
  EXPECT_FALSE(rig.staged.contains(2));
  rig.power_cut();
  rig.run(5'000);
  EXPECT_TRUE(rig.staged.contains(1));
  // What is in it may be used.
  rig.publish(rig.release(5));
  rig.settle();
  EXPECT_THAT(rig.opened.rbegin()->second.bases, testing::Contains(1U));
}

TEST_F(FactoryTest, NotEvenForRoom) {
  update(2);  // r1 is the previous one too
  rig.facts.previous_makes_room = true;
  rig.power_cut();
  rig.staging_fails = Error{Code::no_space, "needs 10 bytes, 1 are free"};
  rig.publish(rig.release(3));
  rig.run(20'000);
  EXPECT_TRUE(rig.staged.contains(1));
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST_F(FactoryTest, WhenTheReleaseBeforeCannotBeStartedAgainItRuns) {
  for (const std::uint64_t sequence : {2, 3}) update(sequence);
  rig.bad_releases = {"r4"};
  rig.switch_back_failures = 6;
  rig.applied.clear();
  rig.publish(rig.release(4));
  rig.run(600'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_EQ(rig.running, 1U);
  EXPECT_EQ(rig.phase(), "idle");
  ASSERT_FALSE(rig.applied.empty());
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
  EXPECT_THAT(last_reason(),
              HasSubstr("release r3 could not be started again (busy): gone back to the factory release"));
  EXPECT_EQ(rig.applied.back().running->release, "r1");
  // It takes what is newer than all that it has obeyed.
  rig.bad_releases.clear();
  update(5);
}

TEST_F(FactoryTest, FiveFailuresAreNotEnough) {
  for (const std::uint64_t sequence : {2, 3}) update(sequence);
  rig.bad_releases = {"r4"};
  rig.switch_back_failures = 5;
  rig.publish(rig.release(4));
  rig.run(600'000);
  EXPECT_EQ(rig.running_release(), "r3");
}

TEST_F(FactoryTest, AReleaseThatWearsOutWithNothingBeforeItGoesToTheFactoryOne) {
  update(2);
  auto three = rig.release(3);
  three.policy.fall_back_stops = 2;
  rig.publish(three);
  rig.run(20'000);
  ASSERT_EQ(rig.running_release(), "r3");
  // The one before is gone, as it is after room was made.
  auto state = decode_state(rig.disk);
  ASSERT_TRUE(state.has_value());
  state->revisions.previous.reset();
  state->revisions.previous_manifest.clear();
  rig.disk = encode_state(*state);
  rig.boot();
  rig.connect();
  for (int i = 0; i < 2; ++i) rig.stop_container("app");
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

TEST_F(FactoryTest, ADeviceThatHasLostItsStateGoesOnFromIt) {
  update(2);
  const auto state = decode_state(rig.disk);
  ASSERT_TRUE(state.has_value());
  DeviceState factory;
  factory.revisions.current = rig.facts.factory;
  factory.revisions.current_manifest = rig.facts.factory_manifest;
  factory.root = state->root;
  factory.history.highest_sequence = 1;
  factory.revisions.numbers = {1};
  factory.revisions.next_number = 2;
  rig.disk = encode_state(factory);
  rig.running = 0;
  rig.boot();
  EXPECT_EQ(rig.running, 1U);
  rig.connect();
  rig.run(30'000);
  EXPECT_EQ(rig.running_release(), "r2") << "the broker still offers it";
}

// --- payloads of host handlers ------------------------------------------------------------------------------
TEST_F(FactoryTest, APayloadIsFoundWellByItsHandlerAndKeptAtTheCommit) {
  rig.facts.handlers = {"kernel"};
  rig.boot();
  rig.connect();
  auto two = rig.release(2);
  two.containers[0].handler = "kernel";
  two.containers[0].health.probe.reset();
  rig.trace.clear();
  rig.publish(two);
  rig.run(20'000);
  ASSERT_EQ(rig.running_release(), "r2");
  const auto probe = std::ranges::find(rig.trace, "probe");
  const auto point = std::ranges::find(rig.trace, "point");
  ASSERT_NE(probe, rig.trace.end());
  ASSERT_NE(point, rig.trace.end());
  EXPECT_EQ(*(point + 1), "ensure") << "its handler is told";
}

TEST_F(FactoryTest, APayloadWhoseHandlerFindsItUnwellIsTakenBack) {
  rig.facts.handlers = {"kernel"};
  rig.boot();
  rig.connect();
  rig.bad_releases = {"r2"};
  auto two = rig.release(2);
  two.containers[0].handler = "kernel";
  two.containers[0].health.probe.reset();
  rig.publish(two);
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

}  // namespace
}  // namespace instar::revision

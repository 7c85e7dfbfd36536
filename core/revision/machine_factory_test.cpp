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
    const auto state = decode_state(fixture.disk);
    ASSERT_TRUE(state.has_value());
    fixture.facts.factory = state->revisions.current;
    fixture.facts.factory_manifest = state->revisions.current_manifest;
    fixture.boot();
    fixture.connect();
  }
  void update(std::uint64_t sequence) {
    fixture.publish(fixture.release(sequence));
    fixture.run(20'000);
    ASSERT_EQ(fixture.running_release(), "r" + std::to_string(sequence));
  }
};

TEST_F(FactoryTest, ItIsNeverRemoved) {
  for (const std::uint64_t sequence : {2, 3, 4}) update(sequence);
  EXPECT_TRUE(fixture.staged.contains(1)) << "r1 is no longer the one before, and stays";
  EXPECT_FALSE(fixture.staged.contains(2));
  fixture.power_cut();
  fixture.run(5'000);
  EXPECT_TRUE(fixture.staged.contains(1));
  // What is in it may be used.
  fixture.publish(fixture.release(5));
  fixture.settle();
  EXPECT_THAT(fixture.opened.rbegin()->second.bases, testing::Contains(1U));
}

TEST_F(FactoryTest, NotEvenForRoom) {
  update(2);  // r1 is the previous one too
  fixture.facts.previous_makes_room = true;
  fixture.power_cut();
  fixture.staging_fails = Error{Code::no_space, "needs 10 bytes, 1 are free"};
  fixture.publish(fixture.release(3));
  fixture.run(20'000);
  EXPECT_TRUE(fixture.staged.contains(1));
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST_F(FactoryTest, WhenTheReleaseBeforeCannotBeStartedAgainItRuns) {
  for (const std::uint64_t sequence : {2, 3}) update(sequence);
  fixture.bad_releases = {"r4"};
  fixture.switch_back_failures = 6;
  fixture.applied.clear();
  fixture.publish(fixture.release(4));
  fixture.run(600'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_EQ(fixture.running, 1U);
  EXPECT_EQ(fixture.phase(), "idle");
  ASSERT_FALSE(fixture.applied.empty());
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
  EXPECT_THAT(last_reason(),
              HasSubstr("release r3 could not be started again (busy): gone back to the factory release"));
  EXPECT_EQ(fixture.applied.back().running->release, "r1");
  // It takes what is newer than all that it has obeyed.
  fixture.bad_releases.clear();
  update(5);
}

TEST_F(FactoryTest, FiveFailuresAreNotEnough) {
  for (const std::uint64_t sequence : {2, 3}) update(sequence);
  fixture.bad_releases = {"r4"};
  fixture.switch_back_failures = 5;
  fixture.publish(fixture.release(4));
  fixture.run(600'000);
  EXPECT_EQ(fixture.running_release(), "r3");
}

TEST_F(FactoryTest, AReleaseThatWearsOutWithNothingBeforeItGoesToTheFactoryOne) {
  update(2);
  auto three = fixture.release(3);
  three.policy.fall_back_stops = 2;
  fixture.publish(three);
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r3");
  // The one before is gone, as it is after room was made.
  auto state = decode_state(fixture.disk);
  ASSERT_TRUE(state.has_value());
  state->revisions.previous.reset();
  state->revisions.previous_manifest.clear();
  fixture.disk = encode_state(*state);
  fixture.boot();
  fixture.connect();
  for (int i = 0; i < 2; ++i) fixture.stop_container("app");
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST_F(FactoryTest, ADeviceThatHasLostItsStateGoesOnFromIt) {
  update(2);
  const auto state = decode_state(fixture.disk);
  ASSERT_TRUE(state.has_value());
  DeviceState factory;
  factory.revisions.current = fixture.facts.factory;
  factory.revisions.current_manifest = fixture.facts.factory_manifest;
  factory.root = state->root;
  factory.history.highest_sequence = 1;
  factory.revisions.numbers = {1};
  factory.revisions.next_number = 2;
  fixture.disk = encode_state(factory);
  fixture.running = 0;
  fixture.boot();
  EXPECT_EQ(fixture.running, 1U);
  fixture.connect();
  fixture.run(30'000);
  EXPECT_EQ(fixture.running_release(), "r2") << "the broker still offers it";
}

// --- payloads of host handlers ------------------------------------------------------------------------------
TEST_F(FactoryTest, APayloadIsFoundWellByItsHandlerAndKeptAtTheCommit) {
  fixture.facts.description.handlers = {"kernel"};
  fixture.boot();
  fixture.connect();
  auto two = fixture.release(2);
  two.containers[0].handler = "kernel";
  two.containers[0].health.probe.reset();
  fixture.trace.clear();
  fixture.publish(two);
  fixture.run(20'000);
  ASSERT_EQ(fixture.running_release(), "r2");
  const auto probe = std::ranges::find(fixture.trace, "probe");
  const auto point = std::ranges::find(fixture.trace, "point");
  ASSERT_NE(probe, fixture.trace.end());
  ASSERT_NE(point, fixture.trace.end());
  EXPECT_EQ(*(point + 1), "ensure") << "its handler is called";
}

TEST_F(FactoryTest, APayloadWhoseHandlerFindsItUnwellIsTakenBack) {
  fixture.facts.description.handlers = {"kernel"};
  fixture.boot();
  fixture.connect();
  fixture.bad_releases = {"r2"};
  auto two = fixture.release(2);
  two.containers[0].handler = "kernel";
  two.containers[0].health.probe.reset();
  fixture.publish(two);
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

}  // namespace
}  // namespace instar::revision

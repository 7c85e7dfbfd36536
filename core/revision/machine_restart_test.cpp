// The power goes after any effect, in any phase; acks are lost; the broker forgets. Each time all must end well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "core/revision/state_codec.hpp"
#include "core/revision/testing/machine_fixture.hpp"

namespace instar::revision {
namespace {

using wire::Step;

// A story: release 1 is committed, release 2 is committed or taken back.
void tell_story(MachineFixture& fixture, bool second_is_bad) {
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  if (second_is_bad) fixture.bad_releases = {"r2"};
  fixture.publish(fixture.release(2));
  fixture.run(10'000);
}

void expect_sound(const MachineFixture& fixture) {
  for (std::size_t i = 0; i < fixture.applied.size(); ++i)
    EXPECT_EQ(fixture.applied[i].sequence, i + 1) << "without a hole";
  std::map<std::pair<ManifestId, std::uint32_t>, Step> last;
  for (const auto& report : fixture.applied) {
    auto& step = last[{report.rollout, report.attempt}];
    EXPECT_FALSE(wire::is_final(step)) << "a report after the end of attempt " << report.attempt;
    EXPECT_GE(report.step, step) << "steps of an attempt never go back";
    step = report.step;
  }
}

class PowerCut : public testing::TestWithParam<bool> {};

TEST_P(PowerCut, AfterAnyEffectAllEndsWell) {
  const bool second_is_bad = GetParam();
  MachineFixture whole;
  tell_story(whole, second_is_bad);
  const auto effects = static_cast<std::int64_t>(whole.effects_done);
  ASSERT_GT(effects, 60);
  for (std::int64_t cut = 1; cut <= effects; ++cut) {
    SCOPED_TRACE("power cut after effect " + std::to_string(cut));
    MachineFixture fixture;
    fixture.power_cut_after = cut;
    tell_story(fixture, second_is_bad);
    fixture.run(60'000);
    EXPECT_EQ(fixture.phase(), "idle");
    EXPECT_EQ(fixture.running_release(), second_is_bad ? "r1" : "r2");
    EXPECT_EQ(fixture.running, fixture.view().current_revision);
    EXPECT_EQ(fixture.applied.back().step, second_is_bad ? Step::rolled_back : Step::committed);
    EXPECT_EQ(fixture.view().pending_reports, 0u);
    EXPECT_LE(fixture.staged.size(), 2u) << "only current and previous are kept";
    EXPECT_LE(fixture.folders.size(), 2u);
    for (const auto& [chunk, count] : fixture.chunks_sent) EXPECT_LE(count, 2);
    expect_sound(fixture);
    if (testing::Test::HasFailure()) break;
  }
}

INSTANTIATE_TEST_SUITE_P(Stories, PowerCut, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& one) { return one.param ? "TakenBack" : "Committed"; });

TEST(Restart, ChunksThatAreDurableAreNotFetchedAgain) {
  MachineFixture whole;
  tell_story(whole, false);
  for (std::int64_t cut = 1; cut <= static_cast<std::int64_t>(whole.effects_done); ++cut) {
    MachineFixture fixture;
    fixture.power_cut_after = cut;
    tell_story(fixture, false);
    fixture.run(60'000);
    // One window in flight, and the half of a chunk that was not whole yet.
    EXPECT_LE(fixture.bytes_sent, whole.bytes_sent + 64 * 1024 + 50'000) << "after effect " << cut;
  }
}

// Release 1 is committed, release 2 is on trial.
void try_second_release(MachineFixture& fixture) {
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.publish(fixture.release(2));
  fixture.run(1'000);
  ASSERT_EQ(fixture.phase(), "trying");
}

TEST(Restart, ManyPowerCutsInOneTryGoBack) {
  MachineFixture fixture;
  ASSERT_NO_FATAL_FAILURE(try_second_release(fixture));
  for (std::uint32_t i = 1; i < limits::kTryStartsMax; ++i) {
    fixture.power_cut();
    fixture.settle();
    EXPECT_EQ(fixture.phase(), "trying") << "start " << i + 1;
    EXPECT_EQ(fixture.running, 2u);
  }
  fixture.power_cut();
  fixture.settle();
  fixture.run(1'000);
  EXPECT_EQ(fixture.running, 1u);
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
  EXPECT_THAT(fixture.applied.back().reason, testing::HasSubstr("booted 3 times"));
}

TEST(Restart, ClientsThatAreKilledAgainAndAgainInOneBootDoNotCondemnARelease) {
  MachineFixture fixture;
  fixture.facts.machine_boot = 7;
  ASSERT_NO_FATAL_FAILURE(try_second_release(fixture));
  for (std::uint32_t i = 0; i < limits::kTryClientStartsMax; ++i) {
    fixture.power_cut();
    fixture.settle();
    ASSERT_EQ(fixture.phase(), "trying") << "restart " << i + 1;
  }
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r2");
}

TEST(Restart, AClientThatNeverStaysUpGoesBackInTheEnd) {
  MachineFixture fixture;
  fixture.facts.machine_boot = 7;
  ASSERT_NO_FATAL_FAILURE(try_second_release(fixture));
  for (std::uint32_t i = 0; i <= limits::kTryClientStartsMax; ++i) {
    fixture.power_cut();
    fixture.settle();
  }
  fixture.run(1'000);
  EXPECT_EQ(fixture.running, 1u);
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
  EXPECT_THAT(fixture.applied.back().reason, testing::HasSubstr("restarted 65 times"));
}

TEST(Restart, BootsCountAlthoughTheClientKnowsThemApart) {
  MachineFixture fixture;
  fixture.facts.machine_boot = 7;
  ASSERT_NO_FATAL_FAILURE(try_second_release(fixture));
  for (std::uint32_t i = 0; i < limits::kTryStartsMax; ++i) {
    ++fixture.facts.machine_boot;
    fixture.power_cut();
    fixture.settle();
  }
  fixture.run(1'000);
  EXPECT_EQ(fixture.running, 1u);
  EXPECT_EQ(fixture.applied.back().step, Step::rolled_back);
}

TEST(Restart, ATryGoesOnAfterOneRestart) {
  MachineFixture fixture;
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  fixture.run(1'000);
  ASSERT_EQ(fixture.phase(), "trying");
  fixture.power_cut();
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST(Restart, TheSwitchIsInTheStateFileBeforeAnythingSaysSo) {
  MachineFixture fixture;
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  std::size_t committed_reports = 0;
  fixture.drop = [&](const Effect& effect) {
    if (const auto* publish = std::get_if<Publish>(&effect)) {
      const auto topic = fixture.topics.parse(publish->topic);
      if (topic->kind != wire::TopicKind::device_report) return false;
      const auto envelope = trust::parse_envelope(publish->payload);
      if (wire::decode_report(envelope->payload)->step != Step::committed) return false;
      const auto state = decode_state(fixture.disk);
      EXPECT_TRUE(state && state->revisions.current && state->revisions.current->info.release == "r1");
      EXPECT_EQ(state->reports.pending.back().envelope, publish->payload) << "byte for byte as sent";
      ++committed_reports;
    }
    return false;
  };
  fixture.run(10'000);
  EXPECT_EQ(committed_reports, 1u);
}

TEST(Restart, ARestartInTheMiddleOfAWaitWaitsAnew) {
  MachineFixture fixture;
  fixture.boot();
  fixture.connect();
  fixture.bad_releases = {"r1"};
  auto one = fixture.release(1);
  one.policy.attempts_max = 2;
  one.policy.backoff_s = 20;
  fixture.publish(one);
  fixture.run(5'000);
  ASSERT_EQ(fixture.phase(), "waiting");
  fixture.power_cut();
  fixture.bad_releases.clear();
  fixture.run(15'000);
  EXPECT_EQ(fixture.phase(), "waiting");
  fixture.run(20'000);
  EXPECT_EQ(fixture.running_release(), "r1");
}

TEST(Restart, ATornStateFileIsDetected) {
  MachineFixture fixture;
  tell_story(fixture, false);
  const auto good = fixture.disk;
  Effects effects;
  for (const std::size_t size : {std::size_t{1}, good.size() / 2, good.size() - 1}) {
    const auto torn = ByteView(good).first(size);
    const auto loaded = Machine::load(fixture.facts, fixture.device_key, fixture.topics, torn, fixture.pinned_root,
                                      fixture.now(), effects);
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, Code::corrupt);
  }
}

TEST(Restart, APinnedRootThatDoesNotVerifyStopsTheStart) {
  MachineFixture fixture;
  auto pinned = fixture.pinned_root;
  pinned.back() ^= 1;
  Effects effects;
  const auto loaded =
      Machine::load(fixture.facts, fixture.device_key, fixture.topics, {}, pinned, fixture.now(), effects);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message, testing::HasSubstr("pinned root"));
  EXPECT_TRUE(effects.empty());
}

TEST(Restart, SessionsRiseOverRestarts) {
  MachineFixture fixture;
  fixture.boot();
  fixture.connect();
  fixture.serves = false;
  fixture.publish(fixture.release(1));
  fixture.settle();
  const auto before = fixture.fetches.back().session;
  fixture.power_cut();
  fixture.settle();
  EXPECT_GT(fixture.fetches.back().session, before);
}

TEST(Restart, BytesOfTheAttemptSurviveAPowerCut) {
  MachineFixture fixture;
  fixture.boot();
  fixture.connect();
  fixture.serves = false;
  fixture.publish(fixture.release(1));
  fixture.settle();
  auto fetch = fixture.fetches.back();
  fetch.window_bytes = 45'000;
  fixture.serve(fetch);
  fixture.settle();
  fixture.power_cut();
  fixture.serves = true;
  fixture.disconnect();
  fixture.connect();
  fixture.run(10'000);
  EXPECT_EQ(fixture.running_release(), "r1");
  EXPECT_GE(fixture.applied.back().bytes_fetched, fixture.applied.back().bytes_planned);
}

// --- reports -------------------------------------------------------------------------------------------

TEST(Reports, AreSentAgainUntilAcked) {
  MachineFixture fixture;
  fixture.acks = false;
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  EXPECT_EQ(fixture.applied.size(), 4u);
  EXPECT_EQ(fixture.view().pending_reports, 4u);
  const auto sent = fixture.sent.size();
  fixture.run(60'000);
  EXPECT_GT(fixture.sent.size(), sent);
  EXPECT_LE(fixture.sent.size(), sent + 4 * 4) << "with growing pauses";
  fixture.acks = true;
  fixture.run(60'000);
  EXPECT_EQ(fixture.view().pending_reports, 0u);
  EXPECT_EQ(fixture.applied.size(), 4u) << "each is applied once";
}

TEST(Reports, WaitForTheConnectionAndFollowTheHello) {
  MachineFixture fixture;
  fixture.acks = false;
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.disconnect();
  fixture.trace.clear();
  fixture.sent.clear();
  fixture.acks = true;
  fixture.connect();
  ASSERT_GE(fixture.trace.size(), 5u);
  EXPECT_EQ(fixture.trace[0], "hello");
  for (std::size_t i = 1; i <= 4; ++i) EXPECT_EQ(fixture.trace[i], "report");
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(fixture.sent[i].sequence, i + 1);
}

TEST(Reports, ABrokerThatLostItsStoreGoesOnFromTheHello) {
  MachineFixture fixture;
  tell_story(fixture, false);
  fixture.disconnect();
  fixture.forget_applied(0);
  fixture.connect();
  EXPECT_EQ(fixture.hellos.back().acked_sequence, 8u);
  fixture.applied.clear();
  fixture.publish(fixture.release(3));
  fixture.run(10'000);
  EXPECT_EQ(fixture.applied.size(), 4u);
  EXPECT_EQ(fixture.applied.front().sequence, 9u);
}

TEST(Reports, ADeviceThatLostItsStateGoesOnAfterWhatTheBrokerKnows) {
  MachineFixture fixture;
  tell_story(fixture, false);
  fixture.disk.clear();
  fixture.folders.clear();
  fixture.applied.clear();
  fixture.power_cut();
  fixture.run(20'000);
  EXPECT_EQ(fixture.hellos.back().last_sequence, 9u) << "a second hello, once the numbers are known";
  EXPECT_EQ(fixture.running_release(), "r2");
  EXPECT_EQ(fixture.applied.size(), 4u) << "nothing is taken for a duplicate of what the lost state had sent";
  EXPECT_EQ(fixture.applied.front().sequence, 9u);
}

TEST(Reports, ARefusingBrokerIsAskedRarely) {
  MachineFixture fixture;
  fixture.acks = false;
  fixture.boot();
  fixture.connect();
  fixture.publish(fixture.release(1));
  fixture.run(10'000);
  fixture.ack(0, Code::untrusted_key);
  fixture.settle();
  EXPECT_TRUE(fixture.logged("does not take this device's reports (untrusted_key)"));
  const auto sent = fixture.sent.size();
  fixture.run(200'000);
  EXPECT_EQ(fixture.sent.size(), sent);
}

TEST(Reports, TheHelloTellsTheWholeState) {
  MachineFixture fixture;
  tell_story(fixture, true);
  fixture.give(FreeSpace{12'345});
  fixture.disconnect();
  fixture.connect();
  const auto& hello = fixture.hellos.back();
  EXPECT_EQ(hello.device, fixture.facts.device);
  EXPECT_EQ(hello.key, fixture.device_key.public_key());
  ASSERT_TRUE(hello.description.running.has_value());
  EXPECT_EQ(hello.description.running->release, "r1");
  EXPECT_EQ(hello.step, Step::rolled_back);
  EXPECT_EQ(hello.rollout, MachineFixture::rollout_of(fixture.release(2)));
  EXPECT_EQ(hello.description.free_bytes, 12'345u);
  EXPECT_EQ(hello.last_sequence, fixture.view().last_report);
  EXPECT_EQ(hello.boot, 1u);
  EXPECT_EQ(hello.connect, fixture.hellos.size());
}

}  // namespace
}  // namespace instar::revision

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
void tell_story(MachineFixture& rig, bool second_is_bad) {
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  rig.run(10'000);
  if (second_is_bad) rig.bad_releases = {"r2"};
  rig.publish(rig.release(2));
  rig.run(10'000);
}

void expect_sound(const MachineFixture& rig) {
  for (std::size_t i = 0; i < rig.applied.size(); ++i) EXPECT_EQ(rig.applied[i].sequence, i + 1) << "without a hole";
  std::map<std::pair<ManifestId, std::uint32_t>, Step> last;
  for (const auto& report : rig.applied) {
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
    MachineFixture rig;
    rig.power_cut_after = cut;
    tell_story(rig, second_is_bad);
    rig.run(60'000);
    EXPECT_EQ(rig.phase(), "idle");
    EXPECT_EQ(rig.running_release(), second_is_bad ? "r1" : "r2");
    EXPECT_EQ(rig.running, rig.view().current_revision);
    EXPECT_EQ(rig.applied.back().step, second_is_bad ? Step::rolled_back : Step::committed);
    EXPECT_EQ(rig.view().pending_reports, 0u);
    EXPECT_LE(rig.staged.size(), 2u) << "only current and previous are kept";
    EXPECT_LE(rig.folders.size(), 2u);
    for (const auto& [chunk, count] : rig.chunks_sent) EXPECT_LE(count, 2);
    expect_sound(rig);
    if (testing::Test::HasFailure()) break;
  }
}

INSTANTIATE_TEST_SUITE_P(Stories, PowerCut, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& one) { return one.param ? "TakenBack" : "Committed"; });

TEST(Restart, ChunksThatAreDurableAreNotFetchedAgain) {
  MachineFixture whole;
  tell_story(whole, false);
  for (std::int64_t cut = 1; cut <= static_cast<std::int64_t>(whole.effects_done); ++cut) {
    MachineFixture rig;
    rig.power_cut_after = cut;
    tell_story(rig, false);
    rig.run(60'000);
    // One window in flight, and the half of a chunk that was not whole yet.
    EXPECT_LE(rig.bytes_sent, whole.bytes_sent + 64 * 1024 + 50'000) << "after effect " << cut;
  }
}

// Release 1 is committed, release 2 is on trial.
void try_second_release(MachineFixture& rig) {
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.publish(rig.release(2));
  rig.run(1'000);
  ASSERT_EQ(rig.phase(), "trying");
}

TEST(Restart, ManyPowerCutsInOneTryGoBack) {
  MachineFixture rig;
  ASSERT_NO_FATAL_FAILURE(try_second_release(rig));
  for (std::uint32_t i = 1; i < limits::kTryStartsMax; ++i) {
    rig.power_cut();
    rig.settle();
    EXPECT_EQ(rig.phase(), "trying") << "start " << i + 1;
    EXPECT_EQ(rig.running, 2u);
  }
  rig.power_cut();
  rig.settle();
  rig.run(1'000);
  EXPECT_EQ(rig.running, 1u);
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
  EXPECT_THAT(rig.applied.back().reason, testing::HasSubstr("booted 3 times"));
}

TEST(Restart, ClientsThatAreKilledAgainAndAgainInOneBootDoNotCondemnARelease) {
  MachineFixture rig;
  rig.facts.machine_boot = 7;
  ASSERT_NO_FATAL_FAILURE(try_second_release(rig));
  for (std::uint32_t i = 0; i < limits::kTryClientStartsMax; ++i) {
    rig.power_cut();
    rig.settle();
    ASSERT_EQ(rig.phase(), "trying") << "restart " << i + 1;
  }
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r2");
}

TEST(Restart, AClientThatNeverStaysUpGoesBackInTheEnd) {
  MachineFixture rig;
  rig.facts.machine_boot = 7;
  ASSERT_NO_FATAL_FAILURE(try_second_release(rig));
  for (std::uint32_t i = 0; i <= limits::kTryClientStartsMax; ++i) {
    rig.power_cut();
    rig.settle();
  }
  rig.run(1'000);
  EXPECT_EQ(rig.running, 1u);
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
  EXPECT_THAT(rig.applied.back().reason, testing::HasSubstr("restarted 65 times"));
}

TEST(Restart, BootsCountAlthoughTheClientKnowsThemApart) {
  MachineFixture rig;
  rig.facts.machine_boot = 7;
  ASSERT_NO_FATAL_FAILURE(try_second_release(rig));
  for (std::uint32_t i = 0; i < limits::kTryStartsMax; ++i) {
    ++rig.facts.machine_boot;
    rig.power_cut();
    rig.settle();
  }
  rig.run(1'000);
  EXPECT_EQ(rig.running, 1u);
  EXPECT_EQ(rig.applied.back().step, Step::rolled_back);
}

TEST(Restart, ATryGoesOnAfterOneRestart) {
  MachineFixture rig;
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  rig.run(1'000);
  ASSERT_EQ(rig.phase(), "trying");
  rig.power_cut();
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

TEST(Restart, TheSwitchIsInTheStateFileBeforeAnythingSaysSo) {
  MachineFixture rig;
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  std::size_t committed_reports = 0;
  rig.drop = [&](const Effect& effect) {
    if (const auto* publish = std::get_if<Publish>(&effect)) {
      const auto topic = rig.topics.parse(publish->topic);
      if (topic->kind != wire::TopicKind::device_report) return false;
      const auto envelope = trust::parse_envelope(publish->payload);
      if (wire::decode_report(envelope->payload)->step != Step::committed) return false;
      const auto state = decode_state(rig.disk);
      EXPECT_TRUE(state && state->revisions.current && state->revisions.current->info.release == "r1");
      EXPECT_EQ(state->reports.pending.back().envelope, publish->payload) << "byte for byte as sent";
      ++committed_reports;
    }
    return false;
  };
  rig.run(10'000);
  EXPECT_EQ(committed_reports, 1u);
}

TEST(Restart, ARestartInTheMiddleOfAWaitWaitsAnew) {
  MachineFixture rig;
  rig.boot();
  rig.connect();
  rig.bad_releases = {"r1"};
  auto one = rig.release(1);
  one.policy.attempts_max = 2;
  one.policy.backoff_s = 20;
  rig.publish(one);
  rig.run(5'000);
  ASSERT_EQ(rig.phase(), "waiting");
  rig.power_cut();
  rig.bad_releases.clear();
  rig.run(15'000);
  EXPECT_EQ(rig.phase(), "waiting");
  rig.run(20'000);
  EXPECT_EQ(rig.running_release(), "r1");
}

TEST(Restart, ATornStateFileIsDetected) {
  MachineFixture rig;
  tell_story(rig, false);
  const auto good = rig.disk;
  Effects effects;
  for (const std::size_t size : {std::size_t{1}, good.size() / 2, good.size() - 1}) {
    const auto torn = ByteView(good).first(size);
    const auto loaded = Machine::load(rig.facts, rig.device_key, rig.topics, torn, rig.pinned_root, rig.now(), effects);
    ASSERT_FALSE(loaded.has_value());
    EXPECT_EQ(loaded.error().code, Code::corrupt);
  }
}

TEST(Restart, APinnedRootThatDoesNotVerifyStopsTheStart) {
  MachineFixture rig;
  auto pinned = rig.pinned_root;
  pinned.back() ^= 1;
  Effects effects;
  const auto loaded = Machine::load(rig.facts, rig.device_key, rig.topics, {}, pinned, rig.now(), effects);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message, testing::HasSubstr("pinned root"));
  EXPECT_TRUE(effects.empty());
}

TEST(Restart, SessionsRiseOverRestarts) {
  MachineFixture rig;
  rig.boot();
  rig.connect();
  rig.serves = false;
  rig.publish(rig.release(1));
  rig.settle();
  const auto before = rig.fetches.back().session;
  rig.power_cut();
  rig.settle();
  EXPECT_GT(rig.fetches.back().session, before);
}

TEST(Restart, BytesOfTheAttemptSurviveAPowerCut) {
  MachineFixture rig;
  rig.boot();
  rig.connect();
  rig.serves = false;
  rig.publish(rig.release(1));
  rig.settle();
  auto fetch = rig.fetches.back();
  fetch.window_bytes = 45'000;
  rig.serve(fetch);
  rig.settle();
  rig.power_cut();
  rig.serves = true;
  rig.disconnect();
  rig.connect();
  rig.run(10'000);
  EXPECT_EQ(rig.running_release(), "r1");
  EXPECT_GE(rig.applied.back().bytes_fetched, rig.applied.back().bytes_planned);
}

// --- reports -------------------------------------------------------------------------------------------

TEST(Reports, AreSentAgainUntilAcked) {
  MachineFixture rig;
  rig.acks = false;
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  rig.run(10'000);
  EXPECT_EQ(rig.applied.size(), 4u);
  EXPECT_EQ(rig.view().pending_reports, 4u);
  const auto sent = rig.sent.size();
  rig.run(60'000);
  EXPECT_GT(rig.sent.size(), sent);
  EXPECT_LE(rig.sent.size(), sent + 4 * 4) << "with growing pauses";
  rig.acks = true;
  rig.run(60'000);
  EXPECT_EQ(rig.view().pending_reports, 0u);
  EXPECT_EQ(rig.applied.size(), 4u) << "each is applied once";
}

TEST(Reports, WaitForTheConnectionAndFollowTheHello) {
  MachineFixture rig;
  rig.acks = false;
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.disconnect();
  rig.trace.clear();
  rig.sent.clear();
  rig.acks = true;
  rig.connect();
  ASSERT_GE(rig.trace.size(), 5u);
  EXPECT_EQ(rig.trace[0], "hello");
  for (std::size_t i = 1; i <= 4; ++i) EXPECT_EQ(rig.trace[i], "report");
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(rig.sent[i].sequence, i + 1);
}

TEST(Reports, ABrokerThatLostItsStoreGoesOnFromTheHello) {
  MachineFixture rig;
  tell_story(rig, false);
  rig.disconnect();
  rig.forget_applied(0);
  rig.connect();
  EXPECT_EQ(rig.hellos.back().acked_sequence, 8u);
  rig.applied.clear();
  rig.publish(rig.release(3));
  rig.run(10'000);
  EXPECT_EQ(rig.applied.size(), 4u);
  EXPECT_EQ(rig.applied.front().sequence, 9u);
}

TEST(Reports, ADeviceThatLostItsStateGoesOnAfterWhatTheBrokerKnows) {
  MachineFixture rig;
  tell_story(rig, false);
  rig.disk.clear();
  rig.folders.clear();
  rig.applied.clear();
  rig.power_cut();
  rig.run(20'000);
  EXPECT_EQ(rig.hellos.back().last_sequence, 9u) << "a second hello, once the numbers are known";
  EXPECT_EQ(rig.running_release(), "r2");
  EXPECT_EQ(rig.applied.size(), 4u) << "nothing is taken for a duplicate of what the lost state had sent";
  EXPECT_EQ(rig.applied.front().sequence, 9u);
}

TEST(Reports, ARefusingBrokerIsAskedRarely) {
  MachineFixture rig;
  rig.acks = false;
  rig.boot();
  rig.connect();
  rig.publish(rig.release(1));
  rig.run(10'000);
  rig.ack(0, Code::untrusted_key);
  rig.settle();
  EXPECT_TRUE(rig.logged("does not take this device's reports (untrusted_key)"));
  const auto sent = rig.sent.size();
  rig.run(200'000);
  EXPECT_EQ(rig.sent.size(), sent);
}

TEST(Reports, TheHelloTellsTheWholeState) {
  MachineFixture rig;
  tell_story(rig, true);
  rig.give(FreeSpace{12'345});
  rig.disconnect();
  rig.connect();
  const auto& hello = rig.hellos.back();
  EXPECT_EQ(hello.device, rig.facts.device);
  EXPECT_EQ(hello.key, rig.device_key.public_key());
  ASSERT_TRUE(hello.running.has_value());
  EXPECT_EQ(hello.running->release, "r1");
  EXPECT_EQ(hello.step, Step::rolled_back);
  EXPECT_EQ(hello.rollout, MachineFixture::rollout_of(rig.release(2)));
  EXPECT_EQ(hello.free_bytes, 12'345u);
  EXPECT_EQ(hello.last_sequence, rig.view().last_report);
  EXPECT_EQ(hello.boot, 1u);
  EXPECT_EQ(hello.connect, 2u);
}

}  // namespace
}  // namespace instar::revision

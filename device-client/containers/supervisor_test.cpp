#include "device-client/containers/supervisor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"
#include "device-client/containers/run_record.hpp"
#include "device-client/testing/supervisor_fixture.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
class SupervisorTest : public SupervisorFixture {};

TEST_F(SupervisorTest, StartsTheFirstRevisionInOrder) {
  const auto first = staged(1, manifest({container("b", 2, 5), container("a", 1, 1)}));
  supervisor->start_try({0, 1, first});
  const auto started = only<revision::TryStarted>(work());
  EXPECT_EQ(started.revision, 1U);
  EXPECT_EQ(started.downtime_ms, 0U) << "nothing ran before";
  EXPECT_THAT(helper.take_calls(), ElementsAre("start d.a -- /bin/a an argument", "start d.b -- /bin/b an argument"));
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_TRUE(std::filesystem::is_directory(folder / "revisions/1/containers/a/upper"));
  EXPECT_THAT(supervisor->revisions_in_use(), ElementsAre(1U));
  EXPECT_EQ(read_run_record(folder / "lxc/d.a")->revision, 1U);
}

TEST_F(SupervisorTest, AnImageIsNamedBesideTheConfigurationAndATreeTakesItAwayAgain) {
  auto first = manifest({container("a", 1)});
  wire::Artifact image;
  image.id = first.containers[0].artifact;
  image.kind = wire::ArtifactKind::image;
  image.image_format = wire::ImageFormat::erofs;
  first.artifacts = {image};
  supervisor->start_try({0, 1, staged(1, first)});
  work();
  const auto text = files::read_file(folder / "lxc/d.a/image", 4096);
  ASSERT_TRUE(text);
  EXPECT_THAT(std::string(as_text(*text)),
              HasSubstr("erofs\n" + folder.path() + "/revisions/1/artifacts/" + image.id.hex() + "/tree/image\n"));
  EXPECT_TRUE(std::filesystem::is_directory(folder / "revisions/1/containers/a/upper"));
  helper.take_calls();
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 1)}))});
  work();
  EXPECT_THAT(helper.take_calls(), ElementsAre("state d.a", "stop d.a", "start d.a -- /bin/a an argument"));
  EXPECT_TRUE(files::read_file(folder / "lxc/d.a/image", 4096)->empty());
}

TEST_F(SupervisorTest, SwitchRestartsOnlyWhatChangedAndMeasuresDowntime) {
  supervisor->start_try(
      {0, 1, staged(1, manifest({container("a", 1, 1), container("b", 2, 2), container("c", 3, 3)}))});
  work();
  helper.take_calls();
  const int kept = helper.pid("d.a");
  supervisor->start_try(
      {1, 2, staged(2, manifest({container("a", 1, 1), container("b", 9, 2), container("e", 4, 3)}))});
  const auto started = only<revision::TryStarted>(work());
  EXPECT_EQ(started.revision, 2U);
  EXPECT_GE(started.downtime_ms, 50U) << "each stop takes 50 ms here";
  EXPECT_THAT(helper.take_calls(), ElementsAre("state d.a d.b d.c", "stop d.c", "stop d.b",
                                               "start d.b -- /bin/b an argument", "start d.e -- /bin/e an argument"));
  EXPECT_EQ(helper.pid("d.a"), kept);
  EXPECT_THAT(supervisor->revisions_in_use(), ElementsAre(1U, 2U)) << "a still stands on revision 1's tree";
  EXPECT_FALSE(std::filesystem::exists(folder / "lxc/d.c")) << "what is not wanted any more leaves no configuration";
}

TEST_F(SupervisorTest, AProgramThatCostsTheSwitchItsTimeIsReported) {
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  EXPECT_EQ(only<revision::TryStarted>(work()).remark, "");
  helper.end_as("d.a", "deaf");
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 2)}))});
  EXPECT_EQ(only<revision::TryStarted>(work()).remark, "") << "that costs nothing";
  helper.end_as("d.a", "late");
  supervisor->start_try({2, 3, staged(3, manifest({container("a", 3)}))});
  EXPECT_THAT(only<revision::TryStarted>(work()).remark, HasSubstr("container d.a did not react to SIGTERM in "));
}

TEST_F(SupervisorTest, ContainersThatReachOthersFindTheHostsResolver) {
  const auto copy = folder / "names/resolv.conf";
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  work();
  EXPECT_FALSE(std::filesystem::exists(copy)) << "this one reaches nobody";
  config.network = Network::host;
  restart_daemon();
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 2)}))});
  work();
  const auto host = files::read_file("/etc/resolv.conf", 65'536);
  EXPECT_EQ(std::filesystem::exists(copy), host && !host->empty());
  EXPECT_LE(*supervisor->next_deadline(now()), now() + limits::kResolverLookMs) << "it is looked at now and then";
}

TEST_F(SupervisorTest, GoesBackToWhatRanBefore) {
  const auto old = staged(1, manifest({container("a", 1)}));
  supervisor->start_try({0, 1, old});
  work();
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 2)}))});
  work();
  supervisor->switch_back({2, 1, old});
  EXPECT_EQ(only<revision::SwitchedBack>(work()).revision, 1U);
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_EQ(read_run_record(folder / "lxc/d.a")->revision, 1U);
  EXPECT_THAT(supervisor->revisions_in_use(), ElementsAre(1U));
}

TEST_F(SupervisorTest, GoesBackToNothing) {
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  work();
  supervisor->switch_back({1, 0, std::nullopt});
  EXPECT_EQ(only<revision::SwitchedBack>(work()).revision, 0U);
  EXPECT_FALSE(helper.runs("d.a"));
  EXPECT_THAT(supervisor->revisions_in_use(), IsEmpty());
}

TEST_F(SupervisorTest, KnowsWhatRunsOnlyAfterAskingLxc) {
  EXPECT_TRUE(supervisor->knows_what_runs()) << "no container has a configuration: none can run";
  const auto current = staged(1, manifest({container("a", 1)}));
  supervisor->start_try({0, 1, current});
  EXPECT_FALSE(supervisor->knows_what_runs());
  work();
  EXPECT_TRUE(supervisor->knows_what_runs());
  restart_daemon();
  EXPECT_FALSE(supervisor->knows_what_runs()) << "revision 1 may be in use";
  helper.hang("state");
  supervisor->ensure_running({1, current});
  Events events;
  poll_at({1'000}, events);
  poll_at(supervisor->next_deadline({1'000}).value(), events);
  EXPECT_TRUE(supervisor->is_settled());
  EXPECT_FALSE(supervisor->knows_what_runs()) << "the question was not answered";
}

TEST_F(SupervisorTest, AKilledDaemonFindsItsContainersRunning) {
  const auto current = staged(1, manifest({container("a", 1), container("b", 2)}));
  supervisor->start_try({0, 1, current});
  work();
  const int pid = helper.pid("d.a");
  restart_daemon();
  helper.take_calls();
  supervisor->ensure_running({1, current});
  work(0);
  EXPECT_THAT(helper.take_calls(), ElementsAre("state d.a d.b"));
  EXPECT_EQ(helper.pid("d.a"), pid);
  // It watches them again, too.
  helper.kill_container("d.a");
  const auto stopped = only<revision::ContainerStopped>(work());
  EXPECT_EQ(stopped.container, "a");
  EXPECT_EQ(stopped.revision, 1U);
}

TEST_F(SupervisorTest, EnsureStartsWhatIsDeadAndReplacesWhatIsWrong) {
  const auto current = staged(1, manifest({container("a", 1), container("b", 2)}));
  supervisor->start_try({0, 1, current});
  work();
  const int b = helper.pid("d.b");
  restart_daemon();
  helper.kill_container("d.a");
  supervisor->ensure_running({1, current});
  work(0);
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_EQ(helper.pid("d.b"), b);

  // The daemon was killed in the middle of a switch: one container belongs to the other revision already.
  restart_daemon();
  std::ofstream(folder / "lxc/d.b/instar") << "torn";
  supervisor->ensure_running({1, current});
  work(0);
  EXPECT_NE(helper.pid("d.b"), b) << "a record that cannot be read is no proof";
  EXPECT_TRUE(helper.runs("d.b"));
}

TEST_F(SupervisorTest, ATryAskedForAgainKeepsWhatRunsAndSaysStarted) {
  const auto next = staged(1, manifest({container("a", 1)}));
  supervisor->start_try({0, 1, next});
  work();
  const int pid = helper.pid("d.a");
  restart_daemon();
  supervisor->start_try({0, 1, next});
  EXPECT_EQ(only<revision::TryStarted>(work()).downtime_ms, 0U);
  EXPECT_EQ(helper.pid("d.a"), pid);
}

TEST_F(SupervisorTest, ATryThatCannotStartSaysWhy) {
  helper.fail("start", "d.b", "Failed to exec /bin/b");
  supervisor->start_try(
      {0, 1, staged(1, manifest({container("a", 1, 1), container("b", 2, 2), container("c", 3, 3)}))});
  const auto failed = only<revision::TryFailed>(work());
  EXPECT_EQ(failed.revision, 1U);
  EXPECT_THAT(failed.error.message, HasSubstr("container b"));
  EXPECT_THAT(failed.error.message, HasSubstr("Failed to exec /bin/b"));
  EXPECT_FALSE(helper.runs("d.c")) << "nothing is started after a failure";
}

TEST_F(SupervisorTest, AMissingTreeAForbiddenSettingAndAMissingHelperFailTheTry) {
  supervisor->start_try({0, 7, manifest({container("a", 1)})});
  EXPECT_EQ(only<revision::TryFailed>(work()).error.code, Code::not_found);

  auto forbidden = container("a", 1);
  forbidden.settings = {{"lxc.hook.pre-start", "/bin/sh"}};
  supervisor->start_try({0, 8, staged(8, manifest({forbidden}))});
  EXPECT_EQ(only<revision::TryFailed>(work()).error.code, Code::refused);

  supervisor = std::make_unique<Supervisor>(SupervisorOptions{config, {}, "/nonexistent/instar-lxc", &log});
  supervisor->start_try({0, 9, staged(9, manifest({container("a", 1)}))});
  EXPECT_THAT(only<revision::TryFailed>(work()).error.message, HasSubstr("/nonexistent/instar-lxc"));
}

TEST_F(SupervisorTest, AForbiddenSettingStopsNothing) {
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  work();
  auto forbidden = container("a", 1);
  forbidden.settings = {{"lxc.include", "/etc/passwd"}};
  supervisor->start_try({1, 2, staged(2, manifest({forbidden}))});
  work();
  EXPECT_TRUE(helper.runs("d.a"));
}

TEST_F(SupervisorTest, ASwitchBackThatFailsIsToldAndCanBeAskedForAgain) {
  const auto old = staged(1, manifest({container("a", 1), container("b", 2)}));
  helper.fail("start", "d.a", "no");
  supervisor->switch_back({2, 1, old});
  EXPECT_THAT(only<revision::SwitchBackFailed>(work()).error.message, HasSubstr("container a"));
  EXPECT_TRUE(helper.runs("d.b")) << "what can run does";
  helper.heal("start", "d.a");
  supervisor->switch_back({2, 1, old});
  EXPECT_EQ(only<revision::SwitchedBack>(work()).revision, 1U);
  EXPECT_TRUE(helper.runs("d.a"));
}

TEST_F(SupervisorTest, AnEnsureThatFailsNamesTheContainer) {
  helper.fail("start", "d.a", "no");
  supervisor->ensure_running({1, staged(1, manifest({container("a", 1), container("b", 2)}))});
  const auto stopped = only<revision::ContainerStopped>(work());
  EXPECT_EQ(stopped.container, "a");
  EXPECT_THAT(stopped.detail, HasSubstr("no"));
  EXPECT_TRUE(helper.runs("d.b"));
}

TEST_F(SupervisorTest, AContainerThatCannotBePreparedLeavesTheOrderOfTheOthers) {
  const auto three = manifest({container("a", 1, 1), container("b", 2, 2), container("c", 3, 3)});
  staged(1, three);
  std::filesystem::remove_all(folder / ("revisions/1/artifacts/" + three.containers[1].artifact.hex()));
  supervisor->ensure_running({1, three});
  EXPECT_EQ(only<revision::ContainerStopped>(work()).container, "b");
  EXPECT_THAT(helper.take_calls(), ElementsAre("start d.a -- /bin/a an argument", "start d.c -- /bin/c an argument"));
}

TEST_F(SupervisorTest, ACrashInATryIsToldAtOnce) {
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  work();
  helper.kill_container("d.a");
  const auto stopped = only<revision::ContainerStopped>(work());
  EXPECT_EQ(stopped.revision, 1U);
  EXPECT_EQ(stopped.container, "a");
  EXPECT_THAT(supervisor->revisions_in_use(), IsEmpty());
}

TEST_F(SupervisorTest, AStopOnOurWordIsNoCrash) {
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  work();
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 2)}))});
  EXPECT_EQ(only<revision::TryStarted>(work()).revision, 2U);
}

TEST_F(SupervisorTest, ANewOrderReplacesTheOneUnderWay) {
  const auto old = staged(1, manifest({container("a", 1)}));
  supervisor->start_try({0, 1, old});
  work();
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 2), container("b", 3)}))});
  Events events;
  poll(events);  // its first helper runs now
  supervisor->switch_back({2, 1, old});
  EXPECT_EQ(only<revision::SwitchedBack>(work()).revision, 1U) << "and no TryStarted";
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_FALSE(helper.runs("d.b"));
  EXPECT_EQ(read_run_record(folder / "lxc/d.a")->revision, 1U);
}

TEST_F(SupervisorTest, TellsHowProbesEnd) {
  const auto probe = [&](const std::string& answer) {
    helper.answer_probe("d.a", answer);
    supervisor->run_probe({3, "a", {{"check", "it"}, 500, 1000, 3}}, now());
    return only<revision::ProbeEnded>(work());
  };
  const auto good = probe(R"({"line":"all well","ms":3,"exit":0})");
  EXPECT_TRUE(good.passed);
  EXPECT_EQ(good.revision, 3U);
  EXPECT_EQ(good.container, "a");
  const auto bad = probe(R"({"line":"db is down","ms":3,"exit":4})");
  EXPECT_FALSE(bad.passed);
  EXPECT_EQ(bad.detail, "exit code 4: db is down");
  EXPECT_EQ(probe(R"({"line":"","ms":500,"timed_out":true})").detail, "timed out after 500 ms");
  EXPECT_FALSE(probe(R"({"line":"","ms":500,"timed_out":true})").passed);
  EXPECT_EQ(probe(R"({"line":"","ms":5,"signal":11})").detail, "killed by signal 11");
  EXPECT_FALSE(probe("garbage").passed);
  EXPECT_FALSE(probe(R"({"error":"the container is not running"})").passed);
  EXPECT_THAT(helper.take_calls(), ::testing::Contains("probe d.a -- check it"));
}

TEST_F(SupervisorTest, AHelperThatHangsIsKilledInTheEnd) {
  supervisor->start_try({0, 1, staged(1, manifest({container("a", 1)}))});
  work();
  helper.hang("state");
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 2)}))});
  Events events;
  poll_at({1'000}, events);
  const auto deadline = supervisor->next_deadline({1'000});
  ASSERT_TRUE(deadline.has_value());
  poll_at(*deadline, events);
  EXPECT_THAT(only<revision::TryFailed>(events).error.message, HasSubstr("did not answer in time"));
  EXPECT_TRUE(helper.runs("d.a")) << "the old one runs on";
}

TEST_F(SupervisorTest, MakesVolumesOnceWithTheirOwner) {
  auto with = container("a", 1);
  with.volumes = {{"db", "/var/lib/db", 0750, 1234, 567}};
  supervisor->start_try({0, 1, staged(1, manifest({with}))});
  work();
  struct stat made {};
  ASSERT_EQ(::stat((folder / "volumes/db").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 07777U, 0750U);
  if (::geteuid() == 0) {
    EXPECT_EQ(made.st_uid, 1234U);
  }
  std::ofstream(folder / "volumes/db/precious") << "x";
  ASSERT_EQ(::chmod((folder / "volumes/db").c_str(), 0700), 0);
  with.init.push_back("changed");
  supervisor->start_try({1, 2, staged(2, manifest({with}))});
  work();
  EXPECT_TRUE(std::filesystem::exists(folder / "volumes/db/precious"));
  ASSERT_EQ(::stat((folder / "volumes/db").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 07777U, 0700U) << "what is there is left alone";
}

}  // namespace
}  // namespace instar::device

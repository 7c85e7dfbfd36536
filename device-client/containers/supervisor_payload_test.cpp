// The supervisor with payloads of host handlers. The handlers are scripts that note how they were called; containers
// are those of the stand-in for instar-lxc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "core/revision/requirements.hpp"
#include "device-client/testing/supervisor_fixture.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

wire::Container payload(const std::string& name, std::uint8_t artifact, const std::string& kind = "kernel") {
  wire::Container made;
  made.name = name;
  made.artifact.bytes.fill(artifact);
  made.handler = kind;
  return made;
}

class SupervisorPayloadTest : public SupervisorFixture {
 protected:
  SupervisorPayloadTest() {
    std::filesystem::create_directories(folder / "handlers");
    config.handlers_dir = folder / "handlers";
    write_handler("kernel", "exit 0");
    restart_daemon();
  }
  // The handler notes its call ("install 0101 of boot") and then does this.
  void write_handler(const std::string& kind, const std::string& then) {
    const auto path = folder / ("handlers/" + kind);
    std::ofstream(path)
        << "#!/bin/sh\necho \"$1 $(basename \"$(dirname \"$INSTAR_PAYLOAD\")\" | cut -c1-4) of $INSTAR_NAME\" >> "
        << (folder / "calls") << "\n[ \"$1\" = \"$INSTAR_ACTION\" ] && [ -d \"$INSTAR_STATE\" ] || exit 99\n"
        << then << "\n";
    ::chmod(path.c_str(), 0755);
  }
  std::vector<std::string> calls() {
    std::ifstream file(folder / "calls");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    std::filesystem::remove(folder / "calls");
    return lines;
  }
  PayloadState state(const std::string& name) {
    for (const auto& record : read_payload_records(config.state_dir))
      if (record.name == name) return record.state;
    ADD_FAILURE() << "no record of " << name;
    return {};
  }
};

TEST_F(SupervisorPayloadTest, IsInstalledBeforeContainersAreStoppedAndCommittedLater) {
  const auto one = staged(1, manifest({container("a", 1), payload("boot", 1)}));
  supervisor->start_try({0, 1, one});
  only<revision::TryStarted>(work());
  EXPECT_THAT(calls(), ElementsAre("install 0101 of boot"));
  EXPECT_TRUE(helper.runs("d.a"));
  EXPECT_EQ(state("boot"), PayloadState::installed);
  supervisor->ensure_running({1, one});
  work(0);
  EXPECT_THAT(calls(), ElementsAre("commit 0101 of boot"));
  EXPECT_EQ(state("boot"), PayloadState::committed);
  restart_daemon();
  supervisor->ensure_running({1, one});
  work(0);
  EXPECT_THAT(calls(), IsEmpty()) << "once";

  helper.take_calls();
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 1), payload("boot", 2)}))});
  EXPECT_EQ(only<revision::TryStarted>(work()).downtime_ms, 0U) << "the container runs on";
  EXPECT_THAT(calls(), ElementsAre("install 0202 of boot"));
  supervisor->switch_back({2, 1, one});
  only<revision::SwitchedBack>(work());
  EXPECT_THAT(calls(), ElementsAre("rollback 0101 of boot"));
  EXPECT_EQ(state("boot"), PayloadState::committed);
}

TEST_F(SupervisorPayloadTest, OneThatFailsEndsTheTryBeforeAnyContainerIsTouched) {
  const auto one = staged(1, manifest({container("a", 1)}));
  supervisor->start_try({0, 1, one});
  work();
  helper.take_calls();
  write_handler("kernel", "echo writing; echo 'no such partition' >&2; [ $1 = rollback ] || exit 3");
  supervisor->start_try({1, 2, staged(2, manifest({container("a", 2), payload("boot", 2)}))});
  EXPECT_THAT(only<revision::TryFailed>(work()).error.message,
              HasSubstr("handler kernel, install of payload boot: exit code 3: no such partition"));
  EXPECT_THAT(helper.take_calls(), IsEmpty());
  calls();
  // The handler may have done half of its work, so it is asked to roll back.
  supervisor->switch_back({2, 1, one});
  only<revision::SwitchedBack>(work());
  EXPECT_THAT(calls(), ElementsAre("rollback . of boot")) << "to nothing: the release before has none";
  EXPECT_THAT(read_payload_records(config.state_dir), IsEmpty());
}

TEST_F(SupervisorPayloadTest, ADaemonThatWasKilledAsksAgain) {
  write_handler("kernel", "sleep 1000");
  const auto one = staged(1, manifest({payload("boot", 1)}));
  supervisor->start_try({0, 1, one});
  Events none;
  poll(none);
  EXPECT_EQ(state("boot"), PayloadState::installing);
  write_handler("kernel", "exit 0");
  restart_daemon();
  supervisor->start_try({0, 1, one});
  only<revision::TryStarted>(work());
  EXPECT_EQ(state("boot"), PayloadState::installed);
}

TEST_F(SupervisorPayloadTest, VerifyIsItsProbe) {
  const auto one = staged(1, manifest({payload("boot", 1)}));
  supervisor->start_try({0, 1, one});
  work();
  calls();
  supervisor->run_probe({1, "boot", {{"verify"}, 5'000, 1'000, 3}}, now());
  EXPECT_TRUE(only<revision::ProbeEnded>(work()).passed);
  EXPECT_THAT(calls(), ElementsAre("verify 0101 of boot"));
  write_handler("kernel", "echo 'runs 6.1, not 6.6'; exit 1");
  supervisor->run_probe({1, "boot", {{"verify"}, 5'000, 1'000, 3}}, now());
  const auto ended = only<revision::ProbeEnded>(work());
  EXPECT_FALSE(ended.passed);
  EXPECT_EQ(ended.detail, "exit code 1: runs 6.1, not 6.6");
  // A handler that leaves something running, and one that closes its output and runs on.
  write_handler("kernel", "sleep 1000 & exit 0");
  supervisor->run_probe({1, "boot", {{"verify"}, 5'000, 1'000, 3}}, now());
  EXPECT_TRUE(only<revision::ProbeEnded>(work()).passed);
  write_handler("kernel", "exec >/dev/null 2>&1; sleep 1000");
  supervisor->run_probe({1, "boot", {{"verify"}, 300, 1'000, 3}}, now());
  EXPECT_THAT(only<revision::ProbeEnded>(work()).detail, HasSubstr("did not end in time"));
}

TEST_F(SupervisorPayloadTest, OneThatNeedsABootGetsItOnlyWhereTheOwnerSaysHow) {
  write_handler("kernel", "[ -e " + (folder / "booted") + " ] || exit 10");
  const auto one = staged(1, manifest({payload("boot", 1)}));
  supervisor->start_try({0, 1, one});
  EXPECT_THAT(only<revision::TryFailed>(work()).error.message,
              HasSubstr("does not say how to make one (reboot_command)"));
  config.reboot_command = "touch " + (folder / "booted");
  restart_daemon();
  supervisor->start_try({0, 1, one});
  Events none;
  for (int i = 0; i < 500 && !std::filesystem::exists(folder / "booted"); ++i) {
    poll(none);
    ::usleep(10'000);
  }
  for (int i = 0; i < 20; ++i) {
    poll(none);
    ::usleep(10'000);
  }
  EXPECT_THAT(none, IsEmpty()) << "no verdict until the device has booted";
  EXPECT_EQ(state("boot"), PayloadState::installing);
  calls();
  restart_daemon();
  supervisor->start_try({0, 1, one});
  only<revision::TryStarted>(work());
  EXPECT_THAT(calls(), ElementsAre("install 0101 of boot")) << "it says what came of it";
}

TEST_F(SupervisorPayloadTest, ACommitThatFailsIsTriedAgainAndContainersRunAllTheSame) {
  write_handler("kernel", "[ $1 != commit ] || { echo busy; exit 1; }");
  const auto one = staged(1, manifest({container("a", 1), payload("boot", 1)}));
  supervisor->ensure_running({1, one});
  const auto stopped = only<revision::ContainerStopped>(work());
  EXPECT_EQ(stopped.container, "boot");
  EXPECT_THAT(stopped.detail, HasSubstr("handler kernel, commit of payload boot: exit code 1: busy"));
  EXPECT_TRUE(helper.runs("d.a"));
  write_handler("kernel", "exit 0");
  supervisor->ensure_running({1, one});
  work(0);
  EXPECT_EQ(state("boot"), PayloadState::committed);
}

TEST_F(SupervisorPayloadTest, AClientIsAskedForItsVersionAndThenRunInThisOnesPlace) {
  const auto one = staged(1, manifest({payload("client", 1, std::string(revision::kClientHandler))}));
  supervisor->start_try({0, 1, one});
  EXPECT_THAT(only<revision::TryFailed>(work()).error.message,
              HasSubstr("no program instar-device at the top of its tree"));
  const auto program = folder / ("revisions/1/artifacts/" + one.containers[0].artifact.hex() + "/tree/instar-device");
  std::ofstream(program) << "#!/bin/sh\necho 'wrong architecture' >&2\nexit 126\n";
  ::chmod(program.c_str(), 0755);
  supervisor->start_try({0, 1, one});
  EXPECT_THAT(only<revision::TryFailed>(work()).error.message, HasSubstr("exit code 126: wrong architecture"));
  EXPECT_FALSE(ClientSlots(config.state_dir).trying().has_value());

  std::ofstream(program) << "#!/bin/sh\n[ \"$1\" = version ]\n";
  supervisor->start_try({0, 1, one});
  Events none;
  for (int i = 0; i < 500 && !supervisor->wants_other_client(); ++i) {
    poll(none);
    ::usleep(10'000);
  }
  EXPECT_TRUE(supervisor->wants_other_client());
  EXPECT_EQ(ClientSlots(config.state_dir).trying(), one.containers[0].artifact);
  EXPECT_FALSE(supervisor->is_settled());
  // The client before runs again, because the new one was given up.
  restart_daemon();
  supervisor->start_try({0, 1, one});
  EXPECT_THAT(only<revision::TryFailed>(work()).error.message, HasSubstr("it was started and did not come so far"));
  supervisor->switch_back({1, 0, std::nullopt});
  only<revision::SwitchedBack>(work());
  EXPECT_FALSE(ClientSlots(config.state_dir).trying().has_value());
  EXPECT_FALSE(supervisor->wants_other_client()) << "the right one runs";

  // In the new client the job goes on.
  supervisor->start_try({0, 1, one});
  for (int i = 0; i < 500 && !supervisor->wants_other_client(); ++i) {
    poll(none);
    ::usleep(10'000);
  }
  ::setenv("INSTAR_CLIENT_ARTIFACT", one.containers[0].artifact.hex().c_str(), 1);
  restart_daemon();
  supervisor->start_try({0, 1, one});
  only<revision::TryStarted>(work());
  supervisor->ensure_running({1, one});
  work(0);
  EXPECT_EQ(ClientSlots(config.state_dir).current(), one.containers[0].artifact);
  EXPECT_FALSE(ClientSlots(config.state_dir).trying().has_value());
  // Taken back later, it leaves its place to the system's own client.
  supervisor->switch_back({1, 0, std::nullopt});
  for (int i = 0; i < 500 && !supervisor->wants_other_client(); ++i) {
    poll(none);
    ::usleep(10'000);
  }
  ::unsetenv("INSTAR_CLIENT_ARTIFACT");
}

}  // namespace
}  // namespace instar::device

#include "device-client/containers/probes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace instar::device {
namespace {

using ::testing::HasSubstr;

const revision::RunProbe kProbe{3, "a", {{"check"}, 500, 1'000, 3}};

HelperCommand shell(const std::string& script) {
  return {"/bin/sh", {"-c", script}, {60'000, {}, true}};
}

revision::ProbeEnded result(const HelperCommand& command, Probes::Runner runner) {
  Probes probes;
  probes.start(kProbe, command, runner, {1'000});
  EXPECT_TRUE(probes.next_deadline({1'000}));
  std::vector<revision::Event> events;
  while (events.empty()) {
    probes.poll({1'000}, events);
    ::usleep(1'000);
  }
  EXPECT_FALSE(probes.next_deadline({1'000}));
  EXPECT_TRUE(probes.fds().empty());
  return std::get<revision::ProbeEnded>(events.front());
}

TEST(Probes, AHandlerAnswersByItsExitCode) {
  const auto good = result(shell("echo fine"), Probes::Runner::handler);
  EXPECT_TRUE(good.passed);
  EXPECT_EQ(good.revision, 3U);
  EXPECT_EQ(good.container, "a");
  const auto bad = result(shell("echo 'runs 6.1, not 6.6'; exit 1"), Probes::Runner::handler);
  EXPECT_FALSE(bad.passed);
  EXPECT_EQ(bad.detail, "exit code 1: runs 6.1, not 6.6");
}

TEST(Probes, TheHelperPrintsHowTheCommandEnded) {
  const auto answer = [](const std::string& line) {
    return result(shell("echo '" + line + "'"), Probes::Runner::lxc_helper);
  };
  EXPECT_TRUE(answer(R"({"line":"all well","exit":0})").passed);
  EXPECT_EQ(answer(R"({"line":"db is down","exit":4})").detail, "exit code 4: db is down");
  EXPECT_EQ(answer(R"({"line":"","timed_out":true})").detail, "timed out after 500 ms");
  EXPECT_EQ(answer(R"({"line":"","signal":11})").detail, "killed by signal 11");
  EXPECT_FALSE(answer("garbage").passed);
}

TEST(Probes, ACommandThatCannotBeRunHasFailed) {
  const auto ended = result({"/nonexistent/instar-lxc", {}, {1'000}}, Probes::Runner::lxc_helper);
  EXPECT_FALSE(ended.passed);
  EXPECT_THAT(ended.detail, HasSubstr("/nonexistent/instar-lxc"));
}

}  // namespace
}  // namespace instar::device

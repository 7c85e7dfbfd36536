#include "device-client/containers/running_containers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Stands in for a container's init.
class FakeInit {
 public:
  FakeInit() : pid_(::fork()) {
    if (pid_ != 0) return;
    while (true) ::pause();
  }
  ~FakeInit() { end(); }
  FakeInit(const FakeInit&) = delete;
  FakeInit& operator=(const FakeInit&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

ContainerState runs(const std::string& name, pid_t pid, std::uint32_t revision) {
  return {name, true, false, pid, RunRecord{revision, 1, name, {}}};
}

TEST(RunningContainers, KnowsNothingUntilLxcWasAsked) {
  RunningContainers running;
  EXPECT_FALSE(running.is_known());
  running.assert_invariants();
  running.take_states({{"d.a", false, true}}, {1});
  EXPECT_TRUE(running.is_known());
  EXPECT_THAT(running.names(), IsEmpty()) << "it is stopped";
}

TEST(RunningContainers, FindsWhatStopsByItself) {
  FakeInit init;
  RunningContainers running;
  running.take_states({}, {1'000});
  running.started("d.a", 4, init.pid(), {1'000});
  running.assert_invariants();
  EXPECT_TRUE(running.is_well("d.a"));
  EXPECT_THAT(running.revisions(), ElementsAre(4U));
  EXPECT_THAT(running.take_ended({1'100}), IsEmpty());
  init.end();
  const auto ended = running.take_ended({1'500});
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].name, "d.a");
  EXPECT_EQ(ended[0].lived_ms, 500);
  EXPECT_FALSE(running.is_well("d.a"));
  EXPECT_THAT(running.take_ended({1'600}), IsEmpty()) << "once";
}

TEST(RunningContainers, AStopOnPurposeIsNoNews) {
  FakeInit init;
  RunningContainers running;
  running.take_states({runs("d.a", init.pid(), 1)}, {1});
  running.will_stop("d.a");
  running.will_stop("d.unknown");
  EXPECT_FALSE(running.is_well("d.a"));
  init.end();
  EXPECT_THAT(running.take_ended({2}), IsEmpty());
  EXPECT_THAT(running.revisions(), ElementsAre(1U)) << "until LXC has stopped it";
  running.stopped("d.a");
  EXPECT_THAT(running.names(), IsEmpty());
}

TEST(RunningContainers, AskedAgainItRemembersSinceWhenTheSameProcessRuns) {
  FakeInit same;
  FakeInit before;
  FakeInit after;
  RunningContainers running;
  running.take_states({runs("d.a", same.pid(), 1), runs("d.b", before.pid(), 1)}, {1'000});
  ContainerState without_record{"d.b", true, false, after.pid()};
  running.take_states({runs("d.a", same.pid(), 1), without_record}, {2'000});
  EXPECT_THAT(running.revisions(), ElementsAre(0U, 1U)) << "0: unknown";
  same.end();
  after.end();
  const auto ended = running.take_ended({3'000});
  ASSERT_THAT(ended, SizeIs(2));
  EXPECT_EQ(ended[0].lived_ms, 2'000);
  EXPECT_EQ(ended[1].lived_ms, 1'000) << "another process";
}

}  // namespace
}  // namespace instar::device

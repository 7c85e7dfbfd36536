#include "device-client/process/container_pause.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

std::string read_word(const std::string& path) {
  std::string word;
  std::ifstream(path) >> word;
  return word;
}

// Folders like those of both versions of cgroups; a kernel says by itself that a pause is reached.
class ContainerPauseTest : public ::testing::Test {
 protected:
  ContainerPauseTest() {
    for (const auto* name : {"v1", "v2", "pids"}) std::filesystem::create_directory(folder / name);
    std::ofstream(v1) << "THAWED\n";
    std::ofstream(v2) << "0\n";
    std::ofstream(folder / "v2/cgroup.events") << "populated 1\nfrozen 1\n";
  }
  ContainerPause::FindCgroups find() {
    return [this] { return std::vector<std::string>{folder / "v1", folder / "v2", folder / "pids", folder / "gone"}; };
  }
  files::TemporaryFolder folder;
  std::string v1 = folder / "v1/freezer.state";
  std::string v2 = folder / "v2/cgroup.freeze";
};

TEST_F(ContainerPauseTest, PausesAndResumesInBothVersions) {
  ContainerPause pause(find());
  EXPECT_FALSE(pause.is_paused());
  pause.pause();
  EXPECT_TRUE(pause.is_paused());
  EXPECT_EQ(read_word(v1), "FROZEN");
  EXPECT_EQ(read_word(v2), "1");
  pause.resume();
  EXPECT_FALSE(pause.is_paused());
  EXPECT_EQ(read_word(v1), "THAWED");
  EXPECT_EQ(read_word(v2), "0");
  EXPECT_TRUE(std::filesystem::is_empty(folder / "pids")) << "a hierarchy that cannot pause gets no file";
}

TEST_F(ContainerPauseTest, EndsNoLaterThanItself) {
  {
    ContainerPause pause(find());
    pause.pause();
  }
  EXPECT_EQ(read_word(v1), "THAWED");
}

TEST_F(ContainerPauseTest, EndsWhatAKilledClientHasLeftPaused) {
  std::ofstream(v1) << "FROZEN\n";
  std::ofstream(v2) << "1\n";
  const ContainerPause pause(find());
  EXPECT_EQ(read_word(v1), "THAWED");
  EXPECT_EQ(read_word(v2), "0");
}

TEST_F(ContainerPauseTest, LastsWhileThereIsWorkAndNotForLong) {
  ContainerPause pause(find());
  EXPECT_EQ(pause.resume_if_due(true), 0) << "nothing is paused";
  pause.pause();
  EXPECT_EQ(pause.resume_if_due(false), 0);
  EXPECT_FALSE(pause.is_paused()) << "there is no more work";
  pause.pause();
  int rest = 0;
  while (rest == 0) {
    EXPECT_TRUE(pause.is_paused());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    rest = pause.resume_if_due(true);
  }
  EXPECT_FALSE(pause.is_paused());
  EXPECT_GT(rest, 0) << "work waits, so that containers get on";
}

}  // namespace
}  // namespace instar::device

#include "device-client/host.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

// Pages of files that this process has mapped now, in KB.
int mapped_file_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int kb = 0;
    if (word == "RssFile:" && status >> kb) return kb;
  }
  return 0;
}

TEST(Host, PagesOfCodeAreReleasedAndComeBackWhenUsed) {
  const int before = mapped_file_kb();
  let_go_of_code();
  EXPECT_LT(mapped_file_kb(), before);
  EXPECT_GT(mapped_file_kb(), 0);
  EXPECT_FALSE(client_version().empty());
}

TEST(Host, TheConfigurationSaysWhatTheKernelCannotKnowOfItsClock) {
  EXPECT_EQ(read_clock_state(ClockSetting::trusted), wire::ClockState::synchronized);
  EXPECT_EQ(read_clock_state(ClockSetting::free), wire::ClockState::free);
  EXPECT_EQ(read_clock_state(ClockSetting::none), wire::ClockState::none);
  const auto kept = read_clock_state(ClockSetting::automatic);
  EXPECT_TRUE(kept == wire::ClockState::synchronized || kept == wire::ClockState::free);
}

class HostFolder : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  files::TemporaryFolder folder_;
};

TEST_F(HostFolder, ProfilesAreMadeWhereAllThatLxcNeedsIsThere) {
  const auto makes = [&] { return read_host(folder_.path()).apparmor; };
  const std::string enabled = "sys/module/apparmor/parameters/enabled";
  const std::string parser = "sbin/apparmor_parser";
  EXPECT_FALSE(makes());
  write(enabled, "Y\n");
  write("sys/kernel/security/apparmor/features/mount/mask", "mount umount\n");
  write(parser, "");
  std::filesystem::permissions(folder_ / parser, std::filesystem::perms::owner_all);
  write("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
  EXPECT_TRUE(makes());
  write("proc/self/status", "Name:\tx\nCapEff:\t000001fdffffffff\n");
  EXPECT_FALSE(makes()) << "not the right to load profiles";
  write("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
  write(enabled, "N\n");
  EXPECT_FALSE(makes());
  write(enabled, "Y\n");
  std::filesystem::remove(folder_ / parser);
  EXPECT_FALSE(makes());
}

TEST(Host, KnowsWhichKernelsRenameFoldersOfAnOverlay) {
  for (const char* kernel : {"4.10.0", "4.19.0-26-armmp", "5.4", "6.18.44", "10.0"})
    EXPECT_TRUE(renames_folders(kernel)) << kernel;
  for (const char* kernel : {"", "3.18.140", "4.9.337-perf", "4", "x.y"})
    EXPECT_FALSE(renames_folders(kernel)) << kernel;
  EXPECT_GT(read_host().memory_bytes, 0U);
}

TEST(Host, KnowsEveryLimitThatAReleaseCanLower) {
  const auto own = read_host().hard_limits;
  for (const auto name : revision::kResources) EXPECT_TRUE(own.contains(name)) << name;
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(own.find("nofile")->second, files.rlim_max);
}

}  // namespace
}  // namespace instar::device

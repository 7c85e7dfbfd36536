#include "device-client/lxc/cgroup_orphans.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "device-client/process/container_cgroups.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
const auto kNone = [](std::string_view) { return false; };

TEST(CgroupOrphans, ReadsProcessesOfTheWholeSubtreeOnce) {
  std::string pattern = (std::filesystem::temp_directory_path() / "instar-cgroup-XXXXXX").string();
  const std::filesystem::path root = ::mkdtemp(pattern.data());
  std::filesystem::create_directories(root / "pids/lxc.payload.a.b/inner");
  std::filesystem::create_directories(root / "cpu/lxc.payload.a.b");
  std::filesystem::create_directories(root / "cpu/lxc.payload.a.other");
  std::ofstream(root / "pids/lxc.payload.a.b/cgroup.procs") << "100\n7\n";
  std::ofstream(root / "pids/lxc.payload.a.b/inner/cgroup.procs") << "101\n0\n1\n";
  std::ofstream(root / "cpu/lxc.payload.a.b/cgroup.procs") << "100\n";
  std::ofstream(root / "cpu/lxc.payload.a.other/cgroup.procs") << "999\n";
  const auto folders =
      payload_folders({(root / "pids").string(), (root / "cpu").string(), "/nonexistent"}, "a.b", kNone);
  EXPECT_EQ(folders.size(), 2U);
  EXPECT_THAT(cgroup_processes(folders), ElementsAre(7, 100, 101)) << "never 0 or 1";
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace instar::device

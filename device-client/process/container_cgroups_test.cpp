#include "device-client/process/container_cgroups.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace instar::device {
namespace {

using ::testing::ElementsAre;
const auto kNone = [](std::string_view) { return false; };

TEST(ContainerCgroups, FindsTheMountsOfBothVersions) {
  EXPECT_THAT(cgroup_mounts("36 25 0:31 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n"
                            "37 25 0:32 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n"
                            "38 25 0:33 / /mnt/with\\040space rw - cgroup2 none rw\n"
                            "39 25 0:34 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
                            "40 25 0:34 / /sys/fs/cgroupx rw - cgroupfs x rw\n"
                            "garbage\n"),
              ElementsAre("/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/mnt/with space"));
}

TEST(ContainerCgroups, FindsOnlyTheContainersOwnCgroups) {
  EXPECT_TRUE(is_payload_folder("lxc.payload.press.app", "press.app", kNone));
  EXPECT_TRUE(is_payload_folder("lxc.payload.press.app-2", "press.app", kNone)) << "LXC counts on when a name is taken";
  EXPECT_FALSE(is_payload_folder("lxc.payload.press.app-2", "press.app", [](std::string_view n) {
    return n == "press.app-2";
  })) << "a container of its own";
  EXPECT_FALSE(is_payload_folder("lxc.payload.press.app2", "press.app", kNone));
  EXPECT_FALSE(is_payload_folder("lxc.payload.press.app-", "press.app", kNone));
  EXPECT_FALSE(is_payload_folder("lxc.payload.press.app-x", "press.app", kNone));
  EXPECT_FALSE(is_payload_folder("lxc.payload.press.ap", "press.app", kNone));
  EXPECT_FALSE(is_payload_folder("lxc.monitor.press.app", "press.app", kNone));
  EXPECT_FALSE(is_payload_folder("press.app", "press.app", kNone));
}

}  // namespace
}  // namespace instar::device

#include "core/revision/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/revision/requirements.hpp"

namespace instar::revision {
namespace {

wire::Container with(std::string key, std::string value) {
  wire::Container container;
  container.name = "app";
  container.settings = {{std::move(key), std::move(value)}};
  return container;
}

TEST(Settings, WhatOnlyTakesAwayIsSafe) {
  for (const auto* key : {"lxc.cap.drop", "lxc.cgroup.memory.limit_in_bytes", "lxc.cgroup2.memory.max",
                          "lxc.cgroup2.pids.max", "lxc.prlimit.nofile", "lxc.uts.name"}) {
    EXPECT_TRUE(is_safe_setting(key, "1")) << key;
  }
}

TEST(Settings, WhatWouldRaiseIsNot) {
  const auto expect = [](const std::string& key, const std::vector<std::string>& safe,
                         const std::vector<std::string>& raising) {
    for (const auto& value : safe) EXPECT_TRUE(is_safe_setting(key, value)) << key << " = " << value;
    for (const auto& value : raising) EXPECT_FALSE(is_safe_setting(key, value)) << key << " = " << value;
  };
  expect("lxc.tty.max", {"0", "8"}, {"9", "100000", "-1", "", "8 ", "0x8"});
  expect("lxc.pty.max", {"0", "64"}, {"65", "18446744073709551617"});
  expect("lxc.console.buffer.size", {"auto", "131072", "128KB", "128kB", "0"},
         {"1GB", "1MB", "131073", "129KB", "18014398509481984KB", "max"});
  expect("lxc.console.size", {"auto", "4096"}, {"1GB"});
  for (const auto* key : {"lxc.cgroup2.cpu.weight", "lxc.cgroup.blkio.weight"})
    expect(key, {"1", "100"}, {"0", "101", "10000", "default 50", ""});
  expect("lxc.cgroup2.io.weight", {"1", "100", "default 100"},
         {"101", "default 101", "8:0 10", "default 0", "default "});
  expect("lxc.cgroup.cpu.shares", {"2", "1024"}, {"1025"});
  expect("lxc.environment", {"A=1", "A=", "A=b=c"}, {"HOME", "", "=x"});
}

TEST(Settings, AResourceLimitIsANumberOfAKnownResource) {
  for (const auto* value : {"0", "1024", "100:200", "200:200"})
    EXPECT_TRUE(is_safe_setting("lxc.prlimit.nofile", value)) << value;
  for (const auto* value : {"unlimited", "100:unlimited", "unlimited:100", "200:100", "18446744073709551615", "-1", "",
                            "1:", ":1", "1:2:3", "1k"})
    EXPECT_FALSE(is_safe_setting("lxc.prlimit.nofile", value)) << value;
  for (const auto* key : {"lxc.prlimit.", "lxc.prlimit.x", "lxc.prlimit.NOFILE"})
    EXPECT_FALSE(is_safe_setting(key, "1")) << key;
}

TEST(Settings, AResourceLimitNeverExceedsTheDevicesOwn) {
  const HardLimits own = {{"nofile", 4096}, {"rtprio", 0}, {"fsize", UINT64_MAX}};
  const auto lowered = [&](const char* resource, const char* value, std::vector<std::string> allowed = {}) {
    return lowered_value({std::string("lxc.prlimit.") + resource, value}, allowed, own);
  };
  EXPECT_EQ(lowered("nofile", "100"), "100:100");
  EXPECT_EQ(lowered("nofile", "100:8000"), "100:4096");
  EXPECT_EQ(lowered("nofile", "1048576"), "4096:4096");
  EXPECT_EQ(lowered("rtprio", "99"), "0:0");
  EXPECT_EQ(lowered("fsize", "1000000"), "1000000:1000000");
  EXPECT_EQ(lowered("nproc", "5"), "0:0") << "not known";
  EXPECT_EQ(lowered("rtprio", "99", {"lxc.prlimit.*"}), "99") << "the owner allows it";
  EXPECT_EQ(lowered_value({"lxc.uts.name", "99"}, {}, own), "99");
}

TEST(Settings, ARefusedValueNamesWhatWouldDo) {
  const auto refused = check_settings(with("lxc.cgroup2.cpu.weight", "10000"), {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, testing::AllOf(testing::HasSubstr("lxc.cgroup2.cpu.weight = 10000"),
                                                      testing::HasSubstr("a number from 1 to 100")));
  EXPECT_TRUE(check_settings(with("lxc.cgroup2.cpu.weight", "10000"), std::vector<std::string>{"lxc.cgroup2.*"}));
}

TEST(Settings, WhatGivesPowerOverTheHostIsNot) {
  for (const auto* key : {"lxc.mount.entry",
                          "lxc.mount.auto",
                          "lxc.cap.keep",
                          "lxc.hook.pre-start",
                          "lxc.hook.start",
                          "lxc.net.0.link",
                          "lxc.rootfs.path",
                          "lxc.cgroup.devices.allow",
                          "lxc.cgroup2.devices.allow",
                          "lxc.apparmor.profile",
                          "lxc.idmap",
                          "lxc.include",
                          "lxc.init.cmd",
                          "lxc.namespace.keep",
                          "lxc.seccomp.profile",
                          "lxc.sysctl.kernel.msgmax",
                          "lxc.proc.oom_score_adj",
                          "lxc.log.file",
                          "lxc.console.logfile",
                          "lxc.execute.cmd",
                          "lxc.monitor.unshare",
                          "lxc.cgroup.dir",
                          "lxc.ephemeral",
                          "lxc.group"}) {
    EXPECT_FALSE(is_safe_setting(key, "1")) << key;
  }
}

TEST(Settings, SomeAreSafeWithOneValueOnly) {
  EXPECT_TRUE(is_safe_setting("lxc.net.0.type", "empty"));
  EXPECT_FALSE(is_safe_setting("lxc.net.0.type", "none")) << "the host's own network";
  EXPECT_TRUE(is_safe_setting("lxc.no_new_privs", "1"));
  EXPECT_FALSE(is_safe_setting("lxc.no_new_privs", "0"));
}

TEST(Settings, ALineBreakSmugglesNothingIn) {
  EXPECT_FALSE(is_safe_setting("lxc.environment", "A=1\nlxc.cap.keep = sys_admin"));
  const auto refused =
      check_settings(with("lxc.environment", "A=1\nlxc.hook.start = /x"), std::vector<std::string>{"lxc.*"});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_FALSE(check_settings(with("lxc.environment=x", "A"), std::vector<std::string>{"lxc.*"}).has_value());
}

TEST(Settings, ARefusalNamesContainerAndKey) {
  const auto refused = check_settings(with("lxc.mount.entry", "/ mnt"), {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message,
              testing::AllOf(testing::HasSubstr("'app'"), testing::HasSubstr("lxc.mount.entry")));
}

TEST(Settings, TheOwnerAllowsExactKeysAndFamilies) {
  const auto entry = with("lxc.mount.entry", "/ mnt");
  EXPECT_TRUE(check_settings(entry, std::vector<std::string>{"lxc.mount.entry"}).has_value());
  EXPECT_TRUE(check_settings(entry, std::vector<std::string>{"lxc.mount.*"}).has_value());
  EXPECT_FALSE(check_settings(entry, std::vector<std::string>{"lxc.mount"}).has_value());
  EXPECT_FALSE(check_settings(entry, std::vector<std::string>{"lxc.mount.entr"}).has_value());
}

TEST(Versions, AreComparedByTheirNumbers) {
  EXPECT_TRUE(version_at_least("6.1.0-18-amd64", "5.10"));
  EXPECT_TRUE(version_at_least("6.1.0", "6.1"));
  EXPECT_TRUE(version_at_least("6.10", "6.9"));
  EXPECT_FALSE(version_at_least("6.9", "6.10"));
  EXPECT_FALSE(version_at_least("5.10.0", "5.10.1"));
  EXPECT_TRUE(version_at_least("0.1.0", "0.1.0"));
  EXPECT_FALSE(version_at_least("", "0.0.1"));
  EXPECT_TRUE(version_at_least("garbage", "garbage"));
}

}  // namespace
}  // namespace instar::revision

#include "core/revision/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

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
  for (const auto* key : {"lxc.cap.drop", "lxc.environment", "lxc.cgroup.memory.limit_in_bytes",
                          "lxc.cgroup2.memory.max", "lxc.cgroup2.pids.max", "lxc.prlimit.nofile", "lxc.uts.name"}) {
    EXPECT_TRUE(is_safe_setting(key, "1")) << key;
  }
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

#include "device-client/containers/host_names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "core/base/limits.hpp"
#include "device-client/process/container_files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kMark = std::string(kCopyMark) + "\n";

TEST(HostNames, AContainerFindsLocalhostAndItself) {
  EXPECT_EQ(hosts_text("app", ""),
            kMark + "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 app\n");
}

TEST(HostNames, OtherMachinesAreThoseOfTheHostAndItsOwnNamesAreNot) {
  const auto text = hosts_text("app",
                               "127.0.0.1 localhost\n127.0.1.1 gateway\n::1 ip6-localhost\n# a note\n\n"
                               "10.0.0.7\tplc plc-7\nfe80::7 printer");
  EXPECT_THAT(text, HasSubstr("127.0.1.1 app\n10.0.0.7\tplc plc-7\nfe80::7 printer\n"));
  EXPECT_THAT(text, Not(HasSubstr("gateway")));
}

TEST(HostNames, AServerOnLoopbackIsNoneForAnotherNetwork) {
  EXPECT_EQ(resolver_text("nameserver 127.0.0.53\noptions edns0\n"), std::nullopt);
  EXPECT_EQ(resolver_text("nameserver ::1\n"), std::nullopt);
  EXPECT_EQ(resolver_text(""), std::nullopt);
  EXPECT_EQ(resolver_text("# by hand\nsearch plant\nnameserver 127.0.0.1\nnameserver\t10.0.0.2\n"),
            kMark + "search plant\nnameserver\t10.0.0.2\n");
}

class HostNamesOnDisk : public testing::Test {
 protected:
  void host_has(const char* path, const std::string& text) const {
    fs::create_directories(fs::path(folder.path() + path).parent_path());
    fs::remove(folder.path() + path);  // another file of that name, as programs of hosts make it
    std::ofstream(folder.path() + path) << text;
  }
  std::string copy(bool in_host_network) const {
    std::ifstream file(resolver_path(state(), in_host_network));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string state() const { return folder / "state"; }
  files::TemporaryFolder folder;
};

TEST_F(HostNamesOnDisk, CopiesFollowTheHostAndStayTheSameFiles) {
  HostNames names(state(), folder.path());
  host_has("/etc/resolv.conf", "nameserver 10.0.0.2\nsearch a-long-name-of-a-plant\n");
  EXPECT_EQ(names.due(), std::nullopt);
  ASSERT_TRUE(names.refresh({0}));
  EXPECT_EQ(names.due(), MonotonicMs{limits::kResolverLookMs});
  EXPECT_EQ(copy(true), kMark + "nameserver 10.0.0.2\nsearch a-long-name-of-a-plant\n");
  EXPECT_EQ(copy(false), copy(true));
  struct stat before {};
  ASSERT_EQ(::stat(resolver_path(state(), true).c_str(), &before), 0);
  EXPECT_EQ(before.st_mode & 0777U, 0644U) << "programs of containers read it, whoever they are";

  host_has("/etc/resolv.conf", "nameserver 10.0.0.3\n");
  ASSERT_TRUE(names.refresh_now_and_then({limits::kResolverLookMs - 1}));
  EXPECT_THAT(copy(true), HasSubstr("10.0.0.2")) << "it is not looked at all the time";
  ASSERT_TRUE(names.refresh_now_and_then({limits::kResolverLookMs}));
  EXPECT_EQ(copy(true), kMark + "nameserver 10.0.0.3\n");
  struct stat after {};
  ASSERT_EQ(::stat(resolver_path(state(), true).c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino) << "it is bound into containers";
}

TEST_F(HostNamesOnDisk, BehindAServiceOnLoopbackAreTheServersThatItAsks) {
  HostNames names(state(), folder.path());
  host_has("/etc/resolv.conf", "nameserver 127.0.0.53\n");
  ASSERT_TRUE(names.refresh({0}));
  EXPECT_THAT(copy(true), HasSubstr("127.0.0.53"));
  EXPECT_EQ(copy(false), "") << "nobody knows one";
  host_has("/run/systemd/resolve/resolv.conf", "nameserver 10.0.0.9\n");
  ASSERT_TRUE(names.refresh({1}));
  EXPECT_EQ(copy(false), kMark + "nameserver 10.0.0.9\n");
}

TEST_F(HostNamesOnDisk, WhatIsKnownStaysWhileTheHostHasNothing) {
  HostNames names(state(), folder.path());
  host_has("/etc/resolv.conf", "nameserver 10.0.0.2\n");
  ASSERT_TRUE(names.refresh({0}));
  fs::remove(folder.path() + "/etc/resolv.conf");
  ASSERT_TRUE(names.refresh({1}));
  EXPECT_THAT(copy(true), HasSubstr("10.0.0.2"));
  EXPECT_TRUE(HostNames(folder / "other", folder / "nothing").refresh({0}));
  EXPECT_FALSE(fs::exists(folder / "other"));
}

TEST_F(HostNamesOnDisk, OnlyTheHostsNetworkHasTheHostsNames) {
  HostNames names(state(), folder.path());
  host_has("/etc/hosts", "10.0.0.7 plc\n");
  EXPECT_THAT(names.hosts_for("app", true), HasSubstr("10.0.0.7 plc\n"));
  EXPECT_THAT(names.hosts_for("app", false), Not(HasSubstr("plc")));
}

}  // namespace
}  // namespace instar::device

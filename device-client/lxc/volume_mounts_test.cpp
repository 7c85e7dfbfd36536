// Mount points in folders that a release or a container has prepared. Mounts themselves: real/lxc_helper_test.cpp.
#include "device-client/lxc/volume_mounts.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace instar::device {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class VolumeMounts : public testing::Test {
 protected:
  VolumeMounts() {
    char name[] = "/tmp/instar-volumes-XXXXXX";
    top_ = ::mkdtemp(name);
    fs::create_directories(top_ / "root");
    fs::create_directories(top_ / "host");
    root_ = ::open((top_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  ~VolumeMounts() override {
    EXPECT_TRUE(fs::is_empty(top_ / "host")) << "the host was touched";
    ::close(root_);
    fs::remove_all(top_);
  }
  void expect_refused(const std::string& path, const std::string& component, const char* why) {
    const auto made = make_mount_point(root_, {"db", "/nowhere", path});
    ASSERT_FALSE(made.has_value()) << path;
    EXPECT_EQ(made.error().code, Code::refused) << made.error().message;
    EXPECT_THAT(made.error().message,
                AllOf(HasSubstr("volume 'db' at " + path), HasSubstr(why), HasSubstr(component + " ")));
  }
  fs::path top_;
  int root_ = -1;
};

TEST_F(VolumeMounts, MakesWhatIsMissing) {
  fs::create_directories(top_ / "root/var");
  fs::permissions(top_ / "root/var", fs::perms::owner_all);
  const auto made = make_mount_point(root_, {"db", "/nowhere", "/var/lib/my db"});
  ASSERT_TRUE(made.has_value()) << made.error().message;
  struct stat opened {};
  struct stat named {};
  EXPECT_EQ(::fstat(*made, &opened), 0);
  EXPECT_EQ(::stat((top_ / "root/var/lib/my db").c_str(), &named), 0);
  EXPECT_EQ(opened.st_ino, named.st_ino);
  EXPECT_EQ(fs::status(top_ / "root/var").permissions(), fs::perms::owner_all) << "what is there stays as it is";
  ::close(*made);
}

TEST_F(VolumeMounts, NeverPassesALink) {
  const fs::path host = top_ / "host";
  fs::create_directories(top_ / "root/inside");
  fs::create_symlink(host, top_ / "root/absolute");
  fs::create_symlink("../host", top_ / "root/relative");
  fs::create_symlink("inside", top_ / "root/harmless");
  fs::create_symlink(host / "not-there", top_ / "root/inside/dangling");
  expect_refused("/absolute", "/absolute", "passes a link");
  expect_refused("/absolute/etc/systemd", "/absolute", "passes a link");
  expect_refused("/relative/x", "/relative", "passes a link");
  expect_refused("/harmless/x", "/harmless", "passes a link");
  expect_refused("/inside/dangling", "/inside/dangling", "passes a link");
  expect_refused("/inside/dangling/x", "/inside/dangling", "passes a link");
}

TEST_F(VolumeMounts, NeverCoversAFile) {
  std::ofstream(top_ / "root/file") << "text";
  ASSERT_EQ(::mkfifo((top_ / "root/pipe").c_str(), 0600), 0);
  expect_refused("/file", "/file", "passes a file");
  expect_refused("/file/below", "/file", "passes a file");
  expect_refused("/pipe", "/pipe", "passes a file");
}

TEST_F(VolumeMounts, AVolumeThatIsNotThereIsNamed) {
  const auto mounted = mount_volumes({{"db", (top_ / "gone").string(), "/data"}}, (top_ / "root").string());
  ASSERT_FALSE(mounted.has_value());
  EXPECT_EQ(mounted.error().code, Code::not_found);
  EXPECT_THAT(mounted.error().message, AllOf(HasSubstr("volume 'db' at /data"), HasSubstr("gone")));
  EXPECT_FALSE(fs::exists(top_ / "root/data"));
}

}  // namespace
}  // namespace instar::device

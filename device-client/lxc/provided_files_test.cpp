// Copies into /etc of folders that a release or a container has prepared. Mounts: real/container_comforts_test.cpp.
#include "device-client/lxc/provided_files.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

class ProvidedFiles : public testing::Test {
 protected:
  ProvidedFiles() {
    fs::create_directories(root());
    fs::create_directories(folder / "host");
    source(std::string(kCopyMark) + "\nfirst\n");
  }
  fs::path root() const { return folder / "root"; }
  void source(const std::string& text) const { std::ofstream(folder / "source") << text; }
  static std::string read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string hosts() const { return read(root() / "etc/hosts"); }
  std::vector<std::string> provide(const std::string& name = "hosts") const {
    return provide_files({{folder / "source", name, Giving::copy_missing}}, root().string());
  }
  void expect_untouched_host() const { EXPECT_TRUE(fs::is_empty(folder / "host")); }
  files::TemporaryFolder folder;
};

TEST_F(ProvidedFiles, AMissingFileIsCopiedAlsoWhereThereIsNoEtc) {
  EXPECT_THAT(provide(), testing::IsEmpty());
  EXPECT_EQ(hosts(), read(folder / "source"));
  EXPECT_EQ(fs::status(root() / "etc/hosts").permissions(), fs::perms(0644));
}

TEST_F(ProvidedFiles, ACopyOfAnEarlierStartIsReplacedAndAnythingElseStays) {
  EXPECT_THAT(provide(), testing::IsEmpty());
  source(std::string(kCopyMark) + "\nx\n");
  EXPECT_THAT(provide(), testing::IsEmpty());
  EXPECT_EQ(hosts(), std::string(kCopyMark) + "\nx\n");
  std::ofstream(root() / "etc/hosts") << "the container's own\n";
  EXPECT_THAT(provide(), testing::IsEmpty());
  EXPECT_EQ(hosts(), "the container's own\n");
  std::ofstream(root() / "etc/hosts") << "";
  EXPECT_THAT(provide(), testing::IsEmpty());
  EXPECT_EQ(hosts(), read(folder / "source")) << "an empty one is none";
}

TEST_F(ProvidedFiles, NoLinkIsFollowed) {
  fs::create_directories(root() / "etc");
  fs::create_symlink(folder / "host/new", root() / "etc/hosts");
  EXPECT_THAT(provide(), testing::IsEmpty());
  EXPECT_TRUE(fs::is_symlink(root() / "etc/hosts"));
  fs::remove_all(root() / "etc");
  fs::create_symlink(folder / "host", root() / "etc");
  EXPECT_THAT(provide(), testing::IsEmpty());
  expect_untouched_host();
}

TEST_F(ProvidedFiles, WhatIsNoFileStays) {
  fs::create_directories(root() / "etc/hosts");
  ASSERT_EQ(::mkfifo((root() / "etc/pipe").c_str(), 0600), 0);
  EXPECT_THAT(provide(), testing::IsEmpty());
  EXPECT_THAT(provide("pipe"), testing::IsEmpty());
  EXPECT_TRUE(fs::is_directory(root() / "etc/hosts"));
  EXPECT_TRUE(fs::is_fifo(root() / "etc/pipe"));
}

TEST_F(ProvidedFiles, ASourceThatIsNotThereOrEmptyIsNotGiven) {
  source("");
  EXPECT_THAT(provide(), testing::IsEmpty());
  fs::remove(folder / "source");
  EXPECT_THAT(provide(), testing::IsEmpty());
  EXPECT_FALSE(fs::exists(root() / "etc/hosts"));
}

TEST_F(ProvidedFiles, WhatCannotBeGivenIsNamedAndTheRestIsGiven) {
  fs::create_directories(root());
  std::ofstream(root() / "etc") << "a file";
  const auto why = provide_files({{folder / "source", "hosts", Giving::copy_missing}}, (root() / "gone").string());
  ASSERT_EQ(why.size(), 1U);
  EXPECT_THAT(why[0], testing::HasSubstr("gone"));
  EXPECT_THAT(provide(), testing::IsEmpty()) << "an /etc that is no folder is the tree's own way";
  source(std::string(100'000, 'x'));
  fs::remove(root() / "etc");
  EXPECT_THAT(provide(), testing::ElementsAre(testing::HasSubstr("source")));
}

}  // namespace
}  // namespace instar::device

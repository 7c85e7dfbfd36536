#include "device-client/containers/container_folders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;

class ContainerFoldersTest : public ::testing::Test {
 protected:
  ContainerFoldersTest() {
    plan.container = "a";
    plan.lxc_name = "d.a";
    plan.revision = 3;
    plan.start_order = 2;
    plan.tree = folder / "tree";
    plan.writable = folder / "writable";
    plan.lxc_folder = folder / "lxc/d.a";
    plan.init = {"/bin/a", "an argument"};
    plan.config = "lxc.tty.max = 0\n";
    plan.mounts = std::string("db\0/volumes/db\0/var/lib/db\0", 27);
    plan.files = std::string("/source\0hosts\0copy-missing\0", 27);
    plan.host_name = "its-name";
    std::filesystem::create_directories(plan.tree);
  }
  // As LXC sees a container: a folder with a configuration.
  void make_container(const std::string& name) {
    std::filesystem::create_directories(folder / ("lxc/" + name));
    std::ofstream(folder / ("lxc/" + name + "/config")) << "";
  }
  std::string text(const std::string& name) {
    const auto bytes = files::read_file(plan.lxc_folder + name, 4096);
    return bytes ? std::string(as_text(*bytes)) : "missing";
  }

  files::TemporaryFolder folder;
  ContainerFolders folders{DeviceId::parse("d").value(), folder.path()};
  ContainerPlan plan;
};

TEST_F(ContainerFoldersTest, NamesThisDevicesContainersThatHaveAConfiguration) {
  make_container("d.b");
  make_container("d.a");
  make_container("other.a");
  std::filesystem::create_directories(folder / "lxc/d.empty");
  EXPECT_THAT(folders.names(), ElementsAre("d.a", "d.b"));
}

TEST_F(ContainerFoldersTest, WhatCarriesARecordOfThisFoldersClientIsOursWhateverItsName) {
  make_container("former.a");
  std::ofstream(folder / "lxc/former.a/instar") << format_run_record({1, 0, "a", {}});
  make_container("former.b");
  std::ofstream(folder / "lxc/former.b/instar") << format_run_record({1, 0, "another", {}});
  EXPECT_THAT(folders.names(), ElementsAre("former.a")) << "a record of another container says nothing";
}

TEST_F(ContainerFoldersTest, WhatIsInPlaceAlreadyIsNotWritten) {
  ASSERT_TRUE(folders.prepare(plan));
  for (const char* name : {"/config", "/init", "/image", "/volumes", "/instar"})
    std::filesystem::rename(plan.lxc_folder + name + ".next", plan.lxc_folder + name);
  ASSERT_TRUE(folders.prepare(plan));
  EXPECT_EQ(text("/config.next"), "missing");
  EXPECT_EQ(text("/instar.next"), "missing");
  plan.config = "lxc.tty.max = 1\n";
  ASSERT_TRUE(folders.prepare(plan));
  EXPECT_EQ(text("/config.next"), plan.config);
  EXPECT_EQ(text("/init.next"), "missing");
}

TEST_F(ContainerFoldersTest, AFormerNextFileIsWrittenOver) {
  ASSERT_TRUE(folders.prepare(plan));
  std::filesystem::rename(plan.lxc_folder + "/config.next", plan.lxc_folder + "/config");
  std::ofstream(plan.lxc_folder + "/config.next") << "of a release that was given up";
  ASSERT_TRUE(folders.prepare(plan));
  EXPECT_EQ(text("/config.next"), plan.config);
}

TEST_F(ContainerFoldersTest, WritesWhatHoldsFromTheNextStartOn) {
  ASSERT_EQ(::chmod(plan.tree.c_str(), 0711), 0);
  ASSERT_TRUE(folders.prepare(plan));
  EXPECT_EQ(text("/files.next"), plan.files);
  EXPECT_NE(text("/hosts").find("127.0.1.1 its-name\n"), std::string::npos);
  EXPECT_EQ(text("/config.next"), plan.config);
  EXPECT_EQ(text("/init.next"), std::string("/bin/a\0an argument\0", 19));
  EXPECT_EQ(text("/image.next"), "");
  EXPECT_EQ(text("/volumes.next"), plan.mounts);
  const auto record = parse_run_record(text("/instar.next"));
  ASSERT_TRUE(record);
  EXPECT_EQ(*record, (RunRecord{3, 2, "a", plan.fingerprint}));
  EXPECT_FALSE(folders.record("d.a")) << "it was not started yet";
  struct stat upper {};
  ASSERT_EQ(::stat((plan.writable + "/upper").c_str(), &upper), 0);
  EXPECT_EQ(upper.st_mode & 07777U, 0711U) << "as the tree's root";
}

TEST_F(ContainerFoldersTest, AMissingTreeIsAnError) {
  std::filesystem::remove(plan.tree);
  EXPECT_EQ(folders.prepare(plan).error().code, Code::not_found);
}

TEST_F(ContainerFoldersTest, AVolumeIsMadeOnce) {
  plan.volumes = {{"db", "/var/lib/db", 0750, ::geteuid(), ::getegid()}};
  ASSERT_TRUE(folders.prepare(plan));
  struct stat made {};
  ASSERT_EQ(::stat((folder / "volumes/db").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 07777U, 0750U);
  ASSERT_EQ(::chmod((folder / "volumes/db").c_str(), 0700), 0);
  ASSERT_TRUE(folders.prepare(plan));
  ASSERT_EQ(::stat((folder / "volumes/db").c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 07777U, 0700U) << "what is there is left alone";
}

TEST_F(ContainerFoldersTest, RemovesAllButTheGivenOnes) {
  for (const char* name : {"d.a", "d.b", "other.a"}) make_container(name);
  EXPECT_TRUE(folders.remove_all_but({"d.a"}).empty());
  EXPECT_THAT(folders.names(), ElementsAre("d.a"));
  EXPECT_TRUE(std::filesystem::exists(folder / "lxc/other.a")) << "another device's";
}

}  // namespace
}  // namespace instar::device

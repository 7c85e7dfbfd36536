#include "core/wire/volume_paths.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace instar::wire {
namespace {

using artifact::Entry;
using artifact::EntryType;
using ::testing::AllOf;
using ::testing::HasSubstr;

Container with_volume(std::string path) {
  Container container;
  container.name = "app";
  container.volumes = {{"data", std::move(path), 0755, 0, 0}};
  return container;
}

Entry entry(std::string path, EntryType type, std::string target = "") {
  Entry made;
  made.path = std::move(path);
  made.type = type;
  made.target = std::move(target);
  return made;
}

Status check(const std::string& volume, const Entry& against) {
  VolumePaths paths;
  paths.add(with_volume(volume));
  return paths.check(against);
}

TEST(VolumePaths, TheKernelsFoldersAreRefused) {
  for (const auto* path : {"/proc", "/proc/sys", "/sys", "/sys/fs/cgroup", "/dev", "/dev/shm"}) {
    const auto refused = check_volume_paths(with_volume(path));
    ASSERT_FALSE(refused.has_value()) << path;
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_THAT(refused.error().message, AllOf(HasSubstr("'app'"), HasSubstr("'data'"), HasSubstr(path)));
  }
}

TEST(VolumePaths, APathThatIsNotCleanIsRefused) {
  for (const auto* path : {"", "/", "data", "/a/../b", "/..", "/a//b", "/a/", "/./a"}) {
    EXPECT_FALSE(is_volume_path(path)) << path;
    EXPECT_FALSE(check_volume_paths(with_volume(path)).has_value()) << path;
    EXPECT_TRUE(check(path, entry("x", EntryType::file)).has_value()) << path << ": a question that ends";
  }
}

TEST(VolumePaths, NamesThatOnlyBeginLikeThemAreNot) {
  for (const auto* path : {"/process", "/system/x", "/device", "/var/proc", "/data/dev", "/d"})
    EXPECT_TRUE(check_volume_paths(with_volume(path)).has_value()) << path;
}

TEST(VolumePaths, AFolderOfTwoContainersMustBeMeant) {
  auto web = with_volume("/data");
  auto feed = with_volume("/feed");
  web.name = "web";
  feed.name = "feed";
  const auto checked = [&] {
    const std::array<const Container*, 2> both = {&web, &feed};
    const auto done = check_shared_volumes(both);
    return done ? std::string() : done.error().message;
  };
  const auto not_said = AllOf(HasSubstr("'data'"), HasSubstr("'web'"), HasSubstr("'feed'"), HasSubstr("shared"));
  EXPECT_THAT(checked(), not_said);
  feed.volumes[0].shared = true;
  EXPECT_THAT(checked(), not_said) << "both must say it";
  web.volumes[0].shared = true;
  EXPECT_EQ(checked(), "");
  feed.volumes[0].uid = 33;
  EXPECT_THAT(checked(), HasSubstr("the same mode, uid and gid"));
  feed.volumes[0].name = "feed";
  EXPECT_EQ(checked(), "") << "another folder";
}

TEST(VolumePaths, ALinkOnTheWayIsRefusedWithItsTarget) {
  for (const auto* path : {"/var/run", "/var/run/app", "/var/run/app/deep"}) {
    const auto refused = check(path, entry("var/run", EntryType::symlink, "/run"));
    ASSERT_FALSE(refused.has_value()) << path;
    EXPECT_EQ(refused.error().code, Code::refused);
    EXPECT_THAT(refused.error().message,
                AllOf(HasSubstr("'app'"), HasSubstr("'data' at " + std::string(path)), HasSubstr("/var/run -> /run")));
  }
}

TEST(VolumePaths, EverythingElseThatIsNoFolderIsRefusedToo) {
  for (const auto type :
       {EntryType::file, EntryType::hardlink, EntryType::fifo, EntryType::char_device, EntryType::block_device}) {
    const auto refused = check("/srv/app/x", entry("srv/app", type));
    ASSERT_FALSE(refused.has_value()) << static_cast<int>(type);
    EXPECT_THAT(refused.error().message, HasSubstr("/srv/app in its tree is no folder"));
  }
}

TEST(VolumePaths, FoldersOnTheWayAndWhatLiesBesideAreFine) {
  EXPECT_TRUE(check("/var/run/app", entry("", EntryType::directory)).has_value());
  EXPECT_TRUE(check("/var/run/app", entry("var/run", EntryType::directory)).has_value());
  EXPECT_TRUE(check("/var/run/app", entry("var/run/app", EntryType::directory)).has_value());
  EXPECT_TRUE(check("/var/run/app", entry("var/run/application", EntryType::file)).has_value());
  EXPECT_TRUE(check("/var/run/app", entry("var/run/app/below", EntryType::symlink, "/x")).has_value());
  EXPECT_TRUE(check("/var/run/app", entry("run", EntryType::symlink, "/x")).has_value());
}

TEST(VolumePaths, OnlyTheContainersOfATreeCount) {
  Manifest manifest;
  Artifact tree;
  tree.id.bytes.fill(1);
  Artifact image;
  image.id.bytes.fill(2);
  image.kind = ArtifactKind::image;
  manifest.artifacts = {tree, image};
  manifest.containers = {with_volume("/image"), with_volume("/image")};
  manifest.containers[0].artifact = tree.id;
  manifest.containers[1].artifact = image.id;
  const auto file = entry("image", EntryType::file);
  EXPECT_FALSE(VolumePaths(manifest, tree.id).check(file).has_value());
  EXPECT_TRUE(VolumePaths(manifest, image.id).is_empty()) << "the one file of an image's index is no path in it";
  manifest.containers[0].artifact = image.id;
  EXPECT_TRUE(VolumePaths(manifest, tree.id).is_empty());
}

}  // namespace
}  // namespace instar::wire

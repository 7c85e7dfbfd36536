#include "publisher/check/tree_paths.hpp"

#include <gmock/gmock.h>

#include "publisher/check/testing/root_tree.hpp"

namespace instar::publisher {
namespace {

using artifact::EntryType;
using End = PlaceInTree::End;

class TreePathsTest : public testing::Test {
 protected:
  PlaceInTree find(std::string_view path, std::string_view from = "/") {
    entries_ = tree_.entries();
    const TreePaths paths(entries_);
    return paths.find(path, from);
  }
  RootTree tree_;
  std::vector<artifact::Entry> entries_;
};

TEST_F(TreePathsTest, FollowsLinksInsideTheTree) {
  tree_.program("usr/bin/busybox").link("bin", "usr/bin").link("usr/bin/sh", "busybox");
  tree_.link("sbin/init", "/../../bin/sh").hard_link("usr/bin/ash", "usr/bin/busybox");
  for (const auto* path :
       {"/usr/bin/busybox", "/bin/sh", "/sbin/init", "/bin/../bin/./sh", "/usr/bin/ash", "//bin//sh"}) {
    const auto place = find(path);
    ASSERT_EQ(place.end, End::found) << path;
    EXPECT_EQ(place.entry->path, "usr/bin/busybox") << path;
    EXPECT_EQ(what_stands_at(place, path), "") << path;
  }
  EXPECT_EQ(find("sh", "/bin").end, End::found);
  EXPECT_EQ(find("../sbin/init", "/bin").end, End::missing) << ".. is that of the folder behind the link";
}

TEST_F(TreePathsTest, SaysWhereALinkLeads) {
  tree_.link("bin/sh", "dash");
  EXPECT_EQ(what_stands_at(find("/bin/sh"), "/bin/sh"),
            "/bin/sh leads to /bin/dash, which is not in the tree (/bin/sh -> dash)");
  EXPECT_EQ(what_stands_at(find("/bin/ksh"), "/bin/ksh"), "/bin/ksh is not in the tree");
}

TEST_F(TreePathsTest, EndsInCircles) {
  tree_.link("a", "b").link("b", "a").link("self", "self/x");
  EXPECT_EQ(find("/a").end, End::loop);
  EXPECT_EQ(find("/self").end, End::loop);
  for (int i = 0; i < 45; ++i) tree_.link("l" + std::to_string(i), "l" + std::to_string(i + 1));
  tree_.program("l45");
  EXPECT_EQ(find("/l6").end, End::found) << "39 links";
  EXPECT_EQ(find("/l0").end, End::loop) << "45 links, more than Linux follows";
}

TEST_F(TreePathsTest, SeesWhatIsNoFileAndNoFolder) {
  tree_.program("sbin/init").folder("etc").add("dev/null", EntryType::char_device).device_major = 1;
  tree_.add("usr/gone", EntryType::char_device);
  EXPECT_EQ(find("/sbin/init/x").end, End::no_folder);
  EXPECT_THAT(what_stands_at(find("/sbin/init/x"), "/sbin/init/x"), testing::HasSubstr("/sbin/init is no folder"));
  EXPECT_EQ(what_stands_at(find("/etc"), "/etc"), "/etc is a folder, not a file");
  EXPECT_EQ(what_stands_at(find("/dev/null"), "/dev/null"), "/dev/null is a device node, not a file");
  EXPECT_THAT(what_stands_at(find("/usr/gone"), "/usr/gone"), testing::HasSubstr("whiteout"));
  EXPECT_EQ(find("/").entry->type, EntryType::directory);
}

TEST_F(TreePathsTest, WhatIsMountedCoversTheTree) {
  tree_.program("opt/app/run").link("app", "opt/app");
  entries_ = tree_.entries();
  TreePaths paths(entries_);
  paths.cover("/opt/app/", "the volume 'data'");
  paths.cover("mnt", "");
  EXPECT_EQ(paths.find("/app/run").end, End::hidden);
  EXPECT_THAT(what_stands_at(paths.find("/app/run"), "/app/run"), testing::HasSubstr("volume 'data'"));
  EXPECT_EQ(paths.find("/app/run", "/", TreePaths::Covers::taken_off).end, End::found);
  EXPECT_EQ(paths.find("/mnt/x").end, End::unknown);
}

}  // namespace
}  // namespace instar::publisher

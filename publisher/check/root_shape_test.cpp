#include "publisher/check/root_shape.hpp"

#include <gmock/gmock.h>

#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/testing/trees.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

class RootShape : public testing::Test {
 protected:
  void write(const std::string& path) { write_in(folder_.path(), path, as_bytes("x")); }
  std::optional<ShapeDoubt> doubt(const std::string& tree) { return doubt_about_shape(folder_ / tree); }
  // The text of a mistake; empty when there is none.
  std::string mistake(const std::string& tree) {
    const auto found = doubt(tree);
    return found && found->is_mistake ? found->text : "";
  }
  files::TemporaryFolder folder_;
};

TEST_F(RootShape, ARootFileSystemIsNotDoubted) {
  write("debian/usr/bin/x");
  write("debian/etc/x");
  write("busybox/bin/busybox");
  write("small/sbin/init");
  write("data/var/lib/index.json");
  for (const auto* tree : {"debian", "busybox", "small", "data", "not-there"}) EXPECT_FALSE(doubt(tree)) << tree;
  write("file");
  EXPECT_FALSE(doubt("file")) << "an image";
}

TEST_F(RootShape, AnEmptyFolderIsAMistake) {
  ASSERT_TRUE(files::make_folders(folder_ / "empty"));
  EXPECT_THAT(mistake("empty"), HasSubstr("is empty"));
}

TEST_F(RootShape, APartOfAnImageOfContainersIsAMistake) {
  for (const auto* path :
       {"oci/oci-layout", "oci/blobs/sha256/ab", "old-oci/index.json", "old-oci/blobs/sha256/ab", "saved/manifest.json",
        "saved/repositories", "saved/ab12/layer.tar", "saved-2/manifest.json", "saved-2/ab12/layer.tar",
        "saved-3/manifest.json", "saved-3/ab12.tar", "layer/layer.tar", "layer/VERSION"})
    write(path);
  for (const auto* tree : {"oci", "old-oci", "saved", "saved-2", "saved-3", "layer"})
    EXPECT_THAT(mistake(tree), HasSubstr("docker save")) << tree;
}

TEST_F(RootShape, AWholeImageOfContainersIsNotDoubted) {
  for (const auto* path : {"oci/oci-layout", "oci/index.json", "oci/blobs/sha256/ab"}) write(path);
  write_in(folder_.path(), "saved/manifest.json", as_bytes(R"([{"Layers": []}])"));
  write_in(folder_.path(), "dir/manifest.json", as_bytes(R"({"schemaVersion": 2})"));
  for (const auto* tree : {"oci", "saved", "dir"}) EXPECT_FALSE(doubt(tree)) << tree;
}

TEST_F(RootShape, ALayerWithWhiteoutsIsAMistake) {
  write("layer/usr/bin/x");
  write("layer/etc/.wh.passwd");
  EXPECT_THAT(mistake("layer"), HasSubstr(".wh.passwd"));
}

TEST_F(RootShape, ARootOneLevelTooDeepIsAMistake) {
  write("one/rootfs/bin/sh");
  EXPECT_THAT(mistake("one"), HasSubstr("pack " + (folder_ / "one/rootfs")));
  write("lxc/rootfs/usr/bin/sh");
  write("lxc/rootfs/etc/passwd");
  write("lxc/config");
  EXPECT_THAT(mistake("lxc"), HasSubstr("pack " + (folder_ / "lxc/rootfs")));
  for (const auto* path : {"two/a/bin/x", "two/a/etc/x", "two/b/bin/x", "two/b/etc/x"}) write(path);
  EXPECT_EQ(mistake("two"), "") << "which of them?";
}

TEST_F(RootShape, AnArtifactFolderIsAMistake) {
  write("tree/bin/x");
  BuildOptions options;
  options.tree = folder_ / "tree";
  options.out = folder_ / "out";
  options.level = 1;
  ASSERT_TRUE(build_artifact(options));
  EXPECT_THAT(mistake("out"), HasSubstr("artifact folder already"));
}

// It may be a payload of a handler, or one program that needs nothing.
TEST_F(RootShape, OtherFoldersAreDoubtedOnly) {
  write("client/instar-device");
  write("client/instar-lxc");
  write("archive/rootfs.tar.gz");
  for (const auto* tree : {"client", "archive"}) {
    const auto found = doubt(tree);
    ASSERT_TRUE(found) << tree;
    EXPECT_FALSE(found->is_mistake) << tree;
  }
  EXPECT_THAT(doubt("archive")->text, HasSubstr("pack the archive itself"));
  EXPECT_THAT(doubt("client")->text, HasSubstr("bin, etc, lib, usr"));
}

}  // namespace
}  // namespace instar::publisher

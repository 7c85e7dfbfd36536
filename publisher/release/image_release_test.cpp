// Images as artifacts: packed, with deltas, in a release.
#include <gmock/gmock.h>

#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/image_file.hpp"
#include "publisher/artifact/unpacking.hpp"
#include "publisher/delta/artifact_deltas.hpp"
#include "publisher/release/release.hpp"
#include "publisher/release/release_deltas.hpp"
#include "publisher/testing/images.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;
using wire::ImageFormat;

class ImageArtifact : public testing::Test {
 protected:
  Result<ArtifactFolder> build(const std::string& image, const std::string& out) const {
    BuildOptions options;
    options.tree = folder_ / image;
    options.out = folder_ / out;
    options.level = 1;
    options.replace = true;
    return build_artifact(options);
  }
  void rewrite_listing(const std::string& from, const std::string& to) const {
    std::string text(as_text(*files::read_file(folder_ / "out/artifact.json", 1 << 20)));
    ASSERT_NE(text.find(from), std::string::npos) << text;
    text.replace(text.find(from), from.size(), to);
    ASSERT_TRUE(files::write_file_atomic(folder_ / "out/artifact.json", as_bytes(text)));
  }
  files::TemporaryFolder folder_;
};

TEST_F(ImageArtifact, IsAnArtifactOfOneFileThatTheManifestCallsAnImage) {
  write_in(folder_.path(), "one.squashfs", squashfs(300'000), 0600);
  const auto built = build("one.squashfs", "out");
  ASSERT_TRUE(built) << built.error().message;
  EXPECT_EQ(built->entry_count, 2U);
  EXPECT_EQ(built->content_bytes, 300'000U);
  const auto opened = open_artifact(folder_ / "out");
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(artifact_json(*opened), artifact_json(*built));
  EXPECT_EQ(artifact_json(*opened)["kind"], "image");
  EXPECT_EQ(artifact_json(*opened)["image_format"], "squashfs");
  EXPECT_THAT(artifact_text(*opened), HasSubstr("an image: squashfs"));
  EXPECT_TRUE(verify_artifact(*opened));
  const auto artifact = manifest_artifact(*opened);
  EXPECT_EQ(artifact.kind, wire::ArtifactKind::image);
  EXPECT_EQ(artifact.image_format, ImageFormat::squashfs);
  // Name, mode and owner of the file do not matter, and it may be given through a link.
  write_in(folder_.path(), "elsewhere/x", squashfs(300'000), 0444);
  ASSERT_EQ(::symlink("elsewhere/x", (folder_ / "link").c_str()), 0);
  const auto again = build("link", "again");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->id, built->id);
  EXPECT_THAT(list_names(folder_.path()),
              testing::UnorderedElementsAre("one.squashfs", "elsewhere", "link", "out", "again"))
      << "nothing is left beside the artifact";
  // It is unpacked again.
  UnpackOptions unpacking;
  unpacking.source = folder_ / "out";
  unpacking.out = folder_ / "back";
  ASSERT_TRUE(unpack(unpacking));
  EXPECT_EQ(*files::read_file(folder_ / "back/image", 1 << 20), squashfs(300'000));
}

TEST_F(ImageArtifact, ADeltaIsMadeAgainstAnotherImage) {
  Bytes two = squashfs(300'000);
  for (std::size_t i = 100'000; i < 100'500; ++i) two[i] ^= 0x5a;
  write_in(folder_.path(), "one", squashfs(300'000));
  write_in(folder_.path(), "two", two);
  auto folder = build("two", "out");
  ASSERT_TRUE(folder) << folder.error().message;
  const auto base = open_tree(folder_ / "one", folder_.path(), {});
  const auto fresh = open_tree(folder_ / "two", folder_.path(), {});
  ASSERT_TRUE(base && fresh);
  EXPECT_EQ(fresh->id, folder->id);
  const auto outcome = add_delta(*folder, *fresh, *base, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->kept);
  EXPECT_LT(*outcome->weight.delta_bytes, 2'000U);
  EXPECT_TRUE(verify_artifact(*open_artifact(folder_ / "out"), &*base));
}

TEST_F(ImageArtifact, OfSeveralImagesEachGetsTheDeltaAgainstItsOwnPredecessor) {
  ArtifactFolders folders;
  ReleaseDeltaOptions options;
  for (const std::uint64_t seed : {7, 8}) {
    const std::string name = std::to_string(seed);
    Bytes two = squashfs(600'000 + (8 - seed) * 200'000, seed);
    write_in(folder_.path(), "old-" + name, two);
    for (std::size_t i = 100'000; i < 100'500; ++i) two[i] ^= 0x5a;
    write_in(folder_.path(), "new-" + name, two);
    ASSERT_TRUE(build("old-" + name, "out-old-" + name));
    auto folder = build("new-" + name, "out-new-" + name);
    ASSERT_TRUE(folder);
    options.bases.push_back(folder_ / ("out-old-" + name));
    options.bases.push_back(folder_ / ("old-" + name));
    const std::string path = folder->path;
    folders.emplace(path, std::move(*folder));
  }
  const auto made = make_release_deltas(folders, {}, options);
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->deltas.size(), 4U);
  for (const auto& each : made->deltas) {
    const auto end = each.outcome.name.back();
    EXPECT_EQ(each.artifact, folders.at(folder_ / (std::string("out-new-") + end)).id) << each.outcome.name;
  }
}

TEST_F(ImageArtifact, AListingThatContradictsTheImageIsFound) {
  write_in(folder_.path(), "one", squashfs(300'000));
  ASSERT_TRUE(build("one", "out"));
  rewrite_listing("\"squashfs\"", "\"erofs\"");
  const auto opened = open_artifact(folder_ / "out");
  ASSERT_TRUE(opened) << opened.error().message;
  const auto verified = verify_artifact(*opened);
  ASSERT_FALSE(verified);
  EXPECT_THAT(verified.error().message, HasSubstr("the image in it is squashfs, artifact.json says erofs"));
  rewrite_listing("\"erofs\"", "\"zfs\"");
  EXPECT_EQ(open_artifact(folder_ / "out").error().code, Code::unsupported);
  // A tree is no image.
  write_in(folder_ / "tree", "etc/x", as_bytes("x"));
  ASSERT_TRUE(build("tree", "out"));
  rewrite_listing("\"tree\"", "\"image\", \"image_format\": \"ext4\"");
  EXPECT_THAT(open_artifact(folder_ / "out").error().message, HasSubstr("the index of an image has '/etc'"));
}

TEST_F(ImageArtifact, AFileThatIsNoImageIsRefusedAndNothingIsLeft) {
  write_in(folder_.path(), "letter", as_bytes("dear"));
  const auto refused = build("letter", "out");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("letter is no file system that devices mount as an image"));
  EXPECT_THAT(list_names(folder_.path()), testing::ElementsAre("letter"));
  const auto direct = open_artifact(folder_ / "letter");
  ASSERT_FALSE(direct);
  EXPECT_THAT(direct.error().message, HasSubstr("is a file, not an artifact folder. If it holds a file system"));
}

}  // namespace
}  // namespace instar::publisher

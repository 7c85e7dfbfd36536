#include "publisher/image_file.hpp"

#include <gmock/gmock.h>

#include "publisher/artifact_deltas.hpp"
#include "publisher/artifact_folder.hpp"
#include "publisher/release.hpp"
#include "publisher/release_deltas.hpp"
#include "publisher/trees_for_test.hpp"
#include "publisher/unpack.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;
using wire::ImageFormat;

void put(Bytes& image, std::size_t offset, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) image[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

// Superblocks are all that is looked at: each says that its file system has `bytes`.
Bytes squashfs(std::size_t bytes, std::uint64_t seed = 1) {
  Bytes image = noise(bytes, seed);
  put(image, 0, 0x73717368, 4);
  put(image, 28, 4, 2);
  put(image, 40, bytes, 8);
  return image;
}
Bytes erofs(std::size_t bytes) {
  Bytes image = noise(bytes, 1);
  put(image, 0, 0, 4);
  put(image, 1024, 0xe0f5e1e2, 4);
  put(image, 1024 + 12, 12, 1);
  put(image, 1024 + 36, bytes >> 12, 4);
  return image;
}
Bytes ext4(std::size_t bytes) {
  Bytes image = noise(bytes, 1);
  put(image, 0, 0, 4);
  put(image, 1024 + 4, bytes >> 12, 4);
  put(image, 1024 + 0x18, 2, 4);
  put(image, 1024 + 56, 0xef53, 2);
  put(image, 1024 + 0x60, 0x42, 4);
  return image;
}

std::string refusal(const Bytes& image) {
  const auto format = probe_image(image, image.size(), "x.img");
  EXPECT_FALSE(format);
  return format ? "" : format.error().message;
}

TEST(ImageFile, KnowsTheThreeFileSystems) {
  for (const auto& [image, format] :
       {std::pair(squashfs(40'960), ImageFormat::squashfs), std::pair(erofs(40'960), ImageFormat::erofs),
        std::pair(ext4(40'960), ImageFormat::ext4)}) {
    const auto probed = probe_image(image, image.size(), "x.img");
    ASSERT_TRUE(probed) << probed.error().message;
    EXPECT_EQ(*probed, format);
    const auto cut = probe_image(image, image.size() - 4096, "x.img");
    ASSERT_FALSE(cut);
    EXPECT_THAT(cut.error().message, HasSubstr("x.img is cut off: its " + std::string(wire::image_format_name(format)) +
                                               " has 40960 bytes"));
  }
}

TEST(ImageFile, SaysWhatElseAFileIs) {
  EXPECT_THAT(refusal({}), HasSubstr("it is empty. Give squashfs, erofs or ext4"));
  EXPECT_THAT(refusal(to_bytes("hello, world")), HasSubstr("it begins with the bytes 68656c6c6f2c2077"));
  EXPECT_THAT(refusal(Bytes{0x1f, 0x8b, 8, 0}), HasSubstr("compressed with gzip"));
  Bytes tar(2048);
  std::ranges::copy(std::string_view("ustar"), tar.begin() + 257);
  EXPECT_THAT(refusal(tar), HasSubstr("a tar archive"));
  Bytes btrfs(kProbeBytes);
  std::ranges::copy(std::string_view("_BHRfS_M"), btrfs.begin() + 65'600);
  EXPECT_THAT(refusal(btrfs), HasSubstr("a btrfs file system"));
  Bytes old = squashfs(8'192);
  put(old, 28, 3, 2);
  EXPECT_THAT(refusal(old), HasSubstr("squashfs version 3, Linux mounts version 4"));
  Bytes used = ext4(8'192);
  put(used, 1024 + 0x60, 0x46, 4);
  EXPECT_THAT(refusal(used), HasSubstr("a journal that must be replayed"));
}

class ImageArtifact : public testing::Test {
 protected:
  Result<ArtifactFolder> build(const std::string& image, const std::string& out) const {
    BuildOptions options;
    options.tree = folder_ / image;
    options.out = folder_ / out;
    options.level = 1;
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
  // Whatever its name, mode and owner are here, and through a link.
  write_in(folder_.path(), "elsewhere/x", squashfs(300'000), 0444);
  ASSERT_EQ(::symlink("elsewhere/x", (folder_ / "link").c_str()), 0);
  const auto again = build("link", "again");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->id, built->id);
  EXPECT_THAT(list_names(folder_.path()),
              testing::UnorderedElementsAre("one.squashfs", "elsewhere", "link", "out", "again"))
      << "nothing is left beside the artifact";
  // And back.
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

TEST_F(ImageArtifact, OfSeveralImagesEachGetsTheDeltaAgainstItsOwnForerunner) {
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

TEST_F(ImageArtifact, AListingThatSaysSomethingElseIsFound) {
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

TEST_F(ImageArtifact, AFileThatIsNoneIsRefusedAndNothingIsLeft) {
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

#include "publisher/artifact/image_file.hpp"

#include <gmock/gmock.h>

#include "publisher/testing/images.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;
using wire::ImageFormat;

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

TEST(ImageFile, NamesTheKindOfAFileThatIsNoImage) {
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

}  // namespace
}  // namespace instar::publisher

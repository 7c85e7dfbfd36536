#include "device-client/host.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <filesystem>
#include <fstream>

#include "files/temporary_folder.hpp"

namespace instar::device {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using wire::ImageFormat;

class ImageFormats : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path whole = folder / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  static std::string modules() {
    utsname system{};
    ::uname(&system);
    return "lib/modules/" + std::string(system.release) + "/modules.dep";
  }
  files::TemporaryFolder folder;
};

TEST_F(ImageFormats, AreThoseOfTheKernelAndOfModulesThatItCanLoad) {
  write("dev/loop-control", "");
  write("proc/filesystems", "nodev\tsysfs\nnodev\tproc\n\text3\n\text4\n\tbtrfs\n");
  EXPECT_THAT(read_image_formats(folder.path()), ElementsAre(ImageFormat::ext4));
  write(modules(), "kernel/fs/erofs/erofs.ko.xz: kernel/lib/lz4/lz4_decompress.ko.xz\nkernel/fs/ext4/ext4.ko:\nkernel/fs/nosquashfs.ko:\n");
  EXPECT_THAT(read_image_formats(folder.path()), ElementsAre(ImageFormat::erofs, ImageFormat::ext4));
  write("proc/filesystems", "\tsquashfs");
  EXPECT_THAT(read_image_formats(folder.path()), ElementsAre(ImageFormat::squashfs, ImageFormat::erofs, ImageFormat::ext4));
}

TEST_F(ImageFormats, AreNoneWithoutLoopDevices) {
  write("proc/filesystems", "\tsquashfs\n\terofs\n");
  EXPECT_THAT(read_image_formats(folder.path()), IsEmpty());
}

}  // namespace
}  // namespace instar::device

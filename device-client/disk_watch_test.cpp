#include "device-client/disk_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/limits.hpp"

namespace instar::device {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMuch = std::uint64_t{1} << 30U;

files::Space space(std::uint64_t bytes_free, std::uint64_t inodes_free) {
  files::Space made;
  made.bytes_free = bytes_free;
  made.inodes_free = inodes_free;
  made.bytes = 32 * 1024 * 1024;
  return made;
}

std::string nobody() {
  return "";
}

TEST(DiskWatch, NamesWhatIsShortAndWhoTookIt) {
  DiskWatch watch;
  EXPECT_FALSE(watch.look(space(kMuch, kMuch), true, nobody));
  EXPECT_FALSE(watch.is_short());
  ASSERT_TRUE(watch.look(space(0, kMuch), true, [] { return std::string("container app has written 20.0 MiB"); }));
  EXPECT_EQ(watch.trouble(), "no space: 0.0 MiB of 32.0 MiB are free on the disk; container app has written 20.0 MiB");
}

TEST(DiskWatch, FilesRunOutAsBytesDo) {
  DiskWatch watch;
  ASSERT_TRUE(watch.look(space(kMuch, 3), true, nobody));
  EXPECT_THAT(watch.trouble(), HasSubstr("no more than 3 files can be made"));
}

TEST(DiskWatch, SaysTheSameUntilThereIsRoomAndAReserveAgain) {
  DiskWatch watch;
  ASSERT_TRUE(watch.look(space(0, kMuch), true, nobody));
  const auto said = watch.trouble();
  EXPECT_FALSE(watch.look(space(limits::kShortBytes + 1, kMuch), true, nobody)) << "hardly more";
  EXPECT_FALSE(watch.look(space(kMuch, kMuch), false, nobody)) << "the reserve is not whole yet";
  EXPECT_EQ(watch.trouble(), said);
  EXPECT_TRUE(watch.look(space(kMuch, kMuch), true, nobody));
  EXPECT_FALSE(watch.is_short());
}

}  // namespace
}  // namespace instar::device

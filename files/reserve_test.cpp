#include "files/reserve.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::files {
namespace {

Space small_disk() {
  Space space;
  space.bytes = 16 * 1024 * 1024;
  return space;
}

class ReserveTest : public ::testing::Test {
 protected:
  ReserveTest() { fill(reserve); }
  static void fill(Reserve& reserve) {
    while (reserve.refill()) {
    }
  }
  ~ReserveTest() override { set_room_maker({}); }

  TemporaryFolder folder;
  Reserve reserve{folder / "reserve", small_disk()};
};

TEST_F(ReserveTest, HoldsRealBlocksAndFilesWithoutAny) {
  ASSERT_TRUE(reserve.is_whole());
  EXPECT_EQ(reserve.bytes(), limits::kReserveBytesMin);
  EXPECT_EQ(reserve.inodes(), limits::kReserveFiles + limits::kReserveInodes);
  std::uint64_t blocks = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "reserve")) {
    struct stat status {};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    blocks += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  EXPECT_GE(blocks, limits::kReserveBytesMin);
}

TEST_F(ReserveTest, GivesWhatIsAskedForUntilNothingIsLeft) {
  const auto one = reserve.bytes() / limits::kReserveFiles;
  ASSERT_TRUE(reserve.release(0));
  EXPECT_EQ(reserve.bytes(), reserve.bytes_whole() - one) << "one file, for an inode and a folder's next block";
  ASSERT_TRUE(reserve.release(3 * one));
  EXPECT_EQ(reserve.bytes(), reserve.bytes_whole() - 4 * one);
  EXPECT_FALSE(reserve.is_whole());
  while (reserve.release(one)) {
  }
  EXPECT_EQ(reserve.inodes(), 0U);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "reserve"));
}

TEST_F(ReserveTest, IsFilledAgainAndFoundAgain) {
  ASSERT_TRUE(reserve.release(reserve.bytes()));
  Reserve later(folder / "reserve", small_disk());
  EXPECT_FALSE(later.is_whole());
  EXPECT_EQ(later.bytes(), 0U);
  fill(later);
  EXPECT_TRUE(later.is_whole());
  EXPECT_TRUE(Reserve(folder / "reserve", small_disk()).is_whole());
}

TEST_F(ReserveTest, AFileThatACrashLeftHalfMadeIsMadeAgain) {
  std::filesystem::resize_file(folder / "reserve/b3", 100);
  Reserve later(folder / "reserve", small_disk());
  EXPECT_FALSE(later.is_whole());
  fill(later);
  EXPECT_TRUE(later.is_whole());
  EXPECT_EQ(std::filesystem::file_size(folder / "reserve/b3"), later.bytes() / limits::kReserveFiles);
}

TEST_F(ReserveTest, LendsToAReleaseOnlyWhenItMayAndNeverAll) {
  EXPECT_FALSE(reserve.lent());
  reserve.lend(true);
  ASSERT_TRUE(reserve.lent());
  EXPECT_GT(reserve.lent()->bytes_free, 0U);
  EXPECT_LT(reserve.lent()->bytes_free, reserve.bytes());
  EXPECT_LT(reserve.lent()->inodes_free, reserve.inodes());
}

TEST_F(ReserveTest, AQuarterStaysWhileContentIsStaged) {
  const auto whole = reserve.bytes();
  reserve.keep_quarter(true);
  while (reserve.release(1)) {
  }
  EXPECT_EQ(reserve.bytes(), whole / 4);
  EXPECT_GE(reserve.inodes(), limits::kReserveFiles / 4);
  reserve.keep_quarter(false);
  EXPECT_TRUE(reserve.release(1));
  EXPECT_LT(reserve.bytes(), whole / 4);
}

TEST_F(ReserveTest, ACallThatFindsNoRoomIsMadeAgainAsLongAsSomeIsMade) {
  set_room_maker([&](std::uint64_t bytes) { return reserve.release(bytes); });
  int calls = 0;
  const int done = with_room(100, [&] {
    errno = calls == 2 ? 0 : ENOSPC;
    return calls++ == 2 ? 0 : -1;
  });
  EXPECT_EQ(done, 0);
  EXPECT_EQ(calls, 3);
  EXPECT_FALSE(reserve.is_whole());
  const auto left = reserve.inodes();
  const int failed = with_room(100, [] {
    errno = EACCES;
    return -1;
  });
  EXPECT_EQ(failed, -1);
  EXPECT_EQ(reserve.inodes(), left) << "room is no cure for other errors";
}

TEST_F(ReserveTest, ACallThatFindsNoRoomAtAllFailsInTheEnd) {
  set_room_maker([&](std::uint64_t bytes) { return reserve.release(bytes); });
  const int done = with_room(0, [] {
    errno = EDQUOT;
    return -1;
  });
  EXPECT_EQ(done, -1);
  EXPECT_EQ(errno, EDQUOT);
  EXPECT_EQ(reserve.inodes(), 0U);
}

}  // namespace
}  // namespace instar::files

#include "files/spared_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::files {
namespace {

struct stat seen(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status;
}

class SparedFileTest : public ::testing::Test {
 protected:
  Bytes read() const { return read_spared_file(path, 1 << 20).value(); }
  Status write(const Bytes& content) const { return write_spared_file(path, content, 0600); }

  TemporaryFolder folder;
  const std::string path = folder / "state";
};

TEST_F(SparedFileTest, GivesBackWhatWasWrittenWhateverItsSize) {
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 5'000U, 100'000U, 3U}) {
    const Bytes content(size, static_cast<std::uint8_t>(size));
    ASSERT_TRUE(write(content));
    EXPECT_EQ(read(), content) << size;
  }
}

TEST_F(SparedFileTest, TheSameTwoFilesTakeTurnsAndKeepTheirBlocks) {
  ASSERT_TRUE(write(Bytes(5'000, 1)));
  ASSERT_TRUE(write(Bytes(5'000, 2)));
  const auto file = seen(path);
  const auto spare = seen(path + ".spare");
  EXPECT_EQ(file.st_size % static_cast<off_t>(limits::kSparedFileBytesStep), 0);
  ASSERT_TRUE(write(Bytes(100, 3)));
  EXPECT_EQ(seen(path).st_ino, spare.st_ino);
  EXPECT_EQ(seen(path + ".spare").st_ino, file.st_ino);
  EXPECT_EQ(seen(path).st_size, spare.st_size) << "less content gives no blocks back";
  EXPECT_GE(seen(path).st_blocks * 512, spare.st_size) << "it has blocks, and no holes";
}

TEST_F(SparedFileTest, ContentThatOutgrowsTheFileIsTaken) {
  ASSERT_TRUE(write(Bytes(10, 1)));
  ASSERT_TRUE(write(Bytes(10, 2)));
  ASSERT_TRUE(write(Bytes(200'000, 3)));
  EXPECT_EQ(read(), Bytes(200'000, 3));
  ASSERT_TRUE(write(Bytes(10, 4)));
  EXPECT_EQ(read(), Bytes(10, 4));
}

TEST_F(SparedFileTest, AFileWithoutAMarkIsContentAsAWhole) {
  std::ofstream(path) << "as an older client has written it";
  EXPECT_EQ(as_text(read()), "as an older client has written it");
  ASSERT_TRUE(write(Bytes(10, 1)));
  EXPECT_EQ(read(), Bytes(10, 1));
}

TEST_F(SparedFileTest, AMarkThatSaysMoreThanThereIsIsContent) {
  const std::string text = std::string("INSTSPAR") + "\xff\xff\xff\xff\xff\xff\xff\xff";
  std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(as_text(read()), text);
}

TEST_F(SparedFileTest, HasTheModeThatIsAskedFor) {
  ASSERT_TRUE(write_spared_file(path, Bytes(1), 0640));
  EXPECT_EQ(seen(path).st_mode & 07777U, 0640U);
  ASSERT_TRUE(write_spared_file(path, Bytes(1), 0600));
  EXPECT_EQ(seen(path).st_mode & 07777U, 0600U);
}

TEST_F(SparedFileTest, WhatIsMissingIsNotFound) {
  EXPECT_EQ(read_spared_file(path, 100).error().code, Code::not_found);
}

}  // namespace
}  // namespace instar::files

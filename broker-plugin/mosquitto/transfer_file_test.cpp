#include "broker-plugin/mosquitto/transfer_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace instar::broker {
namespace {

std::string read_all(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

class TransferFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/transfer.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  DeviceId device_ = *DeviceId::parse("dev1");
  PackId pack_ = *PackId::from_hex(std::string(64, 'a'));
  const std::string hex_ = std::string(64, 'a');
};

TEST_F(TransferFileTest, WritesALineForEachPiece) {
  auto log = TransferFile::open(folder_ / "t");
  ASSERT_TRUE(log.has_value());
  log->add(WallMs{1700000000123}, device_, pack_, 7, 32768, 1000);
  log->add(WallMs{1700000000124}, device_, pack_, 8, 0, 32768);
  log->flush();
  EXPECT_EQ(read_all(folder_ / "t"),
            "1700000000123 dev1 " + hex_ + " 7 32768 1000\n1700000000124 dev1 " + hex_ + " 8 0 32768\n");
}

TEST_F(TransferFileTest, AppendsToWhatIsThere) {
  std::ofstream(folder_ / "t") << "old\n";
  {
    auto log = TransferFile::open(folder_ / "t");
    ASSERT_TRUE(log.has_value());
    log->add(WallMs{1}, device_, pack_, 0, 0, 1);
  }
  EXPECT_EQ(read_all(folder_ / "t"), "old\n1 dev1 " + hex_ + " 0 0 1\n");
}

TEST_F(TransferFileTest, ReopenFollowsARotation) {
  auto log = TransferFile::open(folder_ / "t");
  ASSERT_TRUE(log.has_value());
  log->add(WallMs{1}, device_, pack_, 0, 0, 1);
  std::filesystem::rename(folder_ / "t", folder_ / "t.1");
  ASSERT_TRUE(log.has_value());
  std::ofstream(folder_ / "t.1", std::ios::app).flush();
  ASSERT_TRUE(log->reopen().has_value());
  log->add(WallMs{2}, device_, pack_, 0, 0, 1);
  log->flush();
  EXPECT_EQ(read_all(folder_ / "t.1"), "1 dev1 " + hex_ + " 0 0 1\n");
  EXPECT_EQ(read_all(folder_ / "t"), "2 dev1 " + hex_ + " 0 0 1\n");
}

TEST_F(TransferFileTest, FolderThatIsNotThereIsAnError) {
  const auto log = TransferFile::open(folder_ / "none" / "t");
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().code, Code::io);
  EXPECT_THAT(log.error().message, testing::HasSubstr("none/t"));
}

TEST_F(TransferFileTest, AFullDiskLosesLinesAndTakesNoMemory) {
  auto log = TransferFile::open("/dev/full");
  ASSERT_TRUE(log.has_value());
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    log->add(WallMs{1}, device_, pack_, i, 0, 1);
    log->flush();
  }
  EXPECT_GT(log->take_lost(), 0U);
  EXPECT_EQ(log->take_lost(), 0U);
}

}  // namespace
}  // namespace instar::broker

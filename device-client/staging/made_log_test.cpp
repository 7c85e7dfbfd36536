#include "device-client/staging/made_log.hpp"

#include <gtest/gtest.h>

#include "core/trust/digest.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

Hash256 hash_of(std::string_view text) {
  return trust::digest(as_bytes(text));
}

class MadeLogTest : public testing::Test {
 protected:
  MadeLog open(std::string_view pack = "pack") {
    auto log = MadeLog::open(path_, hash_of(pack));
    EXPECT_TRUE(log) << log.error().message;
    return std::move(*log);
  }
  static void expect(MadeLog& log, std::uint32_t number, std::optional<Hash256> content) {
    const auto found = log.find(number);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, content) << number;
  }
  files::TemporaryFolder folder_;
  std::string path_ = folder_ / "decoded";
};

TEST_F(MadeLogTest, ReadsBackWhatAnEarlierProcessNoted) {
  {
    MadeLog log = open();
    expect(log, 3, std::nullopt);
    ASSERT_TRUE(log.note(3, hash_of("a")));
    expect(log, 7, std::nullopt);
    ASSERT_TRUE(log.note(7, hash_of("b")));
  }
  MadeLog log = open();
  expect(log, 1, std::nullopt);
  expect(log, 3, hash_of("a"));
  expect(log, 5, std::nullopt);
  expect(log, 7, hash_of("b"));
  expect(log, 8, std::nullopt);
  ASSERT_TRUE(log.note(8, hash_of("c")));
  MadeLog again = open();
  expect(again, 7, hash_of("b"));
  expect(again, 8, hash_of("c"));
}

TEST_F(MadeLogTest, ReplacesTheNoteOfAFileInItsPlace) {
  {
    MadeLog log = open();
    for (std::uint32_t i = 0; i < 4; ++i) {
      expect(log, i, std::nullopt);
      ASSERT_TRUE(log.note(i, hash_of("old")));
    }
  }
  {
    MadeLog log = open();
    expect(log, 2, hash_of("old"));
    ASSERT_TRUE(log.note(2, hash_of("new")));
  }
  MadeLog log = open();
  expect(log, 1, hash_of("old"));
  expect(log, 2, hash_of("new"));
  expect(log, 3, hash_of("old"));
}

TEST_F(MadeLogTest, AFileBetweenTwoNotedOnesIsNotNoted) {
  {
    MadeLog log = open();
    expect(log, 1, std::nullopt);
    ASSERT_TRUE(log.note(1, hash_of("a")));
    expect(log, 9, std::nullopt);
    ASSERT_TRUE(log.note(9, hash_of("b")));
  }
  {
    MadeLog log = open();
    expect(log, 5, std::nullopt);
    ASSERT_TRUE(log.note(5, hash_of("c")));
  }
  MadeLog log = open();
  expect(log, 1, hash_of("a"));
  expect(log, 5, std::nullopt);
  expect(log, 9, hash_of("b"));
}

TEST_F(MadeLogTest, ALogOfAnotherPackIsReplacedByANewOne) {
  {
    MadeLog log = open();
    expect(log, 0, std::nullopt);
    ASSERT_TRUE(log.note(0, hash_of("a")));
  }
  MadeLog log = open("another pack");
  expect(log, 0, std::nullopt);
}

TEST_F(MadeLogTest, ATornRecordDoesNotCount) {
  {
    MadeLog log = open();
    for (std::uint32_t i = 0; i < 2; ++i) {
      expect(log, i, std::nullopt);
      ASSERT_TRUE(log.note(i, hash_of("a")));
    }
  }
  auto bytes = files::read_file(path_, 4096);
  ASSERT_TRUE(bytes);
  bytes->resize(bytes->size() - 1);
  ASSERT_TRUE(files::write_file_atomic(path_, *bytes));
  MadeLog log = open();
  expect(log, 0, hash_of("a"));
  expect(log, 1, std::nullopt);
  ASSERT_TRUE(log.note(1, hash_of("b")));
  MadeLog again = open();
  expect(again, 1, hash_of("b"));
}

TEST_F(MadeLogTest, AnyOtherFileInItsPlaceIsReplaced) {
  for (const std::string text : {"", "INML", "a text that is long enough to be the head of a log, but is none"}) {
    ASSERT_TRUE(files::write_file_atomic(path_, as_bytes(text)));
    MadeLog log = open();
    expect(log, 0, std::nullopt);
  }
}

}  // namespace
}  // namespace instar::device

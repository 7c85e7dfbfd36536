#include "device-client/owner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

TEST(OwnerInstruction, AnEmptyFileIsNoInstruction) {
  const files::TemporaryFolder folder;
  const auto word = read_owner_word(folder / "state");
  ASSERT_TRUE(word.has_value());
  EXPECT_FALSE(word->hold || word->allow_any);
}

TEST(OwnerInstruction, ReadsBackWhatWasWritten) {
  const files::TemporaryFolder folder;
  ASSERT_TRUE(write_owner_word(folder / "state", {true, true, "2.4.1"}).has_value());
  const auto word = read_owner_word(folder / "state").value();
  EXPECT_TRUE(word.hold);
  EXPECT_TRUE(word.allow_any);
  EXPECT_EQ(word.allowed, "2.4.1");
}

TEST(OwnerInstruction, NamesTheLineThatItDoesNotUnderstand) {
  const files::TemporaryFolder folder;
  ASSERT_TRUE(write_owner_word(folder / "state", {}).has_value());
  ASSERT_TRUE(files::write_file_atomic(folder / "state/owner/word", as_bytes("hold\nperhaps\n")).has_value());
  const auto word = read_owner_word(folder / "state");
  ASSERT_FALSE(word.has_value());
  EXPECT_EQ(word.error().code, Code::malformed);
  EXPECT_THAT(word.error().message, testing::HasSubstr("line 'perhaps' is none of: hold, allow, allow NAME"));
}

TEST(OwnerWatch, WakesForEachChange) {
  const files::TemporaryFolder folder;
  ASSERT_TRUE(files::make_folders(folder / "state", 0700).has_value());
  auto watch = OwnerWatch::start(folder / "state");
  ASSERT_TRUE(watch.has_value()) << watch.error().message;
  EXPECT_TRUE(watch->take_change()) << "what was said before";
  EXPECT_FALSE(watch->take_change());
  ASSERT_TRUE(write_owner_word(folder / "state", {true, false, ""}).has_value());
  pollfd waiting{watch->fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 5 * 60'000), 1);
  EXPECT_TRUE(watch->take_change());
  EXPECT_FALSE(watch->take_change());
}

}  // namespace
}  // namespace instar::device

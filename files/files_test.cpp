#include "files/files.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "files/posix.hpp"
#include "files/sparse.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::files {
namespace {

TEST(Files, ALinkToNothingExists) {
  const TemporaryFolder folder;
  EXPECT_FALSE(exists(folder / "link"));
  ASSERT_EQ(::symlink("nowhere", (folder / "link").c_str()), 0);
  EXPECT_TRUE(exists(folder / "link"));
}

TEST(Files, ReservesRoomAndGivesTheFileItsSize) {
  const TemporaryFolder folder;
  const auto file = open_file(folder / "a", O_RDWR | O_CREAT, 0600);
  ASSERT_TRUE(file);
  ASSERT_TRUE(take_room(file->get(), 100'000, folder / "a"));
  struct stat status {};
  ASSERT_EQ(::fstat(file->get(), &status), 0);
  EXPECT_EQ(status.st_size, 100'000);
  ASSERT_TRUE(take_room(file->get(), 0, folder / "a"));
  ASSERT_EQ(::fstat(file->get(), &status), 0);
  EXPECT_EQ(status.st_size, 0);
}

TEST(Files, LeavesHolesForZerosAlsoWhereSomethingWas) {
  const TemporaryFolder folder;
  const auto file = open_file(folder / "a", O_RDWR | O_CREAT, 0600);
  ASSERT_TRUE(file);
  constexpr std::size_t kSize = 1024 * 1024;
  ASSERT_TRUE(write_all(file->get(), Bytes(kSize, 7), folder / "a"));
  Bytes content(kSize);
  content[0] = content[300'000] = content[kSize - 1] = 1;
  // In pieces that do not begin at blocks.
  for (std::size_t at = 0; at < kSize; at += 100'000) {
    const auto piece = ByteView(content).subspan(at, std::min<std::size_t>(100'000, kSize - at));
    ASSERT_TRUE(write_with_holes(file->get(), piece, at, folder / "a"));
  }
  EXPECT_EQ(*read_file(folder / "a", kSize), content);
  struct stat status {};
  ASSERT_EQ(::fstat(file->get(), &status), 0);
  EXPECT_LE(status.st_blocks * 512, 40 * 4096) << "three blocks with data, and those at the pieces' ends";
}

TEST(Files, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65'536}, std::size_t{200'000}}) {
    const Bytes content(size, 7);
    ASSERT_TRUE(write_file_atomic(folder / "a", content, 0640));
    EXPECT_EQ(*read_file(folder / "a", size), content);
  }
  struct stat status {};
  ASSERT_EQ(::stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640U);
  EXPECT_FALSE(exists(folder / "a.new"));
}

TEST(Files, ASecretIsItsOwnersAlone) {
  const TemporaryFolder folder;
  const auto path = folder / "secret";
  ASSERT_TRUE(write_file_atomic(path, as_bytes("word"), 0600));
  EXPECT_EQ(*read_secret_file(path, 100, "password file"), to_bytes("word"));
  EXPECT_EQ(read_secret_file(path, 3, "password file").error().code, Code::too_large);
  for (const mode_t mode : {0640U, 0604U, 0620U, 0610U, 0644U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    const auto read = read_secret_file(path, 100, "password file");
    ASSERT_FALSE(read) << mode;
    EXPECT_EQ(read.error().code, Code::refused);
    EXPECT_NE(read.error().message.find("password file " + path), std::string::npos) << read.error().message;
    EXPECT_NE(read.error().message.find("chmod 600 " + path), std::string::npos) << read.error().message;
  }
  EXPECT_EQ(read_secret_file(folder / "none", 100, "password file").error().code, Code::not_found);
  // The mode of a link's target counts, not of the link.
  ASSERT_EQ(::symlink("secret", (folder / "link").c_str()), 0);
  EXPECT_FALSE(read_secret_file(folder / "link", 100, "password file"));
}

TEST(Files, APasswordThatOthersMayReadIsUsedWithAWarning) {
  const TemporaryFolder folder;
  const auto path = folder / "password";
  ASSERT_TRUE(write_file_atomic(path, as_bytes("se cret\r\nsecond\n"), 0600));
  EXPECT_EQ(read_password_file(path, 100)->text, "se cret");
  EXPECT_EQ(read_password_file(path, 100)->warning, "");
  EXPECT_EQ(read_password_file(path, 3).error().code, Code::too_large);
  EXPECT_EQ(read_password_file(folder / "none", 100).error().code, Code::not_found);
  for (const mode_t mode : {0640U, 0604U, 0644U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    const auto read = read_password_file(path, 100);
    ASSERT_TRUE(read) << mode;
    EXPECT_EQ(read->text, "se cret");
    EXPECT_EQ(read->warning, "password file " + path + " can be read by others than its owner: run chmod 600 " + path);
  }
  for (const mode_t mode : {0620U, 0602U, 0666U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_EQ(read_password_file(path, 100).error().code, Code::refused) << mode;
  }
}

TEST(Files, APrivateKeyIsNotForEverybody) {
  const TemporaryFolder folder;
  const auto path = folder / "key";
  ASSERT_TRUE(write_file_atomic(path, as_bytes("x"), 0640));
  EXPECT_TRUE(check_private_key_file(path));
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_EQ(check_private_key_file(path).error().code, Code::refused);
  EXPECT_EQ(check_private_key_file(folder / "none").error().code, Code::not_found);
}

TEST(Files, NamesWhatIsMissing) {
  const TemporaryFolder folder;
  const auto content = read_file(folder / "absent", 10);
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code, Code::not_found);
  EXPECT_EQ(content.error().message, "opening " + folder / "absent" + ": No such file or directory");
}

TEST(Files, RefusesAFileOverTheBound) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "a", Bytes(11)));
  EXPECT_EQ(read_file(folder / "a", 10).error().code, Code::too_large);
  EXPECT_TRUE(read_file(folder / "a", 11));
}

TEST(Files, KeepsTheOldContentWhenTheNewCannotBeWritten) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "a", as_bytes("old")));
  ASSERT_EQ(::mkdir((folder / "a.new").c_str(), 0755), 0);
  EXPECT_EQ(write_file_atomic(folder / "a", as_bytes("new")).error().code, Code::io);
  EXPECT_EQ(*read_file(folder / "a", 10), to_bytes("old"));
}

TEST(Files, ReplacesATemporaryFileThatACrashLeftBehind) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "a.new", Bytes(1000)));
  ASSERT_TRUE(write_file_atomic(folder / "a", as_bytes("new")));
  EXPECT_EQ(*read_file(folder / "a", 10), to_bytes("new"));
}

TEST(Files, DoesNotWriteThroughALinkInPlaceOfTheTemporaryFile) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "precious", as_bytes("old")));
  ASSERT_EQ(::symlink("precious", (folder / "a.new").c_str()), 0);
  EXPECT_FALSE(write_file_atomic(folder / "a", as_bytes("new")));
  EXPECT_EQ(*read_file(folder / "precious", 10), to_bytes("old"));
}

TEST(Files, MakesFoldersDeepAndAgain) {
  const TemporaryFolder folder;
  EXPECT_TRUE(make_folders(folder / "x/y//z/", 0700));
  EXPECT_TRUE(make_folders(folder / "x/y/z"));
  struct stat status {};
  ASSERT_EQ(::stat((folder / "x/y/z").c_str(), &status), 0);
  EXPECT_TRUE(S_ISDIR(status.st_mode));
  ASSERT_TRUE(write_file_atomic(folder / "f", {}));
  EXPECT_EQ(make_folders(folder / "f/g").error().code, Code::io);
  EXPECT_EQ(make_folders(folder / "f").error().code, Code::io);
}

TEST(Files, RemovesATreeWithoutFollowingLinks) {
  const TemporaryFolder folder;
  ASSERT_TRUE(make_folders(folder / "outside"));
  ASSERT_TRUE(write_file_atomic(folder / "outside/precious", {}));
  ASSERT_TRUE(make_folders(folder / "tree/deep/er"));
  ASSERT_TRUE(write_file_atomic(folder / "tree/deep/file", {}));
  ASSERT_EQ(::symlink("../outside", (folder / "tree/link").c_str()), 0);
  ASSERT_EQ(::chmod((folder / "tree/deep").c_str(), 0), 0);
  EXPECT_TRUE(remove_tree(folder / "tree"));
  EXPECT_FALSE(exists(folder / "tree"));
  EXPECT_TRUE(exists(folder / "outside/precious"));
  EXPECT_TRUE(remove_tree(folder / "tree"));
  ASSERT_EQ(::symlink("outside", (folder / "link").c_str()), 0);
  EXPECT_TRUE(remove_tree(folder / "link"));
  EXPECT_TRUE(exists(folder / "outside/precious"));
}

TEST(Files, RemovesATreeInParts) {
  const TemporaryFolder folder;
  ASSERT_TRUE(make_folders(folder / "tree/a/b"));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(write_file_atomic(folder / "tree/a/b/f" + std::to_string(i), {}));
  int calls = 1;
  while (true) {
    const auto done = remove_some(folder / "tree", 3);
    ASSERT_TRUE(done);
    if (*done) break;
    ASSERT_LT(++calls, 10);
  }
  EXPECT_GE(calls, 4);
  EXPECT_FALSE(exists(folder / "tree"));
  EXPECT_TRUE(*remove_some(folder / "tree", 3));
}

TEST(Files, PointsALinkAtSomethingElseInOneStep) {
  const TemporaryFolder folder;
  for (const char* const target : {"old", "new"}) {
    ASSERT_TRUE(replace_link(folder / "link", target));
    EXPECT_EQ(std::filesystem::read_symlink(folder / "link"), target);
  }
  EXPECT_FALSE(exists(folder / "link.new"));
  const auto refused = replace_link(folder / "none/link", "new");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(folder / "none/link.new"), std::string::npos) << refused.error().message;
}

TEST(Files, DoesNotRemoveAMountInATree) {
  if (::geteuid() != 0) return;  // only root may mount
  const TemporaryFolder folder;
  ASSERT_TRUE(make_folders(folder / "tree/mnt"));
  ASSERT_EQ(::mount("none", (folder / "tree/mnt").c_str(), "tmpfs", 0, "size=64k"), 0);
  EXPECT_TRUE(write_file_atomic(folder / "tree/mnt/precious", {}));
  EXPECT_EQ(remove_tree(folder / "tree").error().code, Code::io);
  EXPECT_TRUE(exists(folder / "tree/mnt/precious"));
  ASSERT_EQ(::umount((folder / "tree/mnt").c_str()), 0);
}

TEST(Files, SaysThatTheDiskIsFull) {
  if (::geteuid() != 0) return;  // only root may mount
  const TemporaryFolder folder;
  ASSERT_TRUE(make_folders(folder / "small"));
  ASSERT_EQ(::mount("none", (folder / "small").c_str(), "tmpfs", 0, "size=64k"), 0);
  const auto space = free_space(folder / "small");
  EXPECT_TRUE(space && space->bytes_free == 64 * 1024 && space->inodes_free > 0);
  const auto status = write_file_atomic(folder / "small/a", Bytes(100'000));
  EXPECT_FALSE(status);
  if (!status) {
    EXPECT_EQ(status.error().code, Code::no_space);
  }
  EXPECT_FALSE(exists(folder / "small/a.new"));
  ASSERT_EQ(::umount((folder / "small").c_str()), 0);
}

TEST(Files, SyncsFoldersAndFileSystems) {
  const TemporaryFolder folder;
  EXPECT_TRUE(sync_folder(folder.path()));
  EXPECT_TRUE(sync_file_system(folder.path()));
  EXPECT_EQ(sync_folder(folder / "absent").error().code, Code::not_found);
  EXPECT_EQ(free_space(folder / "absent").error().code, Code::not_found);
}

TEST(Files, DrawsDifferentRandomBytes) {
  const auto one = random_bytes(32);
  const auto two = random_bytes(32);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->size(), 32U);
  EXPECT_NE(*one, *two);
}

class OpenBelow : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_folders(folder_ / "root/sub"));
    ASSERT_TRUE(write_file_atomic(folder_ / "secret", as_bytes("x")));
    ASSERT_TRUE(write_file_atomic(folder_ / "root/sub/file", as_bytes("y")));
    auto opened = open_file(folder_ / "root", O_PATH | O_DIRECTORY);
    ASSERT_TRUE(opened);
    root_ = std::move(*opened);
  }
  bool opens(const std::string& path) { return open_below(root_.get(), path, O_RDONLY, "root").has_value(); }

  TemporaryFolder folder_;
  Fd root_;
};

TEST_F(OpenBelow, OpensWhatIsThere) {
  EXPECT_TRUE(opens("sub/file"));
  EXPECT_TRUE(opens("sub"));
  EXPECT_TRUE(opens(""));
  EXPECT_FALSE(opens("sub/absent"));
}

TEST_F(OpenBelow, FollowsNoLinkAnywhere) {
  ASSERT_EQ(::symlink("..", (folder_ / "root/up").c_str()), 0);
  ASSERT_EQ(::symlink("sub", (folder_ / "root/beside").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (folder_ / "root/away").c_str()), 0);
  EXPECT_FALSE(opens("up/secret"));
  EXPECT_FALSE(opens("beside/file"));
  EXPECT_FALSE(opens("away"));
}

TEST_F(OpenBelow, NamesThePathInItsErrors) {
  const auto file = open_below(root_.get(), "sub/absent", O_RDONLY, "/shown");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message, "opening /shown/sub/absent: No such file or directory");
}

}  // namespace
}  // namespace instar::files

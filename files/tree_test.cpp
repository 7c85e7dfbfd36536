#include "files/tree.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>

#include "core/artifact/codec.hpp"
#include "core/trust/digest.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::files {
namespace {

using artifact::Entry;
using artifact::EntryType;

class Tree : public testing::Test {
 protected:
  void write(const std::string& path, std::string_view content) {
    ASSERT_TRUE(write_file_atomic(folder_ / path, as_bytes(content)));
  }
  std::map<std::string, Entry> read(TreeOptions options = {}) {
    const auto entries = read_tree(folder_.path(), options);
    EXPECT_TRUE(entries) << entries.error().message;
    std::map<std::string, Entry> by_path;
    if (entries) {
      for (const Entry& entry : *entries) by_path[entry.path] = entry;
    }
    return by_path;
  }
  Error failure(TreeOptions options = {}) {
    const auto entries = read_tree(folder_.path(), options);
    EXPECT_FALSE(entries);
    return entries ? Error{} : entries.error();
  }

  TemporaryFolder folder_;
};

TEST_F(Tree, ListsEntriesInIndexOrder) {
  ASSERT_TRUE(make_folders(folder_ / "a/b"));
  write("a/b/c", "1");
  write("a/z", "2");
  write("a.c", "3");
  write("A", "4");
  const auto entries = read_tree(folder_.path(), {});
  ASSERT_TRUE(entries);
  std::vector<std::string> paths;
  for (const Entry& entry : *entries) paths.push_back(entry.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"", "A", "a", "a/b", "a/b/c", "a/z", "a.c"}));
  Bytes index;
  artifact::IndexWriter writer(index);
  for (const Entry& entry : *entries) EXPECT_TRUE(writer.append(entry));
}

TEST_F(Tree, KeepsContentModeAndOwner) {
  write("f", "hello");
  ASSERT_EQ(::chmod((folder_ / "f").c_str(), 04751), 0);
  auto entries = read();
  const Entry& file = entries["f"];
  EXPECT_EQ(file.type, EntryType::file);
  EXPECT_EQ(file.mode, 04751);
  EXPECT_EQ(file.size, 5U);
  EXPECT_EQ(file.content, trust::digest(as_bytes("hello")));
  EXPECT_EQ(file.uid, ::geteuid());
}

TEST_F(Tree, FindsHardLinks) {
  ASSERT_TRUE(make_folders(folder_ / "a"));
  write("a/x", "1");
  ASSERT_EQ(::link((folder_ / "a/x").c_str(), (folder_ / "b").c_str()), 0);
  ASSERT_EQ(::link((folder_ / "a/x").c_str(), (folder_ / "a/w").c_str()), 0);
  auto entries = read();
  EXPECT_EQ(entries["a/w"].type, EntryType::file);
  EXPECT_EQ(entries["a/x"].type, EntryType::hardlink);
  EXPECT_EQ(entries["a/x"].target, "a/w");
  EXPECT_EQ(entries["b"].target, "a/w");
}

TEST_F(Tree, KeepsSymlinksUnchanged) {
  write("f", "1");
  ASSERT_EQ(::symlink("f", (folder_ / "l").c_str()), 0);
  ASSERT_EQ(::symlink("/absolute/nowhere", (folder_ / "m").c_str()), 0);
  auto entries = read();
  EXPECT_EQ(entries["l"].type, EntryType::symlink);
  EXPECT_EQ(entries["l"].target, "f");
  EXPECT_EQ(entries["m"].target, "/absolute/nowhere");
}

TEST_F(Tree, RefusesASymlinkThatLeavesTheTree) {
  ASSERT_EQ(::symlink("../outside", (folder_ / "l").c_str()), 0);
  const Error error = failure();
  EXPECT_EQ(error.code, Code::refused);
  EXPECT_NE(error.message.find("\"l\""), std::string::npos) << error.message;
}

TEST_F(Tree, KeepsUserXattrsOnly) {
  write("f", "1");
  const std::string path = folder_ / "f";
  ASSERT_EQ(::setxattr(path.c_str(), "user.b", "2", 1, 0), 0);
  ASSERT_EQ(::setxattr(path.c_str(), "user.a", "1", 1, 0), 0);
  ASSERT_EQ(::setxattr(path.c_str(), "user.overlay.origin", "1", 1, 0), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::setxattr(path.c_str(), "trusted.x", "1", 1, 0), 0);
  }
  auto entries = read();
  ASSERT_EQ(entries["f"].xattrs.size(), 2U);
  EXPECT_EQ(entries["f"].xattrs[0].name, "user.a");
  EXPECT_EQ(entries["f"].xattrs[1].value, to_bytes("2"));
}

TEST_F(Tree, RefusesSockets) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder_ / "s").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  const Error error = failure({.rules = {.devices_allowed = true}, .progress = {}});
  EXPECT_EQ(error.code, Code::refused);
  EXPECT_NE(error.message.find(folder_ / "s"), std::string::npos);
}

TEST_F(Tree, RefusesFifosAndDevicesUnlessAllowed) {
  ASSERT_EQ(::mkfifo((folder_ / "p").c_str(), 0600), 0);
  EXPECT_EQ(failure().code, Code::refused);
  EXPECT_EQ(read({.rules = {.devices_allowed = true}, .progress = {}})["p"].type, EntryType::fifo);
  if (::geteuid() != 0) return;
  ASSERT_EQ(::mknod((folder_ / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  const Entry null = read({.rules = {.devices_allowed = true}, .progress = {}})["null"];
  EXPECT_EQ(null.type, EntryType::char_device);
  EXPECT_EQ(null.device_major, 1U);
  EXPECT_EQ(null.device_minor, 3U);
}

TEST_F(Tree, NamesWhatItCannotRead) {
  if (::geteuid() == 0) {
    // Root may read everything, so the test uses a mount in the tree, which is refused.
    ASSERT_TRUE(make_folders(folder_ / "proc"));
    ASSERT_EQ(::mount("none", (folder_ / "proc").c_str(), "tmpfs", 0, "size=64k"), 0);
    const Error error = failure();
    EXPECT_EQ(::umount((folder_ / "proc").c_str()), 0);
    EXPECT_EQ(error.code, Code::refused);
    EXPECT_NE(error.message.find(folder_ / "proc"), std::string::npos);
    return;
  }
  write("f", "1");
  ASSERT_EQ(::chmod((folder_ / "f").c_str(), 0), 0);
  const Error error = failure();
  EXPECT_EQ(error.code, Code::io);
  EXPECT_NE(error.message.find(folder_ / "f"), std::string::npos);
}

TEST_F(Tree, SaysThatTheFolderIsMissing) {
  const auto entries = read_tree(folder_ / "absent", {});
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code, Code::not_found);
}

TEST_F(Tree, ReportsProgress) {
  write("f", std::string(600'000, 'x'));
  write("g", "12345");
  std::uint64_t last = 0;
  read({.rules = {}, .progress = [&](std::uint64_t done, std::uint64_t all) {
          EXPECT_GT(done, last);
          EXPECT_EQ(all, 600'005U);
          last = done;
        }});
  EXPECT_EQ(last, 600'005U);
}

TEST_F(Tree, SourceReadsContents) {
  ASSERT_TRUE(make_folders(folder_ / "d"));
  write("d/f", "0123456789");
  auto entries = read();
  const auto source = tree_source(folder_.path());
  Bytes out(4);
  EXPECT_EQ(*source->read(entries["d/f"], 3, out), 4U);
  EXPECT_EQ(as_text(out), "3456");
  EXPECT_EQ(*source->read(entries["d/f"], 8, out), 2U);
}

TEST_F(Tree, SourceFindsAChangedFile) {
  write("f", "0123456789");
  auto entries = read();
  write("f", "01234");
  Bytes out(4);
  EXPECT_EQ(tree_source(folder_.path())->read(entries["f"], 0, out).error().code, Code::corrupt);
  ASSERT_EQ(::unlink((folder_ / "f").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (folder_ / "f").c_str()), 0);
  EXPECT_FALSE(tree_source(folder_.path())->read(entries["f"], 0, out));
}

TEST_F(Tree, PacksFromDisk) {
  write("f", std::string(300'000, 'x'));
  const auto entries = read_tree(folder_.path(), {});
  ASSERT_TRUE(entries);
  Bytes index;
  artifact::IndexWriter writer(index);
  for (const Entry& entry : *entries) ASSERT_TRUE(writer.append(entry));
  ASSERT_TRUE(writer.finish());
  struct Count : artifact::PackSink {
    int chunks = 0;
    Status put(bool, std::uint32_t, const artifact::ChunkRef&, ByteView) override {
      ++chunks;
      return {};
    }
  } sink;
  const auto directory =
      artifact::make_pack(index, *entries, *tree_source(folder_.path()), sink, {.level = 1, .progress = {}});
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(static_cast<std::size_t>(sink.chunks), directory->chunks.size());
}

}  // namespace
}  // namespace instar::files

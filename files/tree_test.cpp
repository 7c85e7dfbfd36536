#include "files/tree.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>

#include "core/artifact/acl.hpp"
#include "core/artifact/codec.hpp"
#include "core/artifact/testing/acls.hpp"
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

TEST_F(Tree, NamesXattrsThatItDoesNotKeep) {
  if (::geteuid() != 0) return;
  write("a", "1");
  write("b", "1");
  ASSERT_EQ(::setxattr((folder_ / "a").c_str(), "trusted.x", "1", 1, 0), 0);
  ASSERT_EQ(::setxattr((folder_ / "b").c_str(), "trusted.x", "1", 1, 0), 0);
  ASSERT_EQ(::setxattr((folder_ / "b").c_str(), "user.overlay.opaque", "y", 1, 0), 0);
  TreeNotes notes;
  TreeOptions options;
  options.notes = &notes;
  const auto entries = read(options);
  EXPECT_TRUE(entries.at("b").xattrs.empty());
  EXPECT_EQ(notes.xattrs_not_kept["trusted.x"].count, 2U);
  EXPECT_EQ(notes.xattrs_not_kept["trusted.x"].first, "a");
  EXPECT_EQ(notes.xattrs_not_kept["user.overlay.opaque"].count, 1U);
}

TEST_F(Tree, KeepsAclsOfFilesAndFolders) {
  const Bytes acl = artifact::fixture::usual_acl();
  const std::string access(artifact::kAccessAcl);
  write("f", "1");
  if (::setxattr((folder_ / "f").c_str(), access.c_str(), acl.data(), acl.size(), 0) != 0) {
    ASSERT_EQ(errno, ENOTSUP) << "this file system keeps no ACLs";
    return;
  }
  ASSERT_TRUE(make_folders(folder_ / "d"));
  const std::string inherited(artifact::kDefaultAcl);
  ASSERT_EQ(::setxattr((folder_ / "d").c_str(), inherited.c_str(), acl.data(), acl.size(), 0), 0);
  const auto entries = read();
  EXPECT_EQ(entries.at("f").xattrs, (std::vector<artifact::Xattr>{{access, acl}}));
  EXPECT_EQ(entries.at("f").mode, 0670);
  EXPECT_EQ(entries.at("d").xattrs, (std::vector<artifact::Xattr>{{inherited, acl}}));
}

TEST_F(Tree, AFifoWithAnAclGivesNobodyMoreThanBefore) {
  const Bytes acl = artifact::fixture::usual_acl();
  const std::string access(artifact::kAccessAcl);
  ASSERT_EQ(::mkfifo((folder_ / "p").c_str(), 0640), 0);
  if (::setxattr((folder_ / "p").c_str(), access.c_str(), acl.data(), acl.size(), 0) != 0) {
    ASSERT_EQ(errno, ENOTSUP) << "this file system keeps no ACLs";
    return;
  }
  TreeNotes notes;
  TreeOptions options;
  options.rules.devices_allowed = true;
  options.notes = &notes;
  EXPECT_EQ(read(options).at("p").mode, 0640);
  EXPECT_EQ(notes.acls_not_kept.count, 1U);
  EXPECT_EQ(notes.acls_not_kept.first, "p");
}

TEST_F(Tree, KeepsTimesOnlyWhenAsked) {
  write("f", "1");
  const std::array<timespec, 2> times{timespec{1'600'000'000, 5}, timespec{1'600'000'000, 5}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (folder_ / "f").c_str(), times.data(), 0), 0);
  EXPECT_FALSE(read().at("f").time);
  TreeOptions options;
  options.keep_times = true;
  EXPECT_EQ(read(options).at("f").time, 1'600'000'000U);
  EXPECT_TRUE(read(options).at("").time);
  const std::array<timespec, 2> before{timespec{-5, 0}, timespec{-5, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (folder_ / "f").c_str(), before.data(), 0), 0);
  EXPECT_EQ(failure(options).code, Code::refused);
}

TEST_F(Tree, NotesCompiledPythonWhoseSourceGetsAnotherTime) {
  const std::string magic("\xa7\x0d\r\n", 4);
  const std::string by_time = magic + std::string(4, '\0') + "12345678code";
  const std::string by_hash = magic + std::string("\x01\0\0\0", 4) + "12345678code";
  ASSERT_TRUE(make_folders(folder_ / "m/__pycache__"));
  write("m/a.py", "1");
  write("m/b.py", "1");
  write("m/__pycache__/a.cpython-311.pyc", by_time);
  write("m/__pycache__/a.cpython-311.opt-1.pyc", by_time);
  write("m/__pycache__/b.cpython-311.pyc", by_hash);
  write("m/__pycache__/without-source.cpython-311.pyc", by_time);
  write("m/beside.pyc", by_time);
  TreeNotes notes;
  TreeOptions options;
  options.notes = &notes;
  read(options);
  EXPECT_EQ(notes.stale_python.count, 2U);
  EXPECT_EQ(notes.stale_python.first, "m/__pycache__/a.cpython-311.opt-1.pyc");
  notes = {};
  options.keep_times = true;
  read(options);
  EXPECT_EQ(notes.stale_python.count, 0U);
}

TEST(TreeNotes, ACompiledFileBelongsToASourceBesideItsFolder) {
  EXPECT_EQ(python_source_of("a/__pycache__/m.cpython-311.opt-1.pyc"), "a/m.py");
  EXPECT_EQ(python_source_of("__pycache__/m.cpython-311.pyc"), "m.py");
  EXPECT_EQ(python_source_of("a/m.pyc"), "");
  EXPECT_EQ(python_source_of("a__pycache__/m.cpython-311.pyc"), "");
  EXPECT_EQ(python_source_of("a/__pycache__/m.txt"), "");
  EXPECT_EQ(python_source_of(""), "");
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

TEST_F(Tree, RefusesAFileThatIsMountedOnAnother) {
  if (::geteuid() != 0) return;  // nobody else may mount
  write("f", "1");
  write("g", "2");
  ASSERT_EQ(::mount((folder_ / "g").c_str(), (folder_ / "f").c_str(), nullptr, MS_BIND, nullptr), 0);
  const Error error = failure();
  EXPECT_EQ(::umount((folder_ / "f").c_str()), 0);
  EXPECT_EQ(error.code, Code::refused);
  EXPECT_NE(error.message.find("mounted at " + (folder_ / "f")), std::string::npos) << error.message;
}

// As in a container of Docker: files there have another device than their folder.
TEST_F(Tree, ReadsATreeOnAnOverlay) {
  if (::geteuid() != 0) return;  // nobody else may mount
  const TemporaryFolder layers;
  ASSERT_EQ(::mount("none", layers.path().c_str(), "tmpfs", 0, "size=1m"), 0);
  for (const char* name : {"lower", "upper", "work"}) ASSERT_TRUE(make_folders(layers / name));
  ASSERT_TRUE(write_file_atomic(layers / "lower/below", as_bytes("1")));
  ASSERT_EQ(::link((layers / "lower/below").c_str(), (layers / "lower/twin").c_str()), 0);
  const std::string options =
      "xino=off,lowerdir=" + (layers / "lower") + ",upperdir=" + (layers / "upper") + ",workdir=" + (layers / "work");
  ASSERT_EQ(::mount("overlay", folder_.path().c_str(), "overlay", 0, options.c_str()), 0);
  write("above", "2");
  const auto entries = read();
  EXPECT_EQ(::umount(folder_.path().c_str()), 0);
  EXPECT_EQ(::umount(layers.path().c_str()), 0);
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries.at("below").type, EntryType::file);
  EXPECT_EQ(entries.at("twin").type, EntryType::hardlink);
  EXPECT_EQ(entries.at("above").type, EntryType::file);
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

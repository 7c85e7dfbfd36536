#include "publisher/artifact/unpacking.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "core/artifact/acl.hpp"
#include "core/artifact/testing/acls.hpp"
#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/testing/trees.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

class Unpack : public testing::Test {
 protected:
  void SetUp() override {
    make_versions(folder_ / "tree", folder_ / "other");
    BuildOptions options;
    options.tree = folder_ / "tree";
    options.out = folder_ / "out";
    options.level = 1;
    ASSERT_TRUE(build_artifact(options));
  }
  Result<Unpacked> unpack_to(const std::string& source, const std::string& out, const std::string& base = "") const {
    UnpackOptions options;
    options.source = folder_ / source;
    options.out = folder_ / out;
    if (!base.empty()) options.base = folder_ / base;
    return unpack(options);
  }
  files::TemporaryFolder folder_;
};

TEST_F(Unpack, FullAndDedupeRestoreTheTree) {
  for (const auto* source : {"out", "out/full.pack", "out/dedupe.pack"}) {
    ASSERT_TRUE(files::remove_tree(folder_ / "back"));
    const auto done = unpack_to(source, "back");
    ASSERT_TRUE(done) << source << ": " << done.error().message;
    EXPECT_EQ(done->artifact, artifact_on_disk(folder_ / "tree"));
    EXPECT_EQ(artifact_on_disk(folder_ / "back"), done->artifact) << source;
    EXPECT_FALSE(done->left_out.any());
  }
}

TEST_F(Unpack, AnEmptyFolderIsUsedAndAnotherOneIsRefused) {
  ASSERT_TRUE(files::make_folders(folder_ / "empty"));
  EXPECT_TRUE(unpack_to("out", "empty"));
  write_in(folder_ / "full", "letter", as_bytes("dear"));
  const auto refused = unpack_to("out", "full");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_THAT(list_names(folder_ / "full"), testing::ElementsAre("letter"));
  EXPECT_FALSE(unpack_to("out", "full/letter")) << "a file";
}

TEST_F(Unpack, EveryDamagedByteOfAChunkIsAnErrorThatLeavesNothing) {
  const auto good = files::read_file(folder_ / "out/full.pack", 1 << 24);
  ASSERT_TRUE(good);
  const auto pack = PackFile::open(folder_ / "out/full.pack");
  ASSERT_TRUE(pack);
  for (std::size_t at = pack->directory_bytes().size(); at < good->size(); at += good->size() / 23) {
    Bytes bytes = *good;
    bytes[at] ^= 1;
    write_in(folder_.path(), "damaged.pack", bytes);
    const auto done = unpack_to("damaged.pack", "back");
    ASSERT_FALSE(done) << at;
    EXPECT_EQ(done.error().code, Code::corrupt);
    EXPECT_TRUE(real_path(folder_ / "back").empty()) << "the new folder is gone again";
  }
}

TEST_F(Unpack, StoppedAtAnyChunkItLeavesNothing) {
  int asked = 0;
  int stop_at = 0;
  UnpackOptions options;
  options.source = folder_ / "out/dedupe.pack";
  options.out = folder_ / "back";
  options.work.stopped = [&] { return ++asked > stop_at; };
  for (; stop_at < 1'000; ++stop_at) {
    asked = 0;
    const auto done = unpack(options);
    if (done) break;
    EXPECT_EQ(done.error().code, Code::unavailable);
    EXPECT_TRUE(real_path(options.out).empty());
  }
  EXPECT_GT(stop_at, 5);
  EXPECT_LT(stop_at, 1'000);
}

TEST_F(Unpack, AFailedWriteIsAnErrorThatLeavesNothing) {
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 100'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto done = unpack_to("out", "back");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::io);
  EXPECT_TRUE(real_path(folder_ / "back").empty());
}

TEST_F(Unpack, AnotherUserGetsTheTreeWithoutWhatOnlyRootMaySet) {
  if (::geteuid() != 0) {
    EXPECT_TRUE(unpack_to("out", "back"));
    return;
  }
  ASSERT_EQ(::chown((folder_ / "tree/etc/config").c_str(), 12, 34), 0);
  ASSERT_EQ(::chown((folder_ / "tree/bin/app").c_str(), 12, 34), 0);
  ASSERT_EQ(::chmod((folder_ / "tree/bin/app").c_str(), 06755), 0);
  BuildOptions options;
  options.tree = folder_ / "tree";
  options.out = folder_ / "out";
  options.level = 1;
  options.replace = true;
  ASSERT_TRUE(build_artifact(options));
  ASSERT_TRUE(files::make_folders(folder_ / "theirs"));
  ASSERT_EQ(::chown((folder_ / "theirs").c_str(), 65534, 65534), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::seteuid(65534), 0);
  const auto done = unpack_to("out", "theirs");
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_GT(done->left_out.owners, 2U);
  EXPECT_EQ(done->left_out.modes, 1U);
  struct stat info {};
  ASSERT_EQ(::stat((folder_ / "theirs/bin/app").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755U) << "setuid for another owner would be a hole";
  EXPECT_EQ(files::read_file(folder_ / "theirs/bin/app", 1 << 20), files::read_file(folder_ / "tree/bin/app", 1 << 20));
}

TEST_F(Unpack, RestoresCapabilitiesAndUserAttributes) {
  if (::setxattr((folder_ / "tree/bin/app").c_str(), "user.note", "text", 4, 0) != 0) {
    ASSERT_EQ(errno, ENOTSUP) << "this file system keeps no attributes";
    return;
  }
  BuildOptions options;
  options.tree = folder_ / "tree";
  options.out = folder_ / "out";
  options.level = 1;
  options.replace = true;
  const auto built = build_artifact(options);
  ASSERT_TRUE(built);
  ASSERT_TRUE(unpack_to("out", "back"));
  std::array<char, 16> value{};
  EXPECT_EQ(::getxattr((folder_ / "back/bin/app").c_str(), "user.note", value.data(), value.size()), 4);
}

class UnpackContent : public Unpack {
 protected:
  Result<ArtifactFolder> pack(const std::string& tree, const std::string& out, bool keep_times = false) const {
    BuildOptions options;
    options.tree = folder_ / tree;
    options.out = folder_ / out;
    options.level = 1;
    options.keep_times = keep_times;
    options.replace = true;
    return build_artifact(options);
  }
  [[nodiscard]] struct stat look(const std::string& path) const {
    struct stat info {};
    EXPECT_EQ(::lstat((folder_ / path).c_str(), &info), 0) << path;
    return info;
  }
};

TEST_F(UnpackContent, RestoresAcls) {
  const Bytes acl = artifact::fixture::usual_acl();
  const std::string name(artifact::kAccessAcl);
  ASSERT_EQ(::chmod((folder_ / "tree/etc/config").c_str(), 0640), 0);
  if (::setxattr((folder_ / "tree/etc/config").c_str(), name.c_str(), acl.data(), acl.size(), 0) != 0) {
    ASSERT_EQ(errno, ENOTSUP) << "this file system keeps no ACLs";
    return;
  }
  ASSERT_TRUE(pack("tree", "out"));
  const auto done = unpack_to("out", "back");
  ASSERT_TRUE(done) << done.error().message;
  Bytes found(acl.size() + 1);
  EXPECT_EQ(::getxattr((folder_ / "back/etc/config").c_str(), name.c_str(), found.data(), found.size()),
            static_cast<ssize_t>(acl.size()));
  found.pop_back();
  EXPECT_EQ(found, acl);
}

TEST_F(UnpackContent, TimesFollowFromTheContent) {
  ASSERT_TRUE(pack("other", "out-2"));
  ASSERT_TRUE(unpack_to("out", "back"));
  ASSERT_TRUE(unpack_to("out-2", "back-2"));
  EXPECT_NE(look("back/etc/config").st_mtim.tv_sec, look("back-2/etc/config").st_mtim.tv_sec);
  EXPECT_EQ(look("back/etc/copy-1").st_mtim.tv_sec, look("back-2/etc/copy-1").st_mtim.tv_sec);
  EXPECT_EQ(artifact_on_disk(folder_ / "back"), artifact_on_disk(folder_ / "tree")) << "times are not in the artifact";
}

TEST_F(UnpackContent, KeptTimesAreRestoredAndMakeAnotherArtifact) {
  const std::array<timespec, 2> times{timespec{1'600'000'000, 0}, timespec{1'600'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (folder_ / "tree/etc/config").c_str(), times.data(), 0), 0);
  const auto kept = pack("tree", "kept", true);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_NE(kept->id, artifact_on_disk(folder_ / "tree"));
  const auto done = unpack_to("kept", "back");
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(look("back/etc/config").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(look("back/etc").st_mtim.tv_sec, look("tree/etc").st_mtim.tv_sec) << "folders too";
  const auto again = pack("back", "again", true);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, kept->id);
}

TEST_F(UnpackContent, SparseFilesStaySparse) {
  ASSERT_EQ(::truncate((folder_ / "tree/etc/empty").c_str(), 50'000'000), 0);
  const auto built = pack("tree", "out");
  ASSERT_TRUE(built);
  EXPECT_GT(built->hole_bytes, 49'000'000U);
  EXPECT_EQ(open_artifact(folder_ / "out")->hole_bytes, built->hole_bytes);
  EXPECT_EQ(manifest_artifact(*built).hole_bytes, built->hole_bytes);
  ASSERT_TRUE(unpack_to("out", "back"));
  EXPECT_EQ(look("back/etc/empty").st_size, 50'000'000);
  EXPECT_LT(look("back/etc/empty").st_blocks, 100);
}

TEST_F(Unpack, SaysWhatIsMissing) {
  EXPECT_EQ(unpack_to("nothing", "back").error().code, Code::not_found);
  EXPECT_THAT(unpack_to("tree", "back").error().message, HasSubstr("not an artifact folder"));
  const auto no_delta = unpack_to("out", "back", "other");
  ASSERT_FALSE(no_delta);
  EXPECT_EQ(no_delta.error().code, Code::invalid_argument);
  EXPECT_THAT(no_delta.error().message, HasSubstr("has no delta against"));
  EXPECT_TRUE(real_path(folder_ / "back").empty());
}

}  // namespace
}  // namespace instar::publisher

// What a tree has beside contents, modes and owners: ACLs, holes, and more names for a file than a file system allows.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <tuple>

#include "core/artifact/acl.hpp"
#include "core/artifact/testing/acls.hpp"
#include "device-client/staging/stager.hpp"
#include "device-client/staging/xattr_support.hpp"
#include "device-client/testing/delta_fixture.hpp"
#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using artifact::PackKind;
using artifact::fixture::acl;
using artifact::fixture::usual_acl;

const std::string kAccess(artifact::kAccessAcl);
const std::string kDefault(artifact::kDefaultAcl);
constexpr std::size_t kMega = 1024 * 1024;

struct stat status_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

std::uint64_t bytes_on_disk(const std::string& path) {
  return static_cast<std::uint64_t>(status_of(path).st_blocks) * 512;
}

class StagerContent : public testing::Test {
 protected:
  StagerContent() : device_(folder_ / "state") { EXPECT_TRUE(files::make_folders(folder_ / "state")); }
  // Stages `next` and compares the tree.
  void stage(std::uint32_t number, const ArtifactFixture& next, PackKind kind, std::vector<std::uint32_t> bases = {}) {
    device_.open(number, {&next}, kind, std::move(bases));
    device_.run();
    ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
    expect_tree(tree_of(device_, number, next), next.tree);
  }
  [[nodiscard]] bool keeps_acls() const {
    const Bytes value = usual_acl();
    if (::setxattr(folder_.path().c_str(), kAccess.c_str(), value.data(), value.size(), 0) == 0) return true;
    EXPECT_EQ(errno, ENOTSUP) << "this file system keeps no ACLs";
    return false;
  }
  files::TemporaryFolder folder_;
  StagingFixture device_;
};

TreeFixture tree_with_acls() {
  TreeFixture tree;
  auto& folder = tree.folder("spool", 02770);
  folder.xattrs = {{kAccess, acl({{1, 7}, {2, 7, 1000}, {4, 5}, {16, 7}, {32, 0}})},
                   {kDefault, acl({{1, 7}, {2, 7, 1000}, {4, 5}, {16, 7}, {32, 0}})}};
  tree.file("spool/plain", noise(100, 1), 0600);
  auto& shared = tree.file("spool/shared", noise(5'000, 2), 04670);
  shared.uid = 1000;
  shared.gid = 100;
  shared.xattrs = {
      {"security.capability", artifact::fixture::capabilities()}, {kAccess, usual_acl()}, {"user.a", to_bytes("1")}};
  return tree;
}

TEST_F(StagerContent, KeepsAclsCapabilitiesAndXattrs) {
  if (!keeps_acls()) return;
  const ArtifactFixture one(tree_with_acls());
  stage(1, one, PackKind::full);
  TreeFixture other = tree_with_acls();
  other.entries[3].mode = 04660;  // spool/shared
  other.entries[3].xattrs[1].value = acl({{1, 6}, {2, 6, 1001}, {4, 4}, {16, 6}, {32, 0}});
  const ArtifactFixture two = published_from(other, one);
  const auto before = device_.bytes_fetched;
  stage(2, two, PackKind::delta, {1});
  EXPECT_LT(device_.bytes_fetched - before, 400U) << "no content travels for an ACL";
  stage(3, one, PackKind::dedupe, {2, 1});
}

// What a folder above the trees passes on is nobody's choice for what is in them.
TEST_F(StagerContent, NothingComesOfADefaultAclAboveTheTrees) {
  if (!keeps_acls()) return;
  const Bytes generous = acl({{1, 7}, {2, 7, 1234}, {4, 7}, {16, 7}, {32, 7}});
  ASSERT_EQ(::setxattr((folder_ / "state").c_str(), kDefault.c_str(), generous.data(), generous.size(), 0), 0);
  TreeFixture tree = tree_with_acls();
  tree.symlink("to-spool", "spool");
  tree.file("with-a-group", noise(10, 3), 0640);
  const ArtifactFixture one(tree);
  stage(1, one, PackKind::full);
  tree.contents["with-a-group"] = noise(11, 4);
  tree.entries.back().size = 11;
  tree.entries.back().content = trust::digest(noise(11, 4));
  stage(2, published_from(tree, one), PackKind::delta, {1});
}

TEST_F(StagerContent, AFileSystemWithoutXattrsIsNamedBeforeAnythingIsFetched) {
  const std::string place = folder_ / "ram";
  ASSERT_TRUE(files::make_folders(place));
  if (::geteuid() != 0) return;
  ASSERT_EQ(::mount("none", place.c_str(), "ramfs", 0, nullptr), 0);
  XattrSupport support(place);
  artifact::Entry entry;
  entry.path = "etc/x";
  EXPECT_TRUE(support.check(entry));
  for (const auto& [name, value, words] :
       {std::tuple(kAccess, usual_acl(), "POSIX ACLs"),
        std::tuple(std::string("user.a"), to_bytes("1"), "xattrs user.*"),
        std::tuple(std::string("security.capability"), artifact::fixture::capabilities(), "file capabilities")}) {
    entry.xattrs = {{name, value}};
    const auto status = support.check(entry);
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().code, Code::refused);
    EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().message.find("\"etc/x\""), std::string::npos) << status.error().message;
  }
  EXPECT_FALSE(files::exists(place + "/xattrs.try"));
  ASSERT_EQ(::umount(place.c_str()), 0);
}

// Data at the start, in the middle and at the end.
TreeFixture sparse_tree(std::size_t size, std::uint64_t seed = 1) {
  Bytes content(size);
  for (const std::size_t at : {std::size_t{0}, size / 2 + 100, size - 3'000}) {
    const Bytes part = noise(3'000, seed + at);
    std::copy(part.begin(), part.end(), content.begin() + static_cast<std::ptrdiff_t>(at));
  }
  TreeFixture tree;
  tree.file("before", noise(50'001, 8));
  tree.file("disk", content);
  tree.file("other", noise(50'000, 9));
  return tree;
}

class StagerHoles : public StagerContent, public testing::WithParamInterface<PackKind> {};

TEST_P(StagerHoles, AreNeitherFetchedNorWritten) {
  const ArtifactFixture one(sparse_tree(24 * kMega));
  EXPECT_GT(one.artifact.hole_bytes, 20 * kMega);
  stage(1, one, GetParam());
  EXPECT_LE(bytes_on_disk(tree_of(device_, 1, one) + "/disk"), 64U * 1024) << "three places with data";
  std::uint64_t zeros = 0;
  for (const auto& chunk : one.chunks.at(one.pack(GetParam()).id)) zeros += chunk.size() < 40 ? chunk.size() : 0;
  EXPECT_GT(zeros, 0U);
  EXPECT_EQ(device_.bytes_fetched, one.pack(GetParam()).head_bytes + one.pack(GetParam()).body_bytes - zeros);
}

TEST_P(StagerHoles, StayWhereTheStagingWasKilledAndGoesOn) {
  const ArtifactFixture one(sparse_tree(8 * kMega));
  device_.open(1, {&one}, GetParam());
  for (int calls = 5; device_.run(calls); calls += 7) {
    device_.kill_and_start();
    device_.reopen();
  }
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 1, one), one.tree);
  EXPECT_LE(bytes_on_disk(tree_of(device_, 1, one) + "/disk"), 64U * 1024);
}

INSTANTIATE_TEST_SUITE_P(All, StagerHoles, testing::Values(PackKind::full, PackKind::dedupe));

TEST_F(StagerContent, HolesStayInCopiesAndDeltas) {
  const ArtifactFixture one(sparse_tree(8 * kMega));
  stage(1, one, PackKind::dedupe);
  TreeFixture closed = sparse_tree(8 * kMega);
  closed.entries[2].mode = 0600;  // disk
  const ArtifactFixture two = published_from(closed, one);
  stage(2, two, PackKind::delta, {1});
  EXPECT_LE(bytes_on_disk(tree_of(device_, 2, two) + "/disk"), 64U * 1024) << "copied";
  const ArtifactFixture three = published_from(sparse_tree(8 * kMega, 50), two);
  stage(3, three, PackKind::delta, {2, 1});
  EXPECT_LE(bytes_on_disk(tree_of(device_, 3, three) + "/disk"), 64U * 1024) << "decoded";
}

TEST_F(StagerContent, HolesNeedNoSpace) {
  const std::string place = folder_ / "small";
  ASSERT_TRUE(files::make_folders(place));
  if (::geteuid() != 0) return;
  ASSERT_EQ(::mount("none", place.c_str(), "tmpfs", 0, "size=4m"), 0);
  {
    StagingFixture device(place + "/state");
    ASSERT_TRUE(files::make_folders(place + "/state"));
    const ArtifactFixture one(sparse_tree(16 * kMega));
    device.open(1, {&one}, PackKind::full);
    device.run();
    EXPECT_TRUE(device.done) << (device.failed ? device.failed->message : "");
    if (device.done) expect_tree(tree_of(device, 1, one), one.tree);
    const ArtifactFixture two = published_from(sparse_tree(16 * kMega, 50), one);
    device.open(2, {&two}, PackKind::delta, {1});
    device.run();
    EXPECT_TRUE(device.done) << (device.failed ? device.failed->message : "");
  }
  ASSERT_EQ(::umount(place.c_str()), 0);
}

// 65 000 on ext4. File systems with no such bound make one file of all.
TEST_F(StagerContent, AFileHasMoreNamesThanTheFileSystemAllows) {
  constexpr std::uint64_t kNames = 65'040;
  TreeFixture linked;
  linked.file("f", noise(100, 1), 0640);
  for (std::uint64_t i = 1; i < kNames / 2; ++i) linked.hardlink("l" + std::to_string(100'000 + i), "f");
  TreeFixture both = linked;
  for (std::uint64_t i = 0; i < kNames / 2; ++i) both.file("s" + std::to_string(100'000 + i), noise(100, 1), 0640);
  const ArtifactFixture one(both);
  stage(1, one, PackKind::full);
  const ArtifactFixture two = published_from(linked, one);
  stage(2, two, PackKind::delta, {1});
  const ArtifactFixture three = published_from(both, two);
  stage(3, three, PackKind::delta, {2, 1});
  if (status_of(tree_of(device_, 1, one) + "/f").st_nlink <= 65'000) {
    std::set<ino_t> files;
    for (std::uint64_t i = 0; i < kNames / 2; ++i)
      files.insert(status_of(tree_of(device_, 3, three) + "/s" + std::to_string(100'000 + i)).st_ino);
    EXPECT_LE(files.size(), 3U) << "names past the bound share copies";
  }
}

}  // namespace
}  // namespace instar::device

// Stagings of delta packs: what they make, what they fetch, and what they do not change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include "device-client/testing/delta_fixture.hpp"
#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device::delta_staged {
namespace {

using artifact::PackKind;
using testing::HasSubstr;

Bytes changed(Bytes bytes, std::size_t at) {
  for (std::size_t i = 0; i < 300 && at + i < bytes.size(); ++i) bytes[at + i] ^= 0x5a;
  return bytes;
}

TreeFixture old_tree() {
  TreeFixture tree;
  tree.folder("bin");
  tree.file("bin/app", noise(300'000, 1), 0755);
  tree.file("bin/kept", noise(90'000, 2), 04755);
  tree.hardlink("bin/kept-too", "bin/kept");
  tree.file("bin/moded", noise(20'000, 3), 0644);
  tree.file("bin/moved", noise(30'000, 4), 0755);
  tree.folder("gone");
  tree.file("gone/file", noise(5'000, 5));
  auto& owned = tree.file("owned", noise(10, 6), 0600);
  owned.uid = 1000;
  owned.gid = 100;
  owned.xattrs = {{"user.origin", to_bytes("ci")}};
  tree.symlink("to-app", "bin/app");
  return tree;
}

TreeFixture new_tree() {
  TreeFixture tree;
  tree.folder("bin", 0711);
  tree.file("bin/app", changed(noise(300'000, 1), 150'000), 0755);
  tree.file("bin/kept", noise(90'000, 2), 04755);
  tree.hardlink("bin/kept-too", "bin/kept");
  tree.file("bin/moded", noise(20'000, 3), 0600);
  tree.file("bin/new", noise(250'000, 7), 0755);
  tree.file("bin/new-again", noise(250'000, 7), 0755);
  tree.file("bin/new-closed", noise(250'000, 7), 0700);
  tree.hardlink("bin/new-too", "bin/new");
  tree.file("empty", {});
  tree.file("moved", noise(30'000, 4), 0755);
  auto& owned = tree.file("owned", noise(11, 8), 0600);
  owned.uid = 1000;
  owned.gid = 100;
  owned.xattrs = {{"user.origin", to_bytes("ci")}, {"user.seen", to_bytes("yes")}};
  tree.symlink("to-app", "bin/new");
  return tree;
}

const ArtifactFixture& old_release() {
  static const ArtifactFixture release(old_tree());
  return release;
}
const ArtifactFixture& new_release() {
  static const ArtifactFixture release = published_from(new_tree(), old_release());
  return release;
}

ino_t inode(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_ino;
}

class StagerDelta : public testing::Test {
 protected:
  StagerDelta() : device_(folder_ / "state") { EXPECT_TRUE(files::make_folders(folder_ / "state")); }
  void SetUp() override {
    device_.open(1, {&old_release()}, PackKind::full);
    device_.run();
    ASSERT_TRUE(device_.done);
    device_.bytes_fetched = device_.chunks_fetched = 0;
    device_.log.clear();
  }
  void expect_new_tree() {
    ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
    expect_tree(tree_of(device_, 2, new_release()), new_release().tree);
  }
  [[nodiscard]] std::string old_path(const std::string& path) const {
    return tree_of(device_, 1, old_release()) + "/" + path;
  }
  [[nodiscard]] std::string new_path(const std::string& path) const {
    return tree_of(device_, 2, new_release()) + "/" + path;
  }
  [[nodiscard]] std::string artifact_folder() const {
    return folder_ / ("state/revisions/2/artifacts/" + new_release().artifact.id.hex());
  }
  files::TemporaryFolder folder_;
  StagingFixture device_;
};

TEST_F(StagerDelta, MakesTheTreeFromItsBaseAndThePackAlone) {
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  const auto& pack = new_release().pack(PackKind::delta);
  EXPECT_EQ(device_.bytes_fetched, pack.head_bytes + pack.body_bytes);
  EXPECT_LT(device_.bytes_fetched, 250'000u * 8 / 7) << "the new file's seven bits of noise in eight, and little else";
  EXPECT_TRUE(device_.unusable.empty());
  expect_tree(tree_of(device_, 1, old_release()), old_release().tree);
}

TEST_F(StagerDelta, LinksWhatDidNotChangeAndKeepsOneCopyOfEqualFiles) {
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  EXPECT_EQ(inode(new_path("bin/kept")), inode(old_path("bin/kept")));
  EXPECT_EQ(inode(new_path("moved")), inode(old_path("bin/moved")));
  EXPECT_NE(inode(new_path("bin/moded")), inode(old_path("bin/moded")));
  EXPECT_EQ(inode(new_path("bin/new")), inode(new_path("bin/new-again")));
  EXPECT_NE(inode(new_path("bin/new")), inode(new_path("bin/new-closed")));
  struct stat status {};
  for (const char* entry : {"", "bin", "bin/app", "bin/moded", "to-app", "empty"}) {
    ASSERT_EQ(::lstat(new_path(entry).c_str(), &status), 0);
    EXPECT_EQ(status.st_mtim.tv_sec, 2) << entry << " is new, and the first revision has 1";
  }
}

TEST_F(StagerDelta, AsksForTheHeadFirstAndThenForExactlyTheBody) {
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.settle();
  ASSERT_TRUE(device_.all_wanted());
  const auto& pack = new_release().pack(PackKind::delta);
  ASSERT_GT(pack.head.size(), 1u);
  ASSERT_GT(pack.body_count, 2u);
  EXPECT_FALSE(device_.wants.begin()->second.exact);
  EXPECT_EQ(device_.wants.begin()->second.bytes_wanted, pack.head_bytes);
  while (!device_.all_exact() && device_.fetch_piece()) device_.settle();
  EXPECT_EQ(device_.wants.begin()->second.bytes_wanted, pack.body_bytes);
}

TEST_F(StagerDelta, LeavesNoScratchFilesBehindAndAnIndexThatNamesItself) {
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  std::set<std::string> names;
  for (const auto& item : std::filesystem::directory_iterator(artifact_folder())) names.insert(item.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"index", "tree"}));
  const auto index = files::read_file(artifact_folder() + "/index", 1 << 20);
  ASSERT_TRUE(index);
  EXPECT_EQ(*index, new_release().index);
}

TEST_F(StagerDelta, IsABaseForTheNextOne) {
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  const ArtifactFixture back = published_from(old_tree(), new_release());
  device_.stager->remove({1});
  device_.open(3, {&back}, PackKind::delta, {2});
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 3, back), old_release().tree);
}

TEST_F(StagerDelta, OfAnArtifactThatIsHeldNotEvenTheHeadIsFetched) {
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  device_.bytes_fetched = 0;
  device_.open(3, {&new_release()}, PackKind::delta, {2, 1});
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  EXPECT_EQ(device_.bytes_fetched, 0u);
  expect_tree(tree_of(device_, 3, new_release()), new_release().tree);
  EXPECT_EQ(inode(tree_of(device_, 3, new_release()) + "/bin/app"), inode(new_path("bin/app")));
}

TEST_F(StagerDelta, TwoArtifactsOneOfThemADelta) {
  TreeFixture other_tree;
  other_tree.file("x", noise(100'000, 50));
  const ArtifactFixture other(other_tree);
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.opening.manifest.artifacts.push_back(other.artifact);
  device_.opening.choices.push_back({other.artifact.id, other.pack(PackKind::dedupe).id});
  for (const auto& [pack, chunks] : other.chunks) device_.broker[pack] = chunks;
  device_.reopen();
  device_.run();
  expect_new_tree();
  expect_tree(tree_of(device_, 2, other), other.tree);
}

TEST_F(StagerDelta, AFileOfTheBaseThatOnlyHasAnotherModeIsCopied) {
  ASSERT_EQ(::chmod(old_path("bin/kept").c_str(), 0777), 0);
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  EXPECT_NE(inode(new_path("bin/kept")), inode(old_path("bin/kept")));
  EXPECT_TRUE(device_.unusable.empty());
  const auto& pack = new_release().pack(PackKind::delta);
  EXPECT_EQ(device_.bytes_fetched, pack.head_bytes + pack.body_bytes);
}

TEST_F(StagerDelta, AFullDiskIsReportedBeforeTheBodyWithBothNumbers) {
  device_.options.margin_bytes = std::uint64_t{1} << 50;
  device_.start();
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  ASSERT_TRUE(device_.failed);
  EXPECT_EQ(device_.failed->code, Code::no_space);
  EXPECT_THAT(device_.failed->message, HasSubstr("bytes on " + device_.options.state_dir + ", where "));
  EXPECT_THAT(device_.failed->message, HasSubstr("are free: free"));
  EXPECT_LE(device_.bytes_fetched, new_release().pack(PackKind::delta).head_bytes);
}

TEST_F(StagerDelta, AWrongHeadChunkIsRefusedAndFetchedAgain) {
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  Bytes& chunk = device_.broker.at(new_release().pack(PackKind::delta).id)[0];
  chunk.back() ^= 1;
  while (device_.refused.empty()) {
    device_.settle();
    ASSERT_TRUE(device_.fetch_piece());
  }
  EXPECT_EQ(device_.refused[0].ordinal, 0u);
  EXPECT_EQ(device_.refused[0].error.code, Code::corrupt);
  chunk.back() ^= 1;
  device_.run();
  expect_new_tree();
}

TEST_F(StagerDelta, AWrongBodyChunkIsRefusedAndFetchedAgain) {
  const auto& pack = new_release().pack(PackKind::delta);
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  const auto ordinal = static_cast<std::uint32_t>(pack.head.size() + 1);
  Bytes& chunk = device_.broker.at(pack.id)[ordinal];
  chunk[1000] ^= 1;
  while (device_.refused.empty()) {
    device_.settle();
    ASSERT_TRUE(device_.fetch_piece());
  }
  EXPECT_EQ(device_.refused[0].ordinal, ordinal);
  EXPECT_EQ(device_.refused[0].error.code, Code::corrupt);
  chunk[1000] ^= 1;
  device_.run();
  expect_new_tree();
}

TEST_F(StagerDelta, AnImageIsMadeFromTheImageBeforeIt) {
  ArtifactFixture one(TreeFixture::image(noise(400'000, 21)));
  ArtifactFixture two = published_from(TreeFixture::image(changed(noise(400'000, 21), 200'000)), one);
  device_.open(2, {&one.as_image()}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  device_.bytes_fetched = 0;
  device_.open(3, {&two.as_image()}, PackKind::delta, {2});
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 3, two), two.tree);
  EXPECT_LT(device_.bytes_fetched, 2'000u);
}

TEST_F(StagerDelta, ATreeThatIsCalledAnImageIsRefused) {
  ArtifactFixture tree = published_from(new_tree(), old_release());
  device_.open(2, {&tree.as_image()}, PackKind::delta, {1});
  device_.run();
  ASSERT_TRUE(device_.failed);
  EXPECT_EQ(device_.failed->code, Code::malformed);
  EXPECT_THAT(device_.failed->message, HasSubstr("the index of an image has '/bin'"));
  EXPECT_FALSE(device_.unusable.empty());
}

}  // namespace
}  // namespace instar::device::delta_staged

#include "device-client/staging/stager.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using artifact::PackKind;

TreeFixture first_tree() {
  TreeFixture tree;
  tree.folder("bin");
  tree.file("bin/a", noise(700'000, 1), 0755);
  tree.file("bin/b", noise(40'000, 2), 04755);
  tree.hardlink("bin/b-too", "bin/b");
  tree.file("bin/same-as-a", noise(700'000, 1), 0755);
  tree.file("bin/same-content", noise(700'000, 1), 0700);
  tree.folder("closed", 0500);
  tree.file("closed/empty", {});
  auto& owned = tree.file("etc", noise(10, 3), 0600);
  owned.uid = 1000;
  owned.gid = 100;
  owned.xattrs = {{"user.origin", to_bytes("ci")}};
  tree.symlink("link", "bin/a");
  tree.symlink("to-host", "/etc/passwd");
  return tree;
}

// The same tree with one file changed in its middle, one moved, one new and one removed.
TreeFixture second_tree() {
  TreeFixture tree;
  tree.folder("bin");
  Bytes changed = noise(700'000, 1);
  for (int i = 0; i < 100; ++i) changed[350'000 + static_cast<std::size_t>(i)] ^= 0x55;
  tree.file("bin/a", changed, 0755);
  tree.file("bin/b-moved", noise(40'000, 2), 04755);
  tree.file("bin/new", noise(3'000, 9), 0755);
  tree.file("bin/same-as-a", noise(700'000, 1), 0755);
  auto& owned = tree.file("etc", noise(10, 3), 0600);
  owned.uid = 1000;
  owned.gid = 100;
  owned.xattrs = {{"user.origin", to_bytes("ci")}};
  return tree;
}

ino_t inode(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_ino;
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

class StagerTest : public testing::Test {
 protected:
  StagerTest() : device_(folder_ / "state") { EXPECT_TRUE(files::make_folders(folder_ / "state")); }
  files::TemporaryFolder folder_;
  StagingFixture device_;
};

class StagerKinds : public StagerTest, public testing::WithParamInterface<PackKind> {};

TEST_P(StagerKinds, StagesATreeFromNothing) {
  const ArtifactFixture release(first_tree());
  device_.open(1, {&release}, GetParam());
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 1, release), release.tree);
  EXPECT_EQ(device_.bytes_fetched, release.pack(GetParam()).head_bytes + release.pack(GetParam()).body_bytes);
}

INSTANTIATE_TEST_SUITE_P(All, StagerKinds, testing::Values(PackKind::full, PackKind::dedupe));

TEST_F(StagerTest, KeepsOneCopyOfEqualFiles) {
  const ArtifactFixture release(first_tree());
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.done);
  const std::string tree = tree_of(device_, 1, release);
  EXPECT_EQ(inode(tree + "/bin/a"), inode(tree + "/bin/same-as-a"));
  EXPECT_NE(inode(tree + "/bin/a"), inode(tree + "/bin/same-content"));
  EXPECT_EQ(inode(tree + "/bin/b"), inode(tree + "/bin/b-too"));
}

TEST_F(StagerTest, AsksForTheHeadFirstAndThenSaysExactlyWhatIsMissing) {
  const ArtifactFixture release(first_tree());
  device_.open(1, {&release}, PackKind::dedupe);
  device_.settle();
  ASSERT_TRUE(device_.all_wanted());
  const auto& want = device_.wants.begin()->second;
  EXPECT_FALSE(want.exact);
  EXPECT_EQ(want.bytes_wanted, release.pack(PackKind::dedupe).head_bytes);
  while (!device_.all_exact() && device_.fetch_piece()) device_.settle();
  EXPECT_EQ(device_.wants.begin()->second.bytes_wanted, release.pack(PackKind::dedupe).body_bytes);
}

TEST_F(StagerTest, LeavesNoScratchFilesBehind) {
  const ArtifactFixture release(first_tree());
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.done);
  const std::string revision = folder_ / "state/revisions/1";
  const std::string artifact = revision + "/artifacts/" + release.artifact.id.hex();
  for (const char* name : {"/head", "/pack", "/bitmap", "/written", "/laid-out", "/finishing"})
    EXPECT_FALSE(exists(artifact + name)) << name;
  EXPECT_FALSE(exists(revision + "/incoming"));
  EXPECT_TRUE(exists(artifact + "/index"));
  EXPECT_EQ(as_text(*files::read_file(revision + "/staged", 1000)),
            "instar-staged-v1\n" + release.artifact.id.hex() + "\n");
}

class StagerUpdate : public StagerTest {
 protected:
  void SetUp() override {
    device_.open(1, {&first_}, PackKind::full);
    device_.run();
    ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
    device_.bytes_fetched = 0;
    device_.chunks_fetched = 0;
  }
  void update(PackKind kind = PackKind::dedupe) {
    device_.open(2, {&second_}, kind, {1});
    device_.run();
  }
  static const ArtifactFixture& first_release() {
    static const ArtifactFixture release(first_tree());
    return release;
  }
  static const ArtifactFixture& second_release() {
    static const ArtifactFixture release(second_tree());
    return release;
  }
  const ArtifactFixture& first_ = first_release();
  const ArtifactFixture& second_ = second_release();
};

TEST_F(StagerUpdate, FetchesOnlyWhatChanged) {
  update();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 2, second_), second_.tree);
  const auto& pack = second_.pack(PackKind::dedupe);
  EXPECT_LT(device_.bytes_fetched, pack.head_bytes + 300'000);
  EXPECT_LT(device_.bytes_fetched, pack.body_bytes / 2);
}

TEST_F(StagerUpdate, LinksWhatIsTheSame) {
  update();
  ASSERT_TRUE(device_.done);
  const std::string one = tree_of(device_, 1, first_);
  const std::string two = tree_of(device_, 2, second_);
  EXPECT_EQ(inode(one + "/bin/b"), inode(two + "/bin/b-moved"));
  EXPECT_EQ(inode(one + "/bin/a"), inode(two + "/bin/same-as-a"));
  EXPECT_EQ(inode(one + "/etc"), inode(two + "/etc"));
  EXPECT_NE(inode(one + "/bin/a"), inode(two + "/bin/a"));
}

TEST_F(StagerUpdate, LeavesTheBaseAsItWas) {
  update();
  ASSERT_TRUE(device_.done);
  expect_tree(tree_of(device_, 1, first_), first_.tree);
  device_.stager->remove({2});
  device_.settle();
  EXPECT_FALSE(exists(folder_ / "state/revisions/2"));
  EXPECT_FALSE(exists(folder_ / "state/trash"));
  expect_tree(tree_of(device_, 1, first_), first_.tree);
}

TEST_F(StagerUpdate, ASecondRevisionIsCompleteWithoutItsBase) {
  update();
  ASSERT_TRUE(device_.done);
  device_.stager->remove({1});
  device_.settle();
  expect_tree(tree_of(device_, 2, second_), second_.tree);
}

TEST_F(StagerUpdate, FullPacksUseWholeFilesOfABase) {
  update(PackKind::full);
  ASSERT_TRUE(device_.done);
  expect_tree(tree_of(device_, 2, second_), second_.tree);
  EXPECT_LT(device_.bytes_fetched, second_.pack(PackKind::full).body_bytes);
}

TEST_F(StagerUpdate, FetchesNothingForAnArtifactItHolds) {
  device_.open(2, {&first_}, PackKind::dedupe, {1});
  device_.settle();
  ASSERT_TRUE(device_.all_exact());
  EXPECT_EQ(device_.wants.begin()->second.bytes_wanted, 0U);
  device_.run();
  ASSERT_TRUE(device_.done);
  EXPECT_EQ(device_.bytes_fetched, 0U);
  expect_tree(tree_of(device_, 2, first_), first_.tree);
  EXPECT_EQ(inode(tree_of(device_, 1, first_) + "/bin/a"), inode(tree_of(device_, 2, first_) + "/bin/a"));
}

TEST_F(StagerUpdate, FetchesNothingWhenOnlyModesDiffer) {
  TreeFixture tree = first_tree();
  tree.entries[2].mode = 0711;
  const ArtifactFixture release(tree);
  device_.open(2, {&release}, PackKind::dedupe, {1});
  device_.run();
  ASSERT_TRUE(device_.done);
  EXPECT_EQ(device_.bytes_fetched, release.pack(PackKind::dedupe).head_bytes);
  expect_tree(tree_of(device_, 2, release), release.tree);
  expect_tree(tree_of(device_, 1, first_), first_.tree);
}

TEST_F(StagerUpdate, DoesNotUseADamagedFileOfTheBase) {
  const std::string damaged = tree_of(device_, 1, first_) + "/bin/b";
  ASSERT_TRUE(files::write_file_atomic(damaged, noise(40'000, 99), 04755));
  update();
  ASSERT_TRUE(device_.done);
  expect_tree(tree_of(device_, 2, second_), second_.tree);
  ASSERT_FALSE(device_.log.empty());
  EXPECT_NE(device_.log[0].find("bin/b"), std::string::npos);
  EXPECT_EQ(*files::read_file(damaged, 100'000), noise(40'000, 99));
}

TEST_F(StagerUpdate, FetchesFromThePackWhenAHeldArtifactIsDamaged) {
  ASSERT_TRUE(files::write_file_atomic(tree_of(device_, 1, first_) + "/etc", as_bytes("0123456789"), 0600));
  device_.open(2, {&first_}, PackKind::dedupe, {1});
  device_.durable.clear();
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 2, first_), first_.tree);
  EXPECT_GT(device_.bytes_fetched, 0U);
}

TEST_F(StagerUpdate, RepairsWhatIsDamagedBeforeTheEnd) {
  device_.open(2, {&second_}, PackKind::dedupe, {1});
  device_.settle();
  while (device_.fetch_piece()) device_.settle();
  const std::string two = tree_of(device_, 2, second_);
  // One file that was fetched, and one that is linked, so that the base is damaged too.
  for (const char* path : {"/bin/new", "/bin/b-moved"}) {
    const int fd = ::open((two + path).c_str(), O_WRONLY);
    ASSERT_EQ(::pwrite(fd, "x", 1, 100), 1);
    ::close(fd);
  }
  device_.durable.clear();
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(two, second_.tree);
}

TEST_F(StagerUpdate, GivesUpWhenTheDiskKeepsDamagingWhatIsWritten) {
  device_.open(2, {&second_}, PackKind::dedupe, {1});
  for (int round = 0; round < 20 && !device_.failed && !device_.done; ++round) {
    device_.settle();
    while (device_.fetch_piece()) device_.settle();
    device_.durable.clear();
    const int fd = ::open((tree_of(device_, 2, second_) + "/bin/new").c_str(), O_WRONLY);
    ASSERT_EQ(::pwrite(fd, "x", 1, 100), 1);
    ::close(fd);
    device_.stager->finish({2}, device_.events);
    device_.settle();
  }
  ASSERT_TRUE(device_.failed);
  EXPECT_EQ(device_.failed->code, Code::corrupt);
}

TEST_F(StagerUpdate, TakesContentThatMovedBetweenContainers) {
  TreeFixture other;
  other.file("copy-of-a", noise(700'000, 1), 0600);
  const ArtifactFixture app(other);
  device_.open(2, {&app}, PackKind::dedupe, {1});
  device_.run();
  ASSERT_TRUE(device_.done);
  EXPECT_EQ(device_.bytes_fetched, app.pack(PackKind::dedupe).head_bytes);
  expect_tree(tree_of(device_, 2, app), app.tree);
}

TEST_F(StagerTest, SharesContentBetweenArtifactsOfOneRevision) {
  TreeFixture one;
  one.file("lib", noise(600'000, 5), 0755);
  one.file("x", noise(60'000, 6), 0644);
  TreeFixture two;
  two.file("lib", noise(600'000, 5), 0755);
  two.file("lib-closed", noise(600'000, 5), 0700);
  two.file("y", noise(60'000, 7), 0644);
  const ArtifactFixture first(one);
  const ArtifactFixture second(two);
  device_.open(1, {&first, &second}, PackKind::dedupe);
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 1, first), first.tree);
  expect_tree(tree_of(device_, 1, second), second.tree);
  EXPECT_EQ(inode(tree_of(device_, 1, first) + "/lib"), inode(tree_of(device_, 1, second) + "/lib"));
  EXPECT_LT(device_.bytes_fetched, first.pack(PackKind::dedupe).body_bytes + 300'000);
}

TEST_F(StagerTest, StagesAnEmptyTree) {
  const ArtifactFixture release{TreeFixture{}};
  device_.open(1, {&release}, PackKind::dedupe);
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 1, release), release.tree);
}

TEST_F(StagerTest, OpeningAStagedRevisionAgainIsHarmless) {
  const ArtifactFixture release(first_tree());
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.done);
  const std::uint64_t fetched = device_.bytes_fetched;
  device_.kill_and_start();
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  EXPECT_TRUE(device_.done);
  EXPECT_EQ(device_.bytes_fetched, fetched);
}

TEST_F(StagerTest, RemovingWhatIsNotThereIsHarmless) {
  device_.stager->remove({7});
  device_.settle();
  EXPECT_FALSE(device_.failed);
}

TEST_F(StagerUpdate, ATrimmedRevisionStillServesAsABase) {
  device_.open(2, {&first_, &second_}, PackKind::dedupe, {1});
  device_.run();
  ASSERT_TRUE(device_.done);
  device_.stager->remove({1});
  device_.stager->trim({2, {second_.artifact.id}});
  device_.settle();
  EXPECT_FALSE(exists(folder_ / ("state/revisions/2/artifacts/" + first_.artifact.id.hex())));
  EXPECT_FALSE(exists(folder_ / "state/trash"));
  device_.bytes_fetched = 0;
  device_.open(3, {&second_}, PackKind::dedupe, {2});
  device_.run();
  ASSERT_TRUE(device_.done);
  EXPECT_EQ(device_.bytes_fetched, 0U);
  expect_tree(tree_of(device_, 3, second_), second_.tree);
}

TEST_F(StagerUpdate, TheSpaceOfARemovedRevisionIsFreeBeforeAStagingGoesOn) {
  device_.stager->remove({1});
  device_.open(2, {&second_}, PackKind::full);
  while (exists(folder_ / "state/trash")) {
    EXPECT_FALSE(exists(folder_ / "state/revisions/2"));
    ASSERT_TRUE(device_.step());
  }
  device_.run();
  EXPECT_TRUE(device_.done);
}

TEST_F(StagerTest, EmptiesTheTrashOfAnEarlierProcess) {
  const ArtifactFixture release(first_tree());
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  device_.stager->remove({1});
  device_.kill_and_start();
  device_.settle();
  EXPECT_FALSE(exists(folder_ / "state/trash"));
}

TEST_F(StagerTest, MakesDeviceNodesOnlyWhenAllowed) {
  TreeFixture tree;
  auto& null = tree.add("null", artifact::EntryType::char_device);
  null.mode = 0666;
  null.device_major = 1;
  null.device_minor = 3;
  auto& fifo = tree.add("pipe", artifact::EntryType::fifo);
  fifo.mode = 0600;
  const ArtifactFixture release(tree);
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.failed);
  EXPECT_EQ(device_.failed->code, Code::refused);
  if (::geteuid() != 0) return;
  device_.options.devices_allowed = true;
  device_.kill_and_start();
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 1, release), release.tree);
}

TEST_F(StagerTest, ReportsChunksAsDurableWithinASecond) {
  const ArtifactFixture release(first_tree());
  device_.open(1, {&release}, PackKind::dedupe);
  device_.settle();
  while (!device_.all_exact() && device_.fetch_piece()) device_.settle();
  device_.durable.clear();
  const std::uint64_t before = device_.chunks_fetched;
  while (device_.chunks_fetched < before + 2) ASSERT_TRUE(device_.fetch_piece());
  device_.settle();
  EXPECT_TRUE(device_.durable.empty());
  ASSERT_TRUE(device_.stager->next_deadline());
  device_.pass_time(*device_.stager->next_deadline() - device_.now);
  device_.settle();
  EXPECT_EQ(device_.durable.size(), 2U);
  EXPECT_FALSE(device_.stager->next_deadline());
}

}  // namespace
}  // namespace instar::device

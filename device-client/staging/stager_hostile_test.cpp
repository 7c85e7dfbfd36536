// The stager with a hostile index, chunk, link or disk: it refuses with the reason, and writes nothing outside its
// folder.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "core/artifact/varint.hpp"
#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using artifact::append_text;
using artifact::append_varint;
using artifact::Entry;
using artifact::EntryType;
using artifact::PackKind;

// Writes any entry, as an IndexWriter without checks.
Bytes raw_index(const TreeFixture& tree) {
  Bytes out = to_bytes("INSI\x01");
  std::string previous;
  for (const Entry& entry : tree.entries) {
    std::size_t shared = 0;
    while (shared < previous.size() && shared < entry.path.size() && previous[shared] == entry.path[shared]) ++shared;
    out.push_back(static_cast<std::uint8_t>(entry.type));
    append_varint(out, shared);
    append_text(out, std::string_view(entry.path).substr(shared));
    previous = entry.path;
    if (entry.type == EntryType::hardlink) {
      append_text(out, entry.target);
      continue;
    }
    if (entry.type != EntryType::symlink) append_varint(out, entry.mode);
    append_varint(out, entry.uid);
    append_varint(out, entry.gid);
    if (entry.type == EntryType::symlink) {
      append_text(out, entry.target);
      continue;
    }
    append_varint(out, 0);
    if (entry.type != EntryType::file) continue;
    append_varint(out, entry.size);
    out.insert(out.end(), entry.content.bytes.begin(), entry.content.bytes.end());
  }
  out.push_back(0xff);
  append_varint(out, tree.entries.size());
  return out;
}

class StagerHostile : public testing::Test {
 protected:
  StagerHostile() : device_(folder_ / "state") {
    EXPECT_TRUE(files::make_folders(folder_ / "state"));
    EXPECT_TRUE(files::make_folders(folder_ / "outside"));
  }
  ~StagerHostile() override { EXPECT_TRUE(std::filesystem::is_empty(folder_ / "outside")); }

  // Stages `tree` with an index that was not checked when it was made.
  void expect_refused(const TreeFixture& tree, Code code) {
    const ArtifactFixture release(tree, raw_index(tree));
    device_.open(1, {&release}, PackKind::full);
    device_.run();
    ASSERT_TRUE(device_.failed) << "was staged";
    EXPECT_EQ(device_.failed->code, code) << device_.failed->message;
    const std::string staged = tree_of(device_, 1, release);
    EXPECT_TRUE(std::filesystem::is_empty(staged));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "state/revisions/1/staged"));
    EXPECT_EQ(paths_outside(folder_.path()), (std::set<std::string>{"", "outside"}));
  }
  files::TemporaryFolder folder_;
  StagingFixture device_;
};

TEST_F(StagerHostile, TheRawWriterWritesWhatTheRealOneDoes) {
  TreeFixture tree;
  tree.folder("a");
  tree.file("a/b", noise(10, 1));
  tree.hardlink("a/c", "a/b");
  tree.symlink("l", "a/b");
  EXPECT_EQ(raw_index(tree), ArtifactFixture(tree).index);
}

TEST_F(StagerHostile, RefusesPathsOutOfTheTree) {
  for (const char* path : {"../outside/evil", "a/../../outside/evil", "..", "/tmp/evil", "./evil", "a//evil"}) {
    TreeFixture tree;
    tree.file(path, noise(10, 1));
    expect_refused(tree, Code::malformed);
  }
}

TEST_F(StagerHostile, RefusesAFileThroughASymlink) {
  TreeFixture tree;
  tree.symlink("out", folder_ / "outside");
  tree.file("out/evil", noise(10, 1));
  expect_refused(tree, Code::malformed);
}

TEST_F(StagerHostile, RefusesASymlinkThatLeavesTheTree) {
  TreeFixture tree;
  tree.symlink("out", "../../../../../../outside");
  expect_refused(tree, Code::refused);
}

TEST_F(StagerHostile, RefusesAHardlinkOutOfTheTree) {
  for (const char* target : {"../outside/x", "/etc/passwd", "later"}) {
    TreeFixture tree;
    tree.hardlink("in", target);
    expect_refused(tree, Code::malformed);
  }
}

TEST_F(StagerHostile, RefusesDuplicates) {
  TreeFixture tree;
  tree.file("a", noise(10, 1));
  tree.symlink("a", folder_ / "outside");
  expect_refused(tree, Code::malformed);
}

TEST_F(StagerHostile, RefusesOneContentUnderTwoSizes) {
  TreeFixture tree;
  tree.file("a", noise(10, 1));
  tree.file("b", noise(10, 1)).size = 11;
  expect_refused(tree, Code::malformed);
}

TEST_F(StagerHostile, RefusesAnIndexThatIsNotTheSignedOne) {
  TreeFixture tree;
  tree.file("a", noise(10, 1));
  ArtifactFixture release(tree);
  ArtifactFixture other(TreeFixture{});
  release.artifact.id = other.artifact.id;
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.failed);
  EXPECT_EQ(device_.failed->code, Code::corrupt);
}

TEST_F(StagerHostile, RefusesNumbersThatDoNotAgreeWithTheManifest) {
  TreeFixture tree;
  tree.file("a", noise(1000, 1));
  const ArtifactFixture release(tree);
  for (int field = 0; field < 3; ++field) {
    ArtifactFixture wrong = release;
    if (field == 0) wrong.artifact.content_bytes += 1;
    if (field == 1) wrong.artifact.packs[0].body_count += 1;
    if (field == 2) wrong.artifact.packs[0].body_bytes -= 1;
    device_.open(1, {&wrong}, PackKind::full);
    device_.run();
    ASSERT_TRUE(device_.failed) << field;
    EXPECT_EQ(device_.failed->code, Code::malformed);
  }
}

TEST_F(StagerHostile, ReplacesForeignLinksInTheTree) {
  TreeFixture tree;
  tree.folder("bin");
  tree.file("bin/a", noise(1000, 1));
  tree.file("z", noise(1000, 2));
  const ArtifactFixture release(tree);
  const std::string staged = tree_of(device_, 1, release);
  ASSERT_TRUE(files::make_folders(staged));
  ASSERT_EQ(::symlink((folder_ / "outside").c_str(), (staged + "/bin").c_str()), 0);
  ASSERT_EQ(::symlink((folder_ / "outside/evil").c_str(), (staged + "/z").c_str()), 0);
  device_.open(1, {&release}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(staged, release.tree);
}

class StagerChunks : public StagerHostile {
 protected:
  StagerChunks() {
    device_.open(1, {&release_}, PackKind::dedupe);
    device_.settle();
  }
  static TreeFixture tree() {
    TreeFixture tree;
    tree.file("a", noise(100'000, 1));
    return tree;
  }
  void fetch_head() {
    while (!device_.all_exact()) {
      ASSERT_TRUE(device_.fetch_piece());
      device_.settle();
    }
  }
  revision::StagePiece piece(std::uint32_t ordinal, std::uint32_t offset, std::size_t size) {
    return {1, pack_, ordinal, offset, Bytes(size, 1)};
  }
  void send(const revision::StagePiece& one) {
    device_.stager->piece(one, device_.events);
    device_.settle();
  }
  ArtifactFixture release_{tree()};
  PackId pack_ = release_.pack(PackKind::dedupe).id;
};

TEST_F(StagerChunks, RefusesAChangedChunkAndTakesTheRightOne) {
  fetch_head();
  const auto good = device_.broker;
  device_.broker[pack_][1][100] ^= 1;
  while (device_.refused.empty()) {
    ASSERT_TRUE(device_.fetch_piece());
    device_.settle();
  }
  EXPECT_EQ(device_.refused[0].ordinal, 1U);
  EXPECT_EQ(device_.refused[0].error.code, Code::corrupt);
  EXPECT_FALSE(device_.failed);
  device_.broker = good;
  device_.run();
  ASSERT_TRUE(device_.done);
  expect_tree(tree_of(device_, 1, release_), release_.tree);
}

TEST_F(StagerChunks, RefusesAChangedHeadBeforeReadingIt) {
  device_.broker[pack_][0][20] ^= 1;
  while (device_.refused.empty()) {
    ASSERT_TRUE(device_.fetch_piece());
    device_.settle();
  }
  EXPECT_EQ(device_.refused[0].error.code, Code::corrupt);
  EXPECT_FALSE(device_.all_exact());
}

TEST_F(StagerChunks, RefusesABombAsAChunk) {
  fetch_head();
  // The header of a frame that claims 4 GiB, then zeros.
  Bytes& chunk = device_.broker[pack_][1];
  const Bytes bomb{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0};
  std::fill(chunk.begin(), chunk.end(), std::uint8_t{0});
  std::copy(bomb.begin(), bomb.end(), chunk.begin());
  while (device_.refused.empty()) ASSERT_TRUE(device_.fetch_piece());
  EXPECT_EQ(device_.refused[0].error.code, Code::corrupt);
}

TEST_F(StagerChunks, AsksAgainWhenAPieceIsMissing) {
  fetch_head();
  send(piece(1, 0, 100));
  send(piece(1, 200, 100));
  ASSERT_EQ(device_.refused.size(), 1U);
  EXPECT_EQ(device_.refused[0].error.code, Code::unavailable);
  device_.run();
  EXPECT_TRUE(device_.done);
}

TEST_F(StagerChunks, AsksAgainWhenAChunkBeginsInItsMiddle) {
  fetch_head();
  send(piece(2, 200, 100));
  ASSERT_EQ(device_.refused.size(), 1U);
  EXPECT_EQ(device_.refused[0].error.code, Code::unavailable);
}

TEST_F(StagerChunks, RefusesMoreBytesThanAChunkHas) {
  fetch_head();
  send(piece(1, 0, release_.chunks[pack_][1].size() + 1));
  ASSERT_EQ(device_.refused.size(), 1U);
  EXPECT_EQ(device_.refused[0].error.code, Code::corrupt);
}

TEST_F(StagerChunks, APieceAtTheStartBeginsItsChunkAgain) {
  fetch_head();
  send(piece(1, 0, 100));
  send(piece(1, 100, 100));
  device_.run();
  EXPECT_TRUE(device_.done);
  EXPECT_TRUE(device_.refused.empty());
}

TEST_F(StagerChunks, IgnoresPiecesThatNobodyAskedFor) {
  fetch_head();
  send(piece(0, 0, 10));
  send(piece(999, 0, 10));
  auto foreign = piece(1, 0, 10);
  foreign.pack = {};
  send(foreign);
  foreign = piece(1, 0, 10);
  foreign.revision = 9;
  send(foreign);
  EXPECT_TRUE(device_.refused.empty());
  device_.run();
  EXPECT_TRUE(device_.done);
}

TEST_F(StagerChunks, FinishingTooEarlyReportsWhatIsMissing) {
  fetch_head();
  device_.wants.clear();
  device_.stager->finish({1}, device_.events);
  device_.settle();
  EXPECT_FALSE(device_.done);
  ASSERT_TRUE(device_.all_exact());
  EXPECT_GT(device_.wants.begin()->second.bytes_wanted, 0U);
}

TEST_F(StagerChunks, FinishingWhatIsNotOpenFails) {
  device_.stager->finish({5}, device_.events);
  device_.settle();
  ASSERT_TRUE(device_.failed);
  EXPECT_EQ(device_.failed->code, Code::internal);
}

// A disk of its own, with a size that the test chooses. Only root may mount.
class StagerSpace : public testing::Test {
 protected:
  void mount(const std::string& options) {
    ASSERT_TRUE(files::make_folders(folder_ / "disk"));
    ASSERT_EQ(::mount("none", (folder_ / "disk").c_str(), "tmpfs", 0, options.c_str()), 0);
    mounted_ = true;
    device_ = std::make_unique<StagingFixture>(folder_ / "disk");
  }
  void TearDown() override {
    device_.reset();
    if (mounted_) {
      EXPECT_EQ(::umount((folder_ / "disk").c_str()), 0);
    }
  }
  static TreeFixture tree(std::size_t size, std::uint64_t seed, int files = 1) {
    TreeFixture tree;
    for (int i = 0; i < files; ++i)
      tree.file("f" + std::to_string(1000 + i), noise(size, seed + static_cast<std::uint64_t>(i)));
    return tree;
  }
  files::TemporaryFolder folder_;
  bool mounted_ = false;
  std::unique_ptr<StagingFixture> device_;
};

TEST_F(StagerSpace, RefusesBeforeTheFirstByteWithBothNumbers) {
  if (::geteuid() != 0) return;
  mount("size=1m");
  const ArtifactFixture release(tree(1'500'000, 1));
  device_->open(1, {&release}, PackKind::full);
  device_->run();
  ASSERT_TRUE(device_->failed);
  EXPECT_EQ(device_->failed->code, Code::no_space);
  EXPECT_EQ(device_->bytes_fetched, 0U);
  EXPECT_TRUE(device_->wants.empty());
  const std::string& message = device_->failed->message;
  const auto space = files::free_space(folder_ / "disk");
  ASSERT_TRUE(space);
  EXPECT_NE(message.find("needs at least 2"), std::string::npos) << message;
  EXPECT_NE(message.find("where 10"), std::string::npos) << message;
  EXPECT_NE(message.find(folder_ / "disk"), std::string::npos) << message;
}

TEST_F(StagerSpace, WithABaseItRefusesRightAfterTheHead) {
  if (::geteuid() != 0) return;
  mount("size=2m");
  const ArtifactFixture first(tree(600'000, 1));
  const ArtifactFixture second(tree(1'200'000, 50));
  device_->open(1, {&first}, PackKind::full);
  device_->run();
  ASSERT_TRUE(device_->done) << (device_->failed ? device_->failed->message : "");
  device_->bytes_fetched = 0;
  device_->open(2, {&second}, PackKind::dedupe, {1});
  device_->run();
  ASSERT_TRUE(device_->failed);
  EXPECT_EQ(device_->failed->code, Code::no_space);
  EXPECT_EQ(device_->bytes_fetched, second.pack(PackKind::dedupe).head_bytes);
}

TEST_F(StagerSpace, WithABaseItRefusesBeforeTheFirstByteWhatCannotFitInAnyCase) {
  if (::geteuid() != 0) return;
  mount("size=2m");
  const ArtifactFixture first(tree(600'000, 1));
  const ArtifactFixture second(tree(3'000'000, 50));
  device_->open(1, {&first}, PackKind::full);
  device_->run();
  ASSERT_TRUE(device_->done) << (device_->failed ? device_->failed->message : "");
  device_->bytes_fetched = 0;
  device_->open(2, {&second}, PackKind::dedupe, {1});
  device_->run();
  ASSERT_TRUE(device_->failed);
  EXPECT_EQ(device_->failed->code, Code::no_space);
  EXPECT_EQ(device_->bytes_fetched, 0U);
}

TEST_F(StagerSpace, WhatABaseHoldsNeedsNoSpace) {
  if (::geteuid() != 0) return;
  mount("size=2m");
  TreeFixture larger = tree(1'100'000, 1);
  const ArtifactFixture first(larger);
  larger.file("g", noise(1000, 2));
  const ArtifactFixture second(larger);
  device_->open(1, {&first}, PackKind::full);
  device_->run();
  ASSERT_TRUE(device_->done) << (device_->failed ? device_->failed->message : "");
  device_->open(2, {&second}, PackKind::dedupe, {1});
  device_->run();
  ASSERT_TRUE(device_->done) << (device_->failed ? device_->failed->message : "");
  expect_tree(tree_of(*device_, 2, second), second.tree);
}

TEST_F(StagerSpace, RefusesWhenThereAreTooFewInodes) {
  if (::geteuid() != 0) return;
  mount("size=16m,nr_inodes=200");
  const ArtifactFixture release(tree(10, 1, 300));
  device_->open(1, {&release}, PackKind::full);
  device_->run();
  ASSERT_TRUE(device_->failed);
  EXPECT_EQ(device_->failed->code, Code::no_space);
  EXPECT_NE(device_->failed->message.find("more files"), std::string::npos) << device_->failed->message;
}

TEST_F(StagerSpace, ADiskThatFillsUpMeanwhileFailsWithTheNumber) {
  if (::geteuid() != 0) return;
  mount("size=4m");
  device_->options.margin_bytes = 0;
  device_->start();
  const ArtifactFixture release(tree(1'000'000, 1));
  device_->open(1, {&release}, PackKind::full);
  device_->settle();
  ASSERT_TRUE(device_->fetch_piece());
  const auto space = files::free_space(folder_ / "disk");
  ASSERT_TRUE(space);
  // What is left holds the index, not the content.
  ASSERT_TRUE(files::write_file_atomic(folder_ / "disk/ballast", Bytes(space->bytes_free - 64 * 1024)));
  device_->run();
  ASSERT_TRUE(device_->failed);
  EXPECT_EQ(device_->failed->code, Code::no_space);
  EXPECT_NE(device_->failed->message.find("are free"), std::string::npos) << device_->failed->message;
}

TEST_F(StagerSpace, GoesOnAfterSpaceWasMade) {
  if (::geteuid() != 0) return;
  mount("size=3m");
  const std::string ballast = folder_ / "disk/ballast";
  ASSERT_TRUE(files::write_file_atomic(ballast, Bytes(1'500'000)));
  const ArtifactFixture release(tree(1'500'000, 1));
  device_->open(1, {&release}, PackKind::full);
  device_->run();
  ASSERT_TRUE(device_->failed);
  EXPECT_EQ(device_->failed->code, Code::no_space);
  ASSERT_EQ(::unlink(ballast.c_str()), 0);
  device_->reopen();
  device_->run();
  ASSERT_TRUE(device_->done) << (device_->failed ? device_->failed->message : "");
}

}  // namespace
}  // namespace instar::device

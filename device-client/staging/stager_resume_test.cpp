// Stagings that are interrupted by kill -9 at every step, by a newer release, or by damage to a half-made tree.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device::resumed {
namespace {

using artifact::PackKind;

TreeFixture old_tree() {
  TreeFixture tree;
  tree.folder("d");
  tree.file("d/kept", noise(30'000, 1), 0755);
  tree.file("d/moded", noise(20'000, 2), 0644);
  return tree;
}

TreeFixture new_tree() {
  TreeFixture tree;
  tree.folder("d", 0700);
  tree.file("d/big", noise(150'000, 3), 0755);
  tree.file("d/big-again", noise(150'000, 3), 0755);
  tree.file("d/big-closed", noise(150'000, 3), 0700);
  tree.file("d/kept", noise(30'000, 1), 0755);
  tree.hardlink("d/kept-too", "d/kept");
  tree.file("d/moded", noise(20'000, 2), 0600);
  tree.file("d/new", noise(100, 4), 0644);
  tree.hardlink("d/new-too", "d/new");
  tree.symlink("d/s", "new");
  return tree;
}

const ArtifactFixture& old_release() {
  static const ArtifactFixture release(old_tree());
  return release;
}
const ArtifactFixture& new_release() {
  static const ArtifactFixture release(new_tree());
  return release;
}

class StagerResume : public testing::Test {
 protected:
  StagerResume() : device_(folder_ / "state") {
    EXPECT_TRUE(files::make_folders(folder_ / "state"));
    device_.options.slice = {60'000, 4};
    device_.options.sync_bytes = 60'000;
    device_.piece_bytes = 16 * 1024;
    device_.start();
  }
  void stage_base() {
    device_.open(1, {&old_release()}, PackKind::full);
    device_.run();
    ASSERT_TRUE(device_.done);
    forget();
  }
  void forget() {
    device_.bytes_fetched = 0;
    device_.chunks_fetched = 0;
    device_.fetches.clear();
    device_.durable.clear();
  }
  files::TemporaryFolder folder_;
  StagingFixture device_;
};

TEST_F(StagerResume, AKillAfterAnyCallLosesNothing) {
  stage_base();
  std::uint64_t bytes = 0;
  device_.open(2, {&new_release()}, PackKind::dedupe, {1});
  ASSERT_FALSE(device_.run());
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  bytes = device_.bytes_fetched;
  bool interrupted = true;
  for (int calls = 1; interrupted; ++calls) {
    device_.stager->remove({2});
    device_.settle();
    forget();
    device_.open(2, {&new_release()}, PackKind::dedupe, {1});
    interrupted = device_.run(calls);
    device_.kill_and_start();
    device_.reopen();
    device_.run();
    ASSERT_TRUE(device_.done) << calls << (device_.failed ? device_.failed->message : "");
    ASSERT_EQ(device_.bytes_fetched, bytes) << calls;
    expect_tree(tree_of(device_, 2, new_release()), new_release().tree);
  }
  expect_tree(tree_of(device_, 1, old_release()), old_release().tree);
}

TEST_F(StagerResume, WithAKillEveryFewCallsItStillEnds) {
  stage_base();
  device_.open(2, {&new_release()}, PackKind::dedupe, {1});
  // The phases alone take more calls than that, so the number of calls grows.
  for (int calls = 40; device_.run(calls); ++calls) {
    device_.kill_and_start();
    device_.reopen();
  }
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 2, new_release()), new_release().tree);
  for (const auto& [chunk, count] : device_.fetches) EXPECT_EQ(count, 1) << chunk.hex();
}

TEST_F(StagerResume, AHalfReceivedChunkGoesOnWhereItStopped) {
  device_.open(1, {&new_release()}, PackKind::full);
  device_.settle();
  while (!device_.all_exact()) {
    ASSERT_TRUE(device_.fetch_piece());
    device_.settle();
  }
  ASSERT_TRUE(device_.fetch_piece());
  device_.kill_and_start();
  device_.reopen();
  device_.settle();
  ASSERT_TRUE(device_.all_exact());
  ASSERT_FALSE(device_.wants.begin()->second.ranges.empty());
  EXPECT_EQ(device_.wants.begin()->second.ranges[0].offset, 16U * 1024);
}

TEST_F(StagerResume, ADamagedHalfIsFetchedAgainWholeOnce) {
  device_.open(1, {&new_release()}, PackKind::full);
  device_.settle();
  while (!device_.all_exact()) {
    ASSERT_TRUE(device_.fetch_piece());
    device_.settle();
  }
  ASSERT_TRUE(device_.fetch_piece());
  for (const auto& item : std::filesystem::directory_iterator(folder_ / "state/revisions/1/incoming")) {
    // This is what a power cut leaves: the size is there, but the bytes are not.
    ASSERT_TRUE(files::write_file_atomic(item.path(), Bytes(16 * 1024)));
  }
  device_.kill_and_start();
  device_.reopen();
  device_.run();
  ASSERT_TRUE(device_.done);
  ASSERT_EQ(device_.refused.size(), 1U);
  EXPECT_EQ(device_.refused[0].error.code, Code::corrupt);
  expect_tree(tree_of(device_, 1, new_release()), new_release().tree);
}

TEST_F(StagerResume, WhatWasNotSyncedIsTrustedByItsHashOnly) {
  device_.options.sync_bytes = 100'000'000;
  device_.start();
  device_.open(1, {&new_release()}, PackKind::dedupe);
  device_.settle();
  while (!device_.all_exact()) {
    ASSERT_TRUE(device_.fetch_piece());
    device_.settle();
  }
  while (device_.chunks_fetched < 4) ASSERT_TRUE(device_.fetch_piece());
  device_.durable.clear();
  // The power is cut: what was not synced is lost, except for the sizes.
  const std::string tree = tree_of(device_, 1, new_release());
  device_.stager.reset();
  for (const auto& item : std::filesystem::recursive_directory_iterator(tree)) {
    if (!item.is_regular_file() || item.is_symlink()) continue;
    const auto size = std::filesystem::file_size(item.path());
    std::filesystem::resize_file(item.path(), 0);
    std::filesystem::resize_file(item.path(), size);
  }
  device_.start();
  device_.reopen();
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree, new_release().tree);
}

TEST_F(StagerResume, ALostTreeIsFoundThoughTheBitmapSaysOtherwise) {
  device_.open(1, {&new_release()}, PackKind::dedupe);
  device_.settle();
  while (device_.fetch_piece()) device_.settle();
  const std::string tree = tree_of(device_, 1, new_release());
  device_.stager.reset();
  std::filesystem::remove(tree + "/d/big");
  device_.durable.clear();
  device_.start();
  device_.reopen();
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree, new_release().tree);
}

TEST_F(StagerResume, ABitmapOfAnotherPackIsNotUsed) {
  device_.open(1, {&new_release()}, PackKind::dedupe);
  device_.settle();
  while (device_.fetch_piece()) device_.settle();
  device_.kill_and_start();
  device_.durable.clear();
  device_.open(1, {&new_release()}, PackKind::full);
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 1, new_release()), new_release().tree);
}

TEST_F(StagerResume, ANewerReleaseTakesWhatAnAbandonedStagingHad) {
  TreeFixture first;
  first.file("common", noise(400'000, 20), 0755);
  first.file("x", noise(100'000, 21), 0755);
  TreeFixture second;
  second.file("common", noise(400'000, 20), 0755);
  second.file("y", noise(100'000, 22), 0755);
  const ArtifactFixture one(first);
  const ArtifactFixture two(second);
  for (const std::uint64_t chunks : {2, 5, 9}) {
    forget();
    device_.open(3, {&one}, PackKind::dedupe);
    while (device_.chunks_fetched < chunks) {
      device_.settle();
      ASSERT_TRUE(device_.fetch_piece());
    }
    device_.pass_time(2'000);
    device_.settle();
    device_.open(4, {&two}, PackKind::dedupe, {3});
    device_.run();
    ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
    for (const auto& [chunk, count] : device_.fetches) EXPECT_EQ(count, 1) << chunk.hex();
    expect_tree(tree_of(device_, 4, two), two.tree);
    for (const std::uint32_t revision : {3U, 4U}) device_.stager->remove({revision});
    device_.settle();
  }
}

TEST_F(StagerResume, ABrokenAbandonedStagingIsLeftAlone) {
  device_.open(3, {&new_release()}, PackKind::dedupe);
  device_.settle();
  for (int i = 0; i < 8; ++i) {
    device_.fetch_piece();
    device_.settle();
  }
  const std::string abandoned = folder_ / "state/revisions/3/artifacts/" + new_release().artifact.id.hex();
  for (const char* name : {"/head", "/bitmap", "/pack", "/index"}) {
    ASSERT_TRUE(files::write_file_atomic(abandoned + name, as_bytes("rubbish")));
    forget();
    device_.open(4, {&old_release()}, PackKind::dedupe, {3});
    device_.run();
    ASSERT_TRUE(device_.done) << name;
    device_.stager->remove({4});
    device_.settle();
  }
}

TEST_F(StagerResume, WithoutTheBasesIndexMoreIsFetched) {
  stage_base();
  ASSERT_EQ(::unlink((folder_ / "state/revisions/1/artifacts/" + old_release().artifact.id.hex() + "/index").c_str()),
            0);
  device_.open(2, {&new_release()}, PackKind::dedupe, {1});
  device_.run();
  ASSERT_TRUE(device_.done);
  expect_tree(tree_of(device_, 2, new_release()), new_release().tree);
}

TEST_F(StagerResume, ABrokenChunkCacheIsMadeAgain) {
  stage_base();
  const std::string cache =
      folder_ / "state/revisions/1/artifacts/" + old_release().artifact.id.hex() + "/chunks-dedupe";
  ASSERT_TRUE(files::write_file_atomic(cache, as_bytes("rubbish")));
  device_.open(2, {&new_release()}, PackKind::dedupe, {1});
  device_.run();
  ASSERT_TRUE(device_.done);
  EXPECT_TRUE(read_chunk_cache(cache));
}

}  // namespace
}  // namespace instar::device::resumed

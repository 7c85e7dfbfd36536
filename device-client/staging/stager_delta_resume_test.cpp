// Stagings of delta packs that are interrupted by kill -9 at every step, by damage, or by a newer release.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <tuple>

#include "device-client/testing/delta_fixture.hpp"
#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device::delta_resumed {
namespace {

using artifact::PackKind;

// The trees have a file for every way of making one. They are small, because the test runs once for each step.
TreeFixture old_tree() {
  TreeFixture tree;
  tree.folder("d");
  for (int i = 0; i < 4; ++i)
    tree.file("d/changed-" + std::to_string(i), noise(40'000, 10 + static_cast<std::uint64_t>(i)), 0755);
  tree.file("d/kept", noise(30'000, 1), 0755);
  tree.file("d/moded", noise(20'000, 2), 0644);
  return tree;
}

TreeFixture new_tree() {
  TreeFixture tree;
  tree.folder("d", 0700);
  for (int i = 0; i < 4; ++i) {
    Bytes content = noise(40'000, 10 + static_cast<std::uint64_t>(i));
    content[20'000] ^= 1;
    tree.file("d/changed-" + std::to_string(i), content, 0755);
  }
  tree.file("d/kept", noise(30'000, 1), 0755);
  tree.hardlink("d/kept-too", "d/kept");
  tree.file("d/moded", noise(20'000, 2), 0600);
  tree.file("d/new", noise(120'000, 4), 0644);
  tree.file("d/new-again", noise(120'000, 4), 0644);
  tree.file("d/new-closed", noise(120'000, 4), 0600);
  tree.hardlink("d/new-too", "d/new");
  tree.symlink("d/s", "new");
  return tree;
}
const std::vector<std::string> kMade{"d/changed-0", "d/changed-1", "d/changed-2", "d/changed-3",
                                     "d/moded",     "d/new",       "d/new-closed"};

const ArtifactFixture& old_release() {
  static const ArtifactFixture release(old_tree());
  return release;
}
const ArtifactFixture& new_release() {
  static const ArtifactFixture release = published_from(new_tree(), old_release());
  return release;
}

class StagerDeltaResume : public testing::Test {
 protected:
  StagerDeltaResume() : device_(folder_ / "state") {
    EXPECT_TRUE(files::make_folders(folder_ / "state"));
    device_.options.slice = {50'000, 2};
    device_.options.sync_bytes = 60'000;
    device_.piece_bytes = 16 * 1024;
    device_.start();
    device_.open(1, {&old_release()}, PackKind::full);
    device_.run();
    EXPECT_TRUE(device_.done);
    device_.durable.clear();
    device_.fetches.clear();
    device_.bytes_fetched = 0;
  }
  [[nodiscard]] std::string new_path(const std::string& path) const {
    return tree_of(device_, 2, new_release()) + "/" + path;
  }
  void expect_new_tree() {
    ASSERT_TRUE(device_.done) << (device_.failed        ? device_.failed->message
                                  : device_.log.empty() ? ""
                                                        : device_.log.back());
    expect_tree(tree_of(device_, 2, new_release()), new_release().tree);
    expect_tree(tree_of(device_, 1, old_release()), old_release().tree);
  }
  // The inode and time of birth of each written file that is complete, with all its metadata.
  using Birth = std::tuple<std::uint64_t, std::int64_t, std::uint32_t>;
  [[nodiscard]] std::map<std::string, Birth> finished() const {
    std::map<std::string, Birth> births;
    for (const auto& path : kMade) {
      struct statx status {};
      const auto content = files::read_file(new_path(path), 1 << 20);
      const auto entry = std::ranges::find(new_release().tree.entries, path, &artifact::Entry::path);
      if (!content || *content != new_release().tree.contents.at(path)) continue;
      if (::statx(AT_FDCWD, new_path(path).c_str(), AT_SYMLINK_NOFOLLOW, STATX_ALL, &status) != 0) continue;
      if ((status.stx_mode & 07777) != entry->mode || status.stx_mtime.tv_sec != 2) continue;
      births[path] = {status.stx_ino, status.stx_btime.tv_sec, status.stx_btime.tv_nsec};
    }
    return births;
  }
  files::TemporaryFolder folder_;
  StagingFixture device_;
};

// Nothing was synced when the process is killed. What was received is in the page cache, and its hashes are right.
TEST_F(StagerDeltaResume, ChunksReceivedBeforeAKillAreNotFetchedAgain) {
  device_.options.sync_bytes = 100'000'000;
  device_.start();
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.settle();
  while (!device_.all_exact()) {
    ASSERT_TRUE(device_.fetch_piece());
    device_.settle();
  }
  const std::size_t before = device_.chunks_fetched;
  while (device_.chunks_fetched < before + 2) ASSERT_TRUE(device_.fetch_piece());
  device_.start();
  device_.reopen();
  device_.run();
  expect_new_tree();
  const auto& delta = new_release().pack(PackKind::delta);
  EXPECT_EQ(device_.bytes_fetched, delta.head_bytes + delta.body_bytes);
}

// A chunk that was reported as durable is never wanted again: Device::check() checks that at every StagingWants.
TEST_F(StagerDeltaResume, KilledAtEveryStepItEndsInTheRightTreeAndMakesNoFinishedFileTwice) {
  int steps_to_the_end = 0;
  std::size_t most_finished = 0;
  for (int steps = 0;; ++steps) {
    SCOPED_TRACE("killed after step " + std::to_string(steps));
    device_.durable.clear();
    device_.open(2, {&new_release()}, PackKind::delta, {1});
    const bool stopped = device_.run(steps);
    const auto before = finished();
    most_finished = std::max(most_finished, before.size());
    if (!stopped) {
      expect_new_tree();
      steps_to_the_end = steps;
      break;
    }
    device_.kill_and_start();
    device_.reopen();
    device_.run();
    expect_new_tree();
    const auto after = finished();
    EXPECT_EQ(after.size(), kMade.size());
    for (const auto& [path, birth] : before) EXPECT_EQ(after.at(path), birth) << path << " was made twice";
    if (HasFailure()) break;
    device_.stager->remove({2});
    device_.settle();
    device_.events.clear();
  }
  EXPECT_GT(steps_to_the_end, 40);
  EXPECT_EQ(most_finished, kMade.size());
}

TEST_F(StagerDeltaResume, KilledAgainAndAgainItStillEnds) {
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  int kills = 0;
  while (device_.run(25 + kills)) {
    device_.kill_and_start();
    device_.reopen();
    ASSERT_LT(++kills, 200);
  }
  EXPECT_GT(kills, 1);
  expect_new_tree();
}

// Stops while the tree is being made.
class StagerDeltaHalfway : public StagerDeltaResume {
 protected:
  void SetUp() override {
    device_.open(2, {&new_release()}, PackKind::delta, {1});
    while (finished().size() < 3) ASSERT_TRUE(device_.run(1)) << "it came to its end";
    device_.kill_and_start();
    device_.bytes_fetched = 0;
  }
  void go_on() {
    device_.reopen();
    device_.run();
  }
  [[nodiscard]] std::string artifact_file(const std::string& name) const {
    return folder_ / ("state/revisions/2/artifacts/" + new_release().artifact.id.hex() + "/" + name);
  }
};

TEST_F(StagerDeltaHalfway, GoesOnWithoutFetchingAnything) {
  go_on();
  expect_new_tree();
  EXPECT_EQ(device_.bytes_fetched, 0u);
}

TEST_F(StagerDeltaHalfway, ADamagedFinishedFileIsMadeAgain) {
  const auto before = finished();
  ASSERT_TRUE(before.contains("d/changed-1"));
  std::filesystem::resize_file(new_path("d/changed-1"), 39'999);
  go_on();
  expect_new_tree();
  EXPECT_EQ(finished().at("d/changed-0"), before.at("d/changed-0"));
  EXPECT_EQ(device_.bytes_fetched, 0u);
}

TEST_F(StagerDeltaHalfway, AMissingFinishedFileIsMadeAgain) {
  ASSERT_TRUE(std::filesystem::remove(new_path("d/changed-0")));
  go_on();
  expect_new_tree();
}

// A power cut may cause this: the name is there, but the content is not.
TEST_F(StagerDeltaHalfway, AFileOfZerosInPlaceOfAFinishedOneIsMadeAgain) {
  ASSERT_TRUE(files::write_file_atomic(new_path("d/changed-1"), Bytes(40'000)));
  go_on();
  expect_new_tree();
}

TEST_F(StagerDeltaHalfway, WithoutItsLogAllIsMadeAgain) {
  ASSERT_TRUE(std::filesystem::remove(artifact_file("decoded")));
  go_on();
  expect_new_tree();
  EXPECT_EQ(device_.bytes_fetched, 0u);
}

TEST_F(StagerDeltaHalfway, WithoutTheBodyAllOfItIsFetchedAgain) {
  ASSERT_TRUE(std::filesystem::remove(artifact_file("delta")));
  device_.durable.clear();
  go_on();
  expect_new_tree();
  EXPECT_EQ(device_.bytes_fetched, new_release().pack(PackKind::delta).body_bytes);
}

// A durable chunk is not read again, so this damage is found only at the end. Then only that chunk is fetched.
TEST_F(StagerDeltaHalfway, AChunkDamagedOnDiskIsFetchedAgainAndTheTreeIsMadeAgain) {
  const auto& pack = new_release().pack(PackKind::delta);
  ASSERT_GT(pack.body_count, 1u);
  auto body = files::read_file(artifact_file("delta"), 1 << 20);
  ASSERT_TRUE(body);
  for (std::size_t i = body->size() - 2'000; i < body->size() - 1'000; ++i) (*body)[i] ^= 0x33;
  ASSERT_TRUE(files::write_file_atomic(artifact_file("delta"), *body));
  device_.durable.clear();
  go_on();
  expect_new_tree();
  EXPECT_EQ(device_.bytes_fetched, pack.body_bytes - std::uint64_t{pack.body_count - 1} * limits::kDeltaChunkBytes);
  EXPECT_TRUE(device_.unusable.empty());
}

TEST_F(StagerDeltaHalfway, ANewerReleaseOfTheSameContentGoesOnFromTheOlder) {
  const auto before = finished();
  device_.durable.clear();
  device_.open(3, {&new_release()}, PackKind::delta, {1, 2});
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 3, new_release()), new_release().tree);
  EXPECT_EQ(device_.bytes_fetched, 0u);
  struct stat status {};
  ASSERT_EQ(::lstat((tree_of(device_, 3, new_release()) + "/d/changed-0").c_str(), &status), 0);
  EXPECT_EQ(status.st_ino, std::get<0>(before.at("d/changed-0")));
}

TEST_F(StagerDeltaHalfway, ANewerReleaseOfOtherContentIsNotDisturbed) {
  TreeFixture third = new_tree();
  third.file("e", noise(1'000, 99));
  const ArtifactFixture next = published_from(third, old_release());
  device_.durable.clear();
  device_.open(3, {&next}, PackKind::delta, {1, 2});
  device_.run();
  ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
  expect_tree(tree_of(device_, 3, next), next.tree);
  EXPECT_EQ(device_.bytes_fetched, next.pack(PackKind::delta).head_bytes + next.pack(PackKind::delta).body_bytes);
}

}  // namespace
}  // namespace instar::device::delta_resumed

// Times of staged files: docs/decisions/0021-times-of-files.md
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "device-client/staging/stager.hpp"
#include "device-client/testing/delta_fixture.hpp"
#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using artifact::PackKind;

constexpr std::int64_t kFirst = 1'700'000'000;
constexpr std::int64_t kDay = 24 * 3'600;

struct stat look(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

std::int64_t time_of(const std::string& path) {
  return look(path).st_mtim.tv_sec;
}

// A page, another one of the same size, and one that stays.
TreeFixture pages(std::uint64_t one, std::uint64_t other) {
  TreeFixture tree;
  tree.folder("www");
  tree.file("www/one", noise(40'000, one));
  tree.file("www/other", noise(40'000, other));
  tree.file("www/stays", noise(9'000, 100));
  tree.symlink("www/to-one", "one");
  return tree;
}

// With full packs, dedupe packs, and deltas.
class StagerTimes : public testing::TestWithParam<PackKind> {
 protected:
  StagerTimes() : device_(folder_ / "state") { EXPECT_TRUE(files::make_folders(folder_ / "state")); }

  // Stages `tree` as the next revision, on top of the last one, issued at `time`.
  void release(TreeFixture tree, std::int64_t time, std::vector<std::uint32_t> bases) {
    auto next = std::make_unique<ArtifactFixture>(std::move(tree));
    const bool has_delta = GetParam() == PackKind::delta && last_ && next->artifact.id != last_->artifact.id;
    if (has_delta) add_delta(*next, *last_, make_delta(last_->tree, next->tree));
    device_.issued = WallMs{time * 1000};
    device_.open(++number_, {next.get()},
                 has_delta                       ? PackKind::delta
                 : GetParam() == PackKind::delta ? PackKind::full
                                                 : GetParam(),
                 std::move(bases));
    device_.run();
    ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
    expect_tree(tree_of(device_, number_, *next), next->tree);
    last_ = std::move(next);
  }
  [[nodiscard]] std::string path(const std::string& entry) const {
    return tree_of(device_, number_, *last_) + "/" + entry;
  }

  files::TemporaryFolder folder_;
  StagingFixture device_;
  std::uint32_t number_ = 0;
  std::unique_ptr<ArtifactFixture> last_;
};

TEST_P(StagerTimes, AreThoseOfTheReleaseThatBroughtTheContent) {
  release(pages(1, 2), kFirst, {});
  for (const char* entry : {"", "www", "www/one", "www/to-one"}) EXPECT_EQ(time_of(path(entry)), kFirst) << entry;
  release(pages(3, 2), kFirst + kDay, {1});
  EXPECT_EQ(time_of(path("www/one")), kFirst + kDay);
  EXPECT_EQ(time_of(path("www/stays")), kFirst) << "what did not change stays in caches";
  EXPECT_EQ(time_of(path("www/other")), kFirst);
}

// Whoever asks for what changed since a time would be answered: nothing.
TEST_P(StagerTimes, RiseWhereTwoFilesSwapTheirContents) {
  release(pages(1, 2), kFirst, {});
  release(pages(2, 1), kFirst + kDay, {1});
  EXPECT_EQ(time_of(path("www/one")), kFirst + kDay);
  EXPECT_EQ(time_of(path("www/other")), kFirst + kDay);
  EXPECT_EQ(time_of(path("www/stays")), kFirst);
}

TEST_P(StagerTimes, RiseWhereContentComesBackThatThePreviousRevisionHas) {
  release(pages(1, 2), kFirst, {});
  release(pages(3, 2), kFirst + kDay, {1});
  const auto fetched = device_.bytes_fetched;
  release(pages(1, 2), kFirst + 2 * kDay, {2, 1});
  EXPECT_EQ(time_of(path("www/one")), kFirst + 2 * kDay);
  EXPECT_EQ(time_of(path("www/other")), kFirst) << "it was the same all the time";
  if (GetParam() != PackKind::delta) {
    EXPECT_EQ(device_.bytes_fetched, fetched) << "the content is on the device";
  }
}

TEST_P(StagerTimes, RiseWhereAFileBecomesEqualToAnOlderOne) {
  release(pages(1, 2), kFirst, {});
  release(pages(1, 3), kFirst + kDay, {1});
  release(pages(1, 1), kFirst + 2 * kDay, {2, 1});
  EXPECT_EQ(time_of(path("www/other")), kFirst + 2 * kDay);
  EXPECT_EQ(time_of(path("www/one")), kFirst);
}

TEST_P(StagerTimes, RiseThoughTheNextReleaseWasIssuedBeforeTheLast) {
  release(pages(1, 2), kFirst, {});
  release(pages(3, 2), kFirst - 10 * kDay, {1});
  EXPECT_EQ(time_of(path("www/one")), kFirst + 1);
}

TEST_P(StagerTimes, AreTheSameOnDevicesThatTookTheSameReleases) {
  release(pages(1, 2), kFirst, {});
  release(pages(3, 2), kFirst + kDay, {1});
  const auto one = time_of(path("www/one"));
  device_.stager->remove({2});
  device_.settle();
  device_.durable.clear();
  release(pages(3, 2), kFirst + kDay, {1});
  EXPECT_EQ(time_of(path("www/one")), one);
}

TEST_P(StagerTimes, AreThoseOfTheIndexWhereItKeepsThem) {
  TreeFixture kept = pages(1, 2);
  kept.entries[1].time = 5;           // www
  kept.entries[2].time = 1234567890;  // www/one
  release(kept, kFirst, {});
  EXPECT_EQ(time_of(path("www")), 5);
  EXPECT_EQ(time_of(path("www/one")), 1234567890);
  EXPECT_EQ(time_of(path("www/other")), kFirst);
  const auto before = look(path("www/one")).st_ino;
  kept.entries[4].size = 1;  // www/stays
  kept.contents["www/stays"] = Bytes{7};
  kept.entries[4].content = trust::digest(kept.contents["www/stays"]);
  release(kept, kFirst + kDay, {1});
  EXPECT_EQ(look(path("www/one")).st_ino, before) << "same content, same time: one file";
  kept.entries[2].time = 1234567891;
  release(kept, kFirst + 2 * kDay, {2, 1});
  EXPECT_EQ(time_of(path("www/one")), 1234567891);
  EXPECT_NE(look(path("www/one")).st_ino, before);
}

INSTANTIATE_TEST_SUITE_P(All, StagerTimes, testing::Values(PackKind::full, PackKind::dedupe, PackKind::delta),
                         [](const auto& kind) { return std::string(artifact::pack_kind_name(kind.param)); });

}  // namespace
}  // namespace instar::device

// A tree in which a volume's path passes a link or a file is refused as soon as its index is known, before anything of
// its content is fetched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "device-client/testing/delta_fixture.hpp"
#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using artifact::PackKind;
using ::testing::AllOf;
using ::testing::HasSubstr;

TreeFixture tree_with_link(const std::string& target) {
  TreeFixture tree;
  tree.folder("bin");
  tree.file("bin/app", noise(600'000, 1), 0755);
  tree.symlink("data", target);
  return tree;
}

TreeFixture tree_with_folder(std::uint64_t seed) {
  TreeFixture tree;
  tree.folder("bin");
  tree.file("bin/app", noise(600'000, seed), 0755);
  tree.folder("data");
  return tree;
}

class StagerVolumes : public testing::Test {
 protected:
  StagerVolumes() : device_(folder_ / "state") { EXPECT_TRUE(files::make_folders(folder_ / "state")); }

  // Stages the release for a container that has a volume at `path`.
  void stage(std::uint32_t revision, const ArtifactFixture& release, PackKind kind, const std::string& path,
             std::vector<std::uint32_t> bases = {}) {
    device_.bytes_fetched = 0;
    device_.open(revision, {&release}, kind, std::move(bases));
    wire::Container container;
    container.name = "app";
    container.artifact = release.artifact.id;
    container.volumes = {{"v", path, 0755, 0, 0}};
    device_.opening.manifest.containers = {container};
    device_.reopen();
    device_.run();
  }
  void expect_refused(std::uint64_t bytes_allowed) {
    ASSERT_TRUE(device_.failed) << "was staged";
    EXPECT_EQ(device_.failed->code, Code::refused);
    EXPECT_THAT(device_.failed->message,
                AllOf(HasSubstr("container 'app'"), HasSubstr("volume 'v'"), HasSubstr("/data")));
    EXPECT_LE(device_.bytes_fetched, bytes_allowed);
  }
  files::TemporaryFolder folder_;
  StagingFixture device_;
};

TEST_F(StagerVolumes, ALinkOnTheWayIsRefusedAfterTheHead) {
  const ArtifactFixture release(tree_with_link("/etc"));
  for (const auto kind : {PackKind::full, PackKind::dedupe}) {
    for (const auto* path : {"/data", "/data/deep/er"}) {
      stage(1, release, kind, path);
      expect_refused(release.pack(kind).head_bytes);
    }
  }
}

TEST_F(StagerVolumes, AFileOnTheWayIsRefusedAfterTheHead) {
  TreeFixture tree;
  tree.file("data", noise(600'000, 3));
  const ArtifactFixture release(tree);
  stage(1, release, PackKind::full, "/data/sub");
  expect_refused(release.pack(PackKind::full).head_bytes);
}

TEST_F(StagerVolumes, ADeltaThatBringsALinkIsRefusedAfterItsHead) {
  const ArtifactFixture base(tree_with_folder(1));
  stage(1, base, PackKind::full, "/data/sub");
  ASSERT_TRUE(device_.done);
  const ArtifactFixture fresh = published_from(tree_with_link("/etc"), base);
  stage(2, fresh, PackKind::delta, "/data/sub", {1});
  expect_refused(fresh.pack(PackKind::delta).head_bytes);
}

TEST_F(StagerVolumes, ATreeThatIsHeldIsRefusedBeforeTheFirstByte) {
  const ArtifactFixture held(tree_with_link("/etc"));
  stage(1, held, PackKind::full, "/other");
  ASSERT_TRUE(device_.done);
  stage(2, held, PackKind::full, "/data/sub", {1});
  expect_refused(0);
}

class StagerVolumePaths : public StagerVolumes, public testing::WithParamInterface<const char*> {};

TEST_P(StagerVolumePaths, FoldersAndPathsThatTheTreeDoesNotHaveAreTaken) {
  const ArtifactFixture release(tree_with_folder(1));
  stage(1, release, PackKind::full, GetParam());
  EXPECT_TRUE(device_.done);
}
INSTANTIATE_TEST_SUITE_P(Taken, StagerVolumePaths, testing::Values("/data", "/data/new", "/quite/new"));

TEST_F(StagerVolumes, TheFileOfAnImageIsNoPathInIt) {
  ArtifactFixture image(TreeFixture::image(noise(10'000, 4)));
  image.as_image();
  stage(1, image, PackKind::full, "/image");
  EXPECT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
}

}  // namespace
}  // namespace instar::device

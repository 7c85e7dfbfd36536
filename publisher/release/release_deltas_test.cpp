#include "publisher/release/release_deltas.hpp"

#include <gmock/gmock.h>

#include "publisher/testing/artifact_deltas_fixture.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

class ReleaseDeltasTest : public ArtifactDeltas {
 protected:
  FleetArtifact runs(const ArtifactId& artifact, std::uint64_t devices, const std::string& release) const {
    return {artifact, release, devices, 0};
  }
  ArtifactFolders release() {
    ArtifactFolders folders;
    folders.emplace(folder_ / "out/new", build("two", "out/new"));
    return folders;
  }
};

TEST_F(ReleaseDeltasTest, FindsWhatTheFleetRunsBesideTheArtifact) {
  auto folders = release();
  build("one", "out/old");
  Fleet fleet{.asked = true, .known = true, .devices = 9, .devices_without = 1, .artifacts = {}};
  ArtifactId unknown;
  unknown.bytes.fill(7);
  fleet.artifacts = {runs(tree("one").id, 5, "1.0"), runs(unknown, 2, "0.9"), runs(tree("two").id, 1, "2.0")};
  const auto made = make_release_deltas(folders, fleet, {});
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->deltas.size(), 1U);
  EXPECT_TRUE(made->deltas[0].outcome.kept);
  EXPECT_EQ(made->deltas[0].devices, 5U);
  EXPECT_EQ(made->deltas[0].outcome.name, folder_ / "out/old");
  EXPECT_EQ(folders.begin()->second.packs.size(), 3U);
  ASSERT_EQ(made->missing.size(), 1U);
  const auto text = release_deltas_text(*made);
  EXPECT_THAT(text, HasSubstr("2 devices run artifact " + unknown.short_hex() + " of release 0.9, which is not in " +
                              (folder_ / "out")));
  EXPECT_THAT(text, HasSubstr("1 device runs artifact"));
  EXPECT_EQ(release_deltas_json(*made)["bases"][0]["kept"], true);
  const auto again = make_release_deltas(folders, fleet, {});
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->deltas[0].outcome.was_there);
  leave_out_deltas(folders);
  EXPECT_EQ(folders.begin()->second.packs.size(), 2U);
}

TEST_F(ReleaseDeltasTest, StopsAtTheNumberAndAtTheTime) {
  auto folders = release();
  build("one", "elsewhere/old");
  Fleet fleet{
      .asked = true, .known = true, .devices = 5, .devices_without = 0, .artifacts = {runs(tree("one").id, 5, "1.0")}};
  ReleaseDeltaOptions options;
  EXPECT_EQ(make_release_deltas(folders, fleet, options)->missing.size(), 1U) << "it is not beside it";
  options.artifacts = folder_ / "elsewhere";
  options.deltas_max = 0;
  const auto none = make_release_deltas(folders, fleet, options);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->deltas.empty());
  EXPECT_THAT(release_deltas_text(*none), HasSubstr("--deltas-max 0"));
  options.deltas_max = 4;
  options.time_ms = 1;
  options.policy.options.work.progress = [](const std::string&, std::uint64_t, std::uint64_t) { ::usleep(2'000); };
  const auto late = make_release_deltas(folders, fleet, options);
  ASSERT_TRUE(late) << "a release goes out without a delta that takes too long";
  ASSERT_EQ(late->deltas.size(), 1U);
  EXPECT_THAT(late->deltas[0].error, HasSubstr("--delta-time"));
  EXPECT_EQ(folders.begin()->second.packs.size(), 2U);
  options.policy.options.work.stopped = [] { return true; };
  EXPECT_FALSE(make_release_deltas(folders, fleet, options)) << "but Ctrl-C ends it";
}

TEST_F(ReleaseDeltasTest, ABaseThatIsNamedMustExistAndMayBeATree) {
  auto folders = release();
  ReleaseDeltaOptions options;
  options.bases = {folder_ / "nowhere"};
  EXPECT_EQ(make_release_deltas(folders, {}, options).error().code, Code::not_found);
  options.bases = {folder_ / "one"};
  const auto made = make_release_deltas(folders, {}, options);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->deltas[0].outcome.kept);
  EXPECT_THAT(release_deltas_text(*made), HasSubstr("?"));
}

TEST_F(ReleaseDeltasTest, OfSeveralArtifactsTheOneThatIsMostAlikeGetsTheDelta) {
  ArtifactFolders folders;
  write_in(folder_ / "agent", "usr/bin/agent", noise(50'000, 30));
  folders.emplace(folder_ / "out/a-agent", build("agent", "out/a-agent"));
  folders.emplace(folder_ / "out/new", build("two", "out/new"));
  ReleaseDeltaOptions options;
  options.bases = {folder_ / "one"};
  const auto made = make_release_deltas(folders, {}, options);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->deltas[0].artifact, tree("two").id);
}

}  // namespace
}  // namespace instar::publisher

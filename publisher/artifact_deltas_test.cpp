#include "publisher/artifact_deltas.hpp"

#include <gmock/gmock.h>

#include <atomic>

#include "publisher/fetch_cost.hpp"
#include "publisher/release_deltas.hpp"
#include "publisher/trees_for_test.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

class ArtifactDeltas : public testing::Test {
 protected:
  void SetUp() override { make_versions(folder_ / "one", folder_ / "two"); }
  ArtifactFolder build(const std::string& tree, const std::string& out) const {
    BuildOptions options;
    options.tree = folder_ / tree;
    options.out = folder_ / out;
    options.level = 1;
    auto folder = build_artifact(options);
    EXPECT_TRUE(folder);
    return std::move(*folder);
  }
  ReadableTree tree(const std::string& name) const { return std::move(*open_tree(folder_ / name, folder_.path(), {})); }
  std::string listing(const std::string& out) const {
    return std::string(as_text(*files::read_file(folder_ / (out + "/artifact.json"), 1 << 20)));
  }
  files::TemporaryFolder folder_;
};

TEST_F(ArtifactDeltas, ADeltaThatPaysIsListedAndReadBack) {
  auto folder = build("two", "out");
  const auto outcome = add_delta(folder, tree("two"), tree("one"), {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->kept);
  EXPECT_FALSE(outcome->was_there);
  EXPECT_LT(*outcome->weight.delta_bytes, outcome->weight.best_without_delta());
  const auto opened = open_artifact(folder_ / "out");
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(artifact_json(*opened), artifact_json(folder));
  ASSERT_EQ(opened->packs.size(), 3U);
  EXPECT_EQ(opened->packs[2].directory().base, tree("one").id);
  EXPECT_GT(opened->packs[2].memory_bytes(), 100'000U);
  EXPECT_EQ(opened->weights, folder.weights);
  EXPECT_TRUE(verify_artifact(*opened));
  const auto base = tree("one");
  EXPECT_TRUE(verify_artifact(*opened, &base));
  const auto artifact = manifest_artifact(*opened);
  EXPECT_EQ(artifact.packs[2].kind, artifact::PackKind::delta);
  EXPECT_EQ(artifact.packs[2].base, base.id);
  EXPECT_EQ(artifact.packs[2].head_bytes + artifact.packs[2].body_bytes, *outcome->weight.delta_bytes);
  EXPECT_GT(minimal_manifest_bytes(*opened), 500U);
}

TEST_F(ArtifactDeltas, TheSameDeltaIsNotMadeTwice) {
  auto folder = build("two", "out");
  const auto fresh = tree("two");
  const auto base = tree("one");
  ASSERT_TRUE(add_delta(folder, fresh, base, {}));
  auto opened = *open_artifact(folder_ / "out");
  DeltaPolicy never;
  never.options.work.stopped = [] { return true; };
  const auto again = add_delta(opened, fresh, base, never);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->was_there);
  EXPECT_EQ(again->weight, folder.weights.front());
  // Somebody took the figures out of artifact.json: the pack is there all the same.
  auto unweighed = *open_artifact(folder_ / "out");
  unweighed.weights.clear();
  const auto weighed = add_delta(unweighed, fresh, base, {});
  ASSERT_TRUE(weighed) << weighed.error().message;
  EXPECT_TRUE(weighed->was_there);
  EXPECT_EQ(unweighed.weights, folder.weights);
  EXPECT_EQ(unweighed.packs.size(), 3U);
  // Somebody took the pack away: it is made again.
  ASSERT_EQ(::unlink(opened.packs.back().path().c_str()), 0);
  opened.packs.pop_back();
  const auto anew = add_delta(opened, fresh, base, {});
  ASSERT_TRUE(anew);
  EXPECT_FALSE(anew->was_there);
  EXPECT_TRUE(anew->kept);
}

TEST_F(ArtifactDeltas, ADeltaThatDoesNotPayIsDroppedAndSaysSo) {
  write_in(folder_ / "other", "bin/app", noise(2'000, 77));
  auto folder = build("two", "out");
  const auto dropped = add_delta(folder, tree("two"), tree("other"), {});
  ASSERT_TRUE(dropped) << dropped.error().message;
  EXPECT_FALSE(dropped->kept);
  EXPECT_TRUE(dropped->weight.delta_bytes);
  EXPECT_THAT(dropped->why_dropped, HasSubstr("full costs a device that has it"));
  EXPECT_EQ(folder.packs.size(), 2U);
  EXPECT_THAT(list_names(folder_ / "out"),
              testing::UnorderedElementsAre("artifact.json", "index", "full.pack", "dedupe.pack"));
  auto opened = *open_artifact(folder_ / "out");
  EXPECT_TRUE(add_delta(opened, tree("two"), tree("other"), {})->was_there) << "what was found is remembered";
  DeltaPolicy keep;
  keep.keep_costly = true;
  const auto kept = add_delta(opened, tree("two"), tree("other"), keep);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->kept);
  EXPECT_FALSE(kept->why_dropped.empty());
  EXPECT_EQ(open_artifact(folder_ / "out")->packs.size(), 3U);
}

TEST_F(ArtifactDeltas, ADeviceThatHasTheArtifactNeedsNoDelta) {
  auto folder = build("two", "out");
  const auto outcome = add_delta(folder, tree("two"), tree("two"), {});
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->kept);
  EXPECT_EQ(outcome->weight.full_bytes, 0U);
  EXPECT_THAT(outcome->why_dropped, HasSubstr("fetches nothing"));
}

TEST_F(ArtifactDeltas, StoppedAtAnyMomentItLeavesTheFolderAsItWas) {
  auto folder = build("two", "out");
  const auto before = listing("out");
  const auto fresh = tree("two");
  const auto base = tree("one");
  std::atomic<int> asked = 0;
  int stop_at = 0;
  DeltaPolicy policy;
  policy.options.jobs = 1;
  policy.options.work.stopped = [&] { return ++asked > stop_at; };
  for (; stop_at < 1'000; ++stop_at) {
    asked = 0;
    const auto outcome = add_delta(folder, fresh, base, policy);
    if (outcome) break;
    ASSERT_EQ(outcome.error().code, Code::unavailable) << outcome.error().message;
    ASSERT_EQ(listing("out"), before);
    ASSERT_EQ(folder.packs.size(), 2U);
    ASSERT_TRUE(folder.weights.empty());
    ASSERT_EQ(list_names(folder_ / "out").size(), 4U);
  }
  EXPECT_GT(stop_at, 10);
  EXPECT_LT(stop_at, 1'000);
}

TEST_F(ArtifactDeltas, DedupeIsReckonedChunkByChunk) {
  auto folder = build("two", "out");
  const auto base = tree("one");
  const auto fresh = tree("two");
  HeldTree held(base);
  const auto& dedupe = folder.packs[1];
  const auto bytes = held.bytes_to_fetch(dedupe, fresh.entries, {});
  ASSERT_TRUE(bytes && *bytes);
  EXPECT_GT(**bytes, dedupe.directory().head_bytes() + 53'000U) << "the new plugin and the new file at least";
  EXPECT_LT(**bytes, dedupe.wire_bytes() - 150'000U) << "most of the large file is there";
  HeldTree nothing(fresh);
  EXPECT_EQ(**nothing.bytes_to_fetch(dedupe, fresh.entries, {}), 0U);
  ASSERT_TRUE(files::make_folders(folder_ / "empty"));
  const auto empty = tree("empty");
  HeldTree none(empty);
  EXPECT_EQ(**none.bytes_to_fetch(dedupe, fresh.entries, {}), dedupe.wire_bytes());
}

// --- of a release -------------------------------------------------------------------------------------

class ReleaseDeltasTest : public ArtifactDeltas {
 protected:
  FleetArtifact runs(const Hash256& artifact, std::uint64_t devices, const std::string& release) const {
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
  Hash256 unknown;
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

TEST_F(ReleaseDeltasTest, KeepsToItsNumberAndItsTime) {
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

TEST_F(ReleaseDeltasTest, ABaseThatIsNamedMustBeThereAndMayBeATree) {
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

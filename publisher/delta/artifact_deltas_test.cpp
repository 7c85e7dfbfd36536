#include "publisher/delta/artifact_deltas.hpp"

#include <gmock/gmock.h>

#include <atomic>

#include "publisher/artifact/fetch_cost.hpp"
#include "publisher/testing/artifact_deltas_fixture.hpp"

namespace instar::publisher {
namespace {

using testing::HasSubstr;

TEST_F(ArtifactDeltas, ADeltaThatSavesBytesIsListedAndReadBack) {
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
  // Somebody removed the figures from artifact.json, but the pack is still there.
  auto unweighed = *open_artifact(folder_ / "out");
  unweighed.weights.clear();
  const auto weighed = add_delta(unweighed, fresh, base, {});
  ASSERT_TRUE(weighed) << weighed.error().message;
  EXPECT_TRUE(weighed->was_there);
  EXPECT_EQ(unweighed.weights, folder.weights);
  EXPECT_EQ(unweighed.packs.size(), 3U);
  // Somebody removed the pack, so it is made again.
  ASSERT_EQ(::unlink(opened.packs.back().path().c_str()), 0);
  opened.packs.pop_back();
  const auto made_again = add_delta(opened, fresh, base, {});
  ASSERT_TRUE(made_again);
  EXPECT_FALSE(made_again->was_there);
  EXPECT_TRUE(made_again->kept);
}

TEST_F(ArtifactDeltas, ADeltaThatSavesNothingIsDroppedWithTheReason) {
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

TEST_F(ArtifactDeltas, StoppedAtAnyMomentItLeavesTheFolderUnchanged) {
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

TEST_F(ArtifactDeltas, DedupeIsComputedChunkByChunk) {
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

}  // namespace
}  // namespace instar::publisher

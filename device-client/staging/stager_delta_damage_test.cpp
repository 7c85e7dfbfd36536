// Deltas that cannot make all files, or none: the base was changed, or the pack is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "device-client/testing/delta_fixture.hpp"
#include "device-client/testing/staging_fixture.hpp"
#include "files/files.hpp"
#include "files/testing/temporary_folder.hpp"

namespace instar::device {
namespace {

using artifact::PackKind;
using testing::HasSubstr;

Bytes changed(std::uint64_t seed) {
  Bytes content = noise(200'000, seed);
  content[100'000] ^= 1;
  return content;
}

TreeFixture old_tree() {
  TreeFixture tree;
  tree.folder("d");
  tree.file("d/changed", noise(200'000, 1), 0755);
  tree.file("d/changed-too", noise(200'000, 2), 0755);
  tree.file("d/gone", noise(1'000, 3));
  tree.file("d/kept", noise(150'000, 4), 0755);
  tree.hardlink("d/kept-too", "d/kept");
  tree.file("d/other", noise(150'000, 5), 0755);
  return tree;
}

TreeFixture new_tree() {
  TreeFixture tree;
  tree.folder("d");
  tree.file("d/changed", changed(1), 0755);
  tree.file("d/changed-again", changed(1), 0755);
  tree.file("d/changed-too", changed(2), 0755);
  tree.file("d/kept", noise(150'000, 4), 0755);
  tree.hardlink("d/kept-too", "d/kept");
  tree.file("d/new", noise(100'000, 6), 0644);
  tree.file("d/other", noise(150'000, 5), 0755);
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

class StagerDeltaDamage : public testing::Test {
 protected:
  StagerDeltaDamage() : device_(folder_ / "state") { EXPECT_TRUE(files::make_folders(folder_ / "state")); }
  void SetUp() override {
    device_.open(1, {&old_release()}, PackKind::full);
    device_.run();
    ASSERT_TRUE(device_.done);
    device_.bytes_fetched = 0;
    device_.fetches.clear();
  }
  [[nodiscard]] std::string old_path(const std::string& path) const {
    return tree_of(device_, 1, old_release()) + "/" + path;
  }
  void write_to_base(const std::string& path) {
    std::fstream file(old_path(path), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(50'000);
    file << "somebody was here";
  }
  void expect_new_tree() {
    ASSERT_TRUE(device_.done) << (device_.failed ? device_.failed->message : "");
    expect_tree(tree_of(device_, 2, new_release()), new_release().tree);
  }
  // Digests of the dedupe pack's encoded chunks in which some of these files' content lies.
  [[nodiscard]] static std::set<Hash256> dedupe_chunks_of(const std::set<std::string>& paths) {
    const auto& pack = new_release().pack(PackKind::dedupe);
    const auto& chunks = new_release().chunks.at(pack.id);
    const auto stream = artifact::stream_files(new_release().tree.entries);
    Bytes head;
    for (std::size_t i = 0; i < pack.head.size(); ++i) {
      const auto decoded = artifact::decode_chunk(pack.head[i], chunks[i]);
      head.insert(head.end(), decoded->begin(), decoded->end());
    }
    std::set<Hash256> touched;
    std::size_t ordinal = pack.head.size();
    artifact::PackHeadReader reader(
        new_release().artifact.index_bytes, [](const artifact::Entry&) -> Status { return {}; },
        [&](const artifact::BodyChunk& chunk) -> Status {
          std::uint64_t at = 0;
          for (const auto& file : stream) {
            if (paths.contains(file.path) && at < chunk.offset + chunk.ref.decoded_bytes &&
                chunk.offset < at + file.size) {
              touched.insert(trust::digest(chunks[ordinal]));
            }
            at += file.size;
          }
          ++ordinal;
          return {};
        });
    EXPECT_TRUE(reader.feed(head));
    EXPECT_TRUE(reader.finish());
    return touched;
  }
  // Only the delta, the other pack's head and the chunks of its body with content of these files may be fetched.
  void expect_only_chunks_of(const std::set<std::string>& paths) {
    const auto& delta = new_release().pack(PackKind::delta);
    const auto& dedupe = new_release().pack(PackKind::dedupe);
    const auto allowed = dedupe_chunks_of(paths);
    const auto& chunks = new_release().chunks.at(dedupe.id);
    EXPECT_LT(allowed.size(), dedupe.body_count);
    std::uint64_t body = 0;
    for (std::size_t i = dedupe.head.size(); i < chunks.size(); ++i) {
      const auto fetched = device_.fetches.find(trust::digest(chunks[i]));
      if (fetched == device_.fetches.end()) continue;
      EXPECT_EQ(fetched->second, 1);
      EXPECT_TRUE(allowed.contains(fetched->first)) << "body chunk " << i - dedupe.head.size();
      body += chunks[i].size();
    }
    EXPECT_GT(body, 0u);
    EXPECT_EQ(device_.bytes_fetched, delta.head_bytes + delta.body_bytes + dedupe.head_bytes + body);
  }
  files::TemporaryFolder folder_;
  StagingFixture device_;
};

TEST_F(StagerDeltaDamage, AFileMadeFromADamagedOneComesFromAnotherPackAlone) {
  write_to_base("d/changed");
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  ASSERT_EQ(device_.unusable.size(), 2u);
  EXPECT_FALSE(device_.unusable[0].now);
  EXPECT_TRUE(device_.unusable[1].now);
  EXPECT_EQ(device_.unusable[1].missing.files, 2u);
  EXPECT_THAT(device_.unusable[0].error.message, HasSubstr(old_path("d/changed") + " was changed on this device"));
  expect_only_chunks_of({"d/changed"});
}

TEST_F(StagerDeltaDamage, AFileThatWouldHaveBeenLinkedComesFromAnotherPackAlone) {
  write_to_base("d/kept");
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  ASSERT_EQ(device_.unusable.size(), 2u);
  EXPECT_EQ(device_.unusable[0].missing.files, 1u);
  EXPECT_EQ(device_.unusable[0].missing.bytes, 150'000u);
  expect_only_chunks_of({"d/kept"});
}

TEST_F(StagerDeltaDamage, AMissingFileIsNamedWithTheOthers) {
  ASSERT_TRUE(std::filesystem::remove(old_path("d/other")));
  write_to_base("d/changed-too");
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  EXPECT_THAT(device_.unusable[0].error.message,
              HasSubstr("d/changed-too was changed on this device, and so were 1 other"));
  expect_only_chunks_of({"d/other", "d/changed-too"});
}

// Damage is reported before any of the body is fetched, so that a metered device can end the attempt there.
TEST_F(StagerDeltaDamage, DamageIsReportedBeforeTheBodyIsFetched) {
  write_to_base("d/changed");
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  while (device_.unusable.empty()) {
    ASSERT_FALSE(device_.all_exact());
    if (device_.step()) continue;
    ASSERT_TRUE(device_.fetch_piece());
  }
  EXPECT_FALSE(device_.all_exact());
  EXPECT_EQ(device_.bytes_fetched, new_release().pack(PackKind::delta).head_bytes);
}

TEST_F(StagerDeltaDamage, DamageToAFileThatIsNotNeededDoesNotMatter) {
  ASSERT_TRUE(files::write_file_atomic(old_path("d/gone"), as_bytes("something else")));
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  EXPECT_TRUE(device_.unusable.empty());
}

TEST_F(StagerDeltaDamage, TheFullPackCanRepairToo) {
  device_.fallback = PackKind::full;
  write_to_base("d/changed-too");
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
}

TEST_F(StagerDeltaDamage, KilledAtEveryStepOfTheRepairItEndsInTheRightTree) {
  device_.options.slice = {100'000, 3};
  device_.start();
  write_to_base("d/changed");
  for (int steps = 0;; ++steps) {
    SCOPED_TRACE("killed after step " + std::to_string(steps));
    device_.durable.clear();
    device_.unusable.clear();
    device_.bytes_fetched = 0;
    device_.open(2, {&new_release()}, PackKind::delta, {1});
    const bool stopped = device_.run(steps);
    if (stopped) {
      device_.kill_and_start();
      device_.reopen();
      device_.run();
    }
    expect_new_tree();
    if (!stopped || HasFailure()) break;
    // What was not durable at the kill is fetched again: one window at most.
    EXPECT_LE(device_.bytes_fetched, 2 * new_release().pack(PackKind::dedupe).body_bytes);
    device_.stager->remove({2});
    device_.settle();
    device_.events.clear();
  }
}

TEST_F(StagerDeltaDamage, AMissingBaseIsReportedAtOnce) {
  device_.open(2, {&new_release()}, PackKind::delta, {});
  device_.run();
  expect_new_tree();
  ASSERT_EQ(device_.unusable.size(), 1u);
  EXPECT_TRUE(device_.unusable[0].now);
  EXPECT_EQ(device_.unusable[0].missing.files, 0u);
  EXPECT_THAT(device_.unusable[0].error.message, HasSubstr("is not on this device any more"));
}

TEST_F(StagerDeltaDamage, ABaseWithABrokenIndexIsNotUsed) {
  const std::string index = folder_ / ("state/revisions/1/artifacts/" + old_release().artifact.id.hex() + "/index");
  auto bytes = files::read_file(index, 1 << 20);
  ASSERT_TRUE(bytes);
  (*bytes)[bytes->size() / 2] ^= 1;
  ASSERT_TRUE(files::write_file_atomic(index, *bytes));
  device_.open(2, {&new_release()}, PackKind::delta, {1});
  device_.run();
  expect_new_tree();
  ASSERT_EQ(device_.unusable.size(), 1u);
  EXPECT_TRUE(device_.unusable[0].now);
}

// --- packs that are signed, but wrong ---------------------------------------------------------------------

class StagerDeltaWrong : public StagerDeltaDamage {
 protected:
  // Stages the new release with this delta, which is given up for the dedupe pack.
  void expect_given_up(const DeltaFixture& made, std::string_view why) {
    ArtifactFixture wrong(new_tree());
    add_delta(wrong, old_release(), made);
    expect_given_up(wrong, why);
  }
  void expect_given_up(ArtifactFixture& wrong, std::string_view why) {
    device_.open(2, {&wrong}, PackKind::delta, {1});
    device_.run();
    expect_new_tree();
    ASSERT_EQ(device_.unusable.size(), 1u);
    EXPECT_TRUE(device_.unusable[0].now);
    EXPECT_EQ(device_.unusable[0].missing.files, 0u);
    EXPECT_THAT(device_.unusable[0].error.message, HasSubstr(std::string(why)));
    expect_tree(tree_of(device_, 1, old_release()), old_release().tree);
  }
};

TEST_F(StagerDeltaWrong, OneThatMakesAnotherTree) {
  TreeFixture other = old_tree();
  other.file("e", noise(10, 7));  // as many entries as the new tree has
  expect_given_up(make_delta(old_tree(), other), "not to the signed artifact");
  EXPECT_FALSE(std::filesystem::exists(tree_of(device_, 2, new_release()) + "/e"));
}

TEST_F(StagerDeltaWrong, OneWhoseIndexCannotBeRead) {
  auto made = make_delta(old_tree(), new_tree());
  for (auto& byte : made.index) byte = 0xff;
  expect_given_up(made, "delta pack");
}

TEST_F(StagerDeltaWrong, OneWhoseStreamsCannotBeRead) {
  auto made = make_delta(old_tree(), new_tree());
  for (std::size_t i = 0; i < made.body.size(); i += 3) made.body[i] ^= 0x77;
  expect_given_up(made, "delta pack");
}

TEST_F(StagerDeltaWrong, OneThatRebuildsFewerFilesThanItsIndexWants) {
  TreeFixture fewer = new_tree();
  std::erase_if(fewer.entries, [](const artifact::Entry& entry) { return entry.path == "d/new"; });
  auto made = make_delta(old_tree(), fewer);
  const auto whole = make_delta(old_tree(), new_tree());
  made.index = whole.index;
  made.header.index_delta_bytes = whole.header.index_delta_bytes;
  made.header.entry_count = whole.header.entry_count;
  expect_given_up(made, "delta pack");
}

TEST_F(StagerDeltaWrong, OneThatIsNotAsLargeAsTheManifestSays) {
  ArtifactFixture wrong = published_from(new_tree(), old_release());
  for (auto& pack : wrong.artifact.packs) {
    if (pack.kind == PackKind::delta) pack.body_bytes += 1;
  }
  expect_given_up(wrong, "publish it again");
}

TEST_F(StagerDeltaWrong, OneThatNeedsMoreMemoryThanTheManifestSays) {
  ArtifactFixture wrong = published_from(new_tree(), old_release());
  for (auto& pack : wrong.artifact.packs) {
    if (pack.kind == PackKind::delta) pack.memory_bytes -= 1;
  }
  expect_given_up(wrong, "bytes of memory");
}

}  // namespace
}  // namespace instar::device

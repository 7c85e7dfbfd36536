// For tests: a stager, and a fetcher that does with the stager's events what the revision machine would do.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "device-client/staging/stager.hpp"
#include "device-client/testing/artifact_fixture.hpp"

namespace instar::device {

// One device's disk with its stager, and the part of the revision machine that fetches.
class StagingFixture {
 public:
  explicit StagingFixture(std::string state_dir);
  void start();
  // Leaves what kill -9 leaves: the files as they are.
  void kill_and_start();

  void open(std::uint32_t revision, const std::vector<const ArtifactFixture*>& artifacts, artifact::PackKind kind,
            std::vector<std::uint32_t> bases = {});
  void reopen();
  // One step of the stager. False when it has nothing to do.
  bool step();
  void settle();
  void pass_time(std::int64_t ms);
  // Hands over the next piece of a wanted chunk. False when nothing is wanted.
  bool fetch_piece();
  // Runs to the end, or to a failure, or until so many calls of the stager have been made. True when it stopped for
  // the last reason.
  bool run(int calls_max = 100'000);

  // The stager has said of every pack what it wants.
  [[nodiscard]] bool all_wanted() const { return wants.size() == opening.choices.size(); }
  [[nodiscard]] bool all_exact() const;

  StagerOptions options;
  WallMs issued;  // of the releases that are opened from now on
  std::unique_ptr<Stager> stager;
  revision::OpenStaging opening;
  std::map<PackId, std::vector<Bytes>> broker;
  StagingEvents events;
  std::map<PackId, revision::StagingWants> wants;
  std::set<std::pair<PackId, std::uint32_t>> durable;  // chunks that were reported as durable
  std::vector<revision::ChunkRefused> refused;
  std::vector<revision::PackUnusable> unusable;
  artifact::PackKind fallback = artifact::PackKind::dedupe;
  bool switch_due = false;
  std::optional<Error> failed;
  bool done = false;
  std::uint64_t bytes_fetched = 0;
  std::uint64_t chunks_fetched = 0;
  std::uint32_t piece_bytes = 32 * 1024;
  MonotonicMs now;
  std::vector<std::string> log;
  std::map<Hash256, int> fetches;  // whole chunks by the hash of their encoded bytes

 private:
  void take_other_pack();
  void hand_over(const PackId& pack, wire::ChunkRange& range);
  void take_events();
  void check(const revision::StagingWants& want) const;
};

std::string tree_of(const StagingFixture& device, std::uint32_t revision, const ArtifactFixture& published);

// The staged tree is this one, entry for entry.
void expect_tree(const std::string& path, const TreeFixture& expected);

// Every path below `root` that is not in `root`/state: to show that nothing was written outside.
std::set<std::string> paths_outside(const std::string& root);

}  // namespace instar::device

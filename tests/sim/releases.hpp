// Releases of a simulated operator: real trees, indexes, packs and signatures, small enough to make hundreds of.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/trust/root.hpp"
#include "core/wire/manifest.hpp"
#include "tests/sim/names.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

// What becomes of it on a device.
enum class Nature : std::uint8_t { good, probe_fails, does_not_start, stops, cuts_link };
[[nodiscard]] std::string nature_name(Nature nature);

struct ReleasePack {
  artifact::PackDirectory directory;
  Bytes bytes;                 // of the directory
  std::vector<Bytes> encoded;  // by ordinal
};

struct Release {
  Nature nature = Nature::good;
  wire::Manifest manifest;
  Bytes envelope;
  ManifestId rollout;
  std::map<PackId, ReleasePack> packs;
};

// When the root document of every story was made: two months before the story.
inline constexpr WallMs kRootIssued{1'755'000'000'000};

struct Keys {
  trust::SecretKey root;
  trust::SecretKey release;
  trust::SecretKey gate;
  Bytes pinned_root;
};
[[nodiscard]] Keys make_keys();

// By the clock of whoever signs it.
struct ReleaseDates {
  WallMs issued;
  WallMs expires;  // 0: never
};

// Makes one release after the other; each changes some files of the one before.
class ReleaseMaker {
 public:
  ReleaseMaker(Random& random, const Keys& keys);
  [[nodiscard]] Release make(Nature nature, std::vector<GroupPath> groups, wire::Policy policy, ReleaseDates dates,
                             std::string product = kFleetProduct);

 private:
  struct File {
    std::string path;
    Bytes content;
  };
  // The head names the chunks of the changed file's content, which are the body: as much of a delta as the machine
  // sees.
  void add_delta(const ArtifactId& base, const Bytes& index, const Bytes& changed, wire::Artifact& artifact,
                 Release& release) const;

  Random& random_;
  const Keys& keys_;
  std::vector<File> files_;
  std::vector<ArtifactId> artifacts_;  // of the releases so far
  std::uint64_t sequence_ = 0;
};

}  // namespace instar::sim

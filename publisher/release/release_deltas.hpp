// The deltas of a release, against the artifacts that the fleet runs. The delta that most devices need comes first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "publisher/artifact/local_artifacts.hpp"
#include "publisher/console/failure.hpp"
#include "publisher/delta/artifact_deltas.hpp"
#include "publisher/release/release.hpp"

namespace instar::publisher {

// What the broker says about the devices that a release is for.
struct FleetArtifact {
  ArtifactId artifact;
  std::string release;
  std::uint64_t devices = 0;
  std::uint64_t metered = 0;
};
struct Fleet {
  bool asked = false;
  bool known = false;  // the broker has answered
  std::uint64_t devices = 0;
  std::uint64_t devices_without = 0;     // devices that run nothing yet, or did not say what
  std::vector<FleetArtifact> artifacts;  // most devices first
};
struct ReleaseDeltaOptions {
  std::vector<std::string> bases;  // trees and artifact folders that the operator names
  std::string artifacts;           // folder of artifact folders; empty: none
  std::size_t deltas_max = 4;      // against what the fleet runs; those against `bases` are made in any case
  std::int64_t time_ms = 0;        // for making all deltas
  DeltaPolicy policy;
};

// One base that was considered.
struct ReleaseDelta {
  DeltaOutcome outcome;
  ArtifactId artifact;  // of the release
  std::string release;
  std::uint64_t devices = 0;
  std::string error;  // why no delta could be made; the release is published without it
};
struct ReleaseDeltas {
  Fleet fleet;
  std::vector<ReleaseDelta> deltas;
  std::vector<std::string> notes;  // sentences on what there is no delta for, and why
  std::vector<FleetArtifact> missing;
};

// Makes the deltas and adds those that save bytes to the artifact folders. A delta that cannot be made is noted, and is
// no error. Errors: invalid_argument, not_found (a base that the operator named cannot be read); unavailable (stopped).
[[nodiscard]] Result<ReleaseDeltas> make_release_deltas(ArtifactFolders& artifacts, Fleet fleet,
                                                        const ReleaseDeltaOptions& options);
// The folders without their deltas.
void leave_out_deltas(ArtifactFolders& artifacts);

[[nodiscard]] Json release_deltas_json(const ReleaseDeltas& deltas);
[[nodiscard]] std::string release_deltas_text(const ReleaseDeltas& deltas);

}  // namespace instar::publisher

// For tests: delta packs.
#pragma once

#include "core/delta/delta_head.hpp"
#include "device-client/testing/artifact_fixture.hpp"

namespace instar::device {

struct DeltaFixture {
  delta::DeltaHeader header;
  Bytes index;
  Bytes body;
};

// The delta that makes `fresh` from `base`: each changed file is made from the base's file of the same path.
DeltaFixture make_delta(const TreeFixture& base, const TreeFixture& fresh);
// Adds `made`, which was made from `base`, to the packs of the artifact.
void add_delta(ArtifactFixture& published, const ArtifactFixture& base, const DeltaFixture& made);
// An artifact of `tree` with a delta pack from `base`.
ArtifactFixture published_from(TreeFixture tree, const ArtifactFixture& base);

}  // namespace instar::device

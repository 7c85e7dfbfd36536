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

// The delta that makes `fresh` from `base`: each changed file is made from the base's file of the same path,
// an image with a compressed squashfs by what is in it.
DeltaFixture make_delta(const TreeFixture& base, const TreeFixture& fresh);
// The same of two images, by a block of another size than any library makes of its content.
DeltaFixture make_unlike_delta(const TreeFixture& base, const TreeFixture& fresh);
// Adds `made`, which was made from `base`, to the packs of the artifact.
void add_delta(ArtifactFixture& published, const ArtifactFixture& base, const DeltaFixture& made);
// An artifact of `tree` with a delta pack from `base`.
ArtifactFixture published_from(TreeFixture tree, const ArtifactFixture& base);

}  // namespace instar::device

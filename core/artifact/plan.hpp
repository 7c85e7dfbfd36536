// Chooses the pack that costs the fewest bytes. The device does this, because only it knows what it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"

namespace instar::artifact {

// What the choice needs to know of one pack of a manifest.
struct PackOffer {
  PackKind kind = PackKind::full;
  PackId id;
  ArtifactId base;
  std::uint8_t format = kPackFormat;
  std::uint64_t head_bytes = 0;
  std::uint64_t body_bytes = 0;
  std::uint32_t memory_bytes = 0;
  std::uint32_t body_count = 0;
};

struct Holdings {
  std::vector<ArtifactId> artifacts;  // whole artifacts held: bases
  std::uint64_t memory_bytes = 0;     // that decoding may use; 0 = no bound
  bool delta_decoder = false;         // this client can apply delta packs
};

// A pack that can be used, cheapest first. `bytes_max`: exact for full and delta; for dedupe the upper bound (nothing
// matches), which becomes exact once the head has been read and the device has looked at what it holds.
struct Candidate {
  std::size_t offer = 0;  // into the offers
  std::uint64_t bytes_max = 0;
  std::uint64_t bytes_min = 0;  // dedupe: the head alone
};

// Removes what this device cannot use (format, kind, memory, base not held) and orders the rest. A device that holds
// some tree tries dedupe's head first when dedupe may cost less than the cheapest exact pack. But never before a delta
// whose base is held: its bytes are known, and a publisher leaves out a delta that is larger than dedupe from the same
// base.
[[nodiscard]] std::vector<Candidate> usable_packs(const std::vector<PackOffer>& offers, const Holdings& holdings);

// What a delta could not make of an artifact.
struct Missing {
  std::uint32_t files = 0;
  std::uint64_t bytes = 0;  // of their contents
};

// The packs that can bring what a delta could not, cheapest first: none of them a delta. `content_bytes` are the
// artifact's. `bytes_min`: the head and, by the pack's averages, the chunks that hold what is missing. `bytes_max`: all
// of it. The exact bytes are known once the head has been read.
[[nodiscard]] std::vector<Candidate> repair_packs(const std::vector<PackOffer>& offers, const Holdings& holdings,
                                                  std::uint64_t content_bytes, const Missing& missing);

}  // namespace instar::artifact

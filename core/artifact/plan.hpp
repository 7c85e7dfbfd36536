// The cheapest way by bytes, chosen by the device, which alone knows what it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"

namespace instar::artifact {

// One pack of a manifest, as far as choosing needs it.
struct PackOffer {
  PackKind kind = PackKind::full;
  Hash256 id;
  Hash256 base;
  std::uint8_t format = kPackFormat;
  std::uint64_t head_bytes = 0;
  std::uint64_t body_bytes = 0;
  std::uint32_t memory_bytes = 0;
};

struct Holdings {
  std::vector<Hash256> artifacts;  // whole artifacts held: bases
  std::uint64_t memory_bytes = 0;  // that decoding may use; 0 = no bound
  bool delta_decoder = false;      // this client can apply delta packs
};

// A pack that can be used, cheapest first. `bytes_max`: exact for full and delta; for dedupe the upper bound (nothing
// matches), which becomes exact once the head has been read and the device has looked at what it holds.
struct Candidate {
  std::size_t offer = 0;  // into the offers
  std::uint64_t bytes_max = 0;
  std::uint64_t bytes_min = 0;  // dedupe: the head alone
};

// Drops what this device cannot use (format, kind, memory, base not held) and orders the rest. A device that holds some tree
// tries dedupe's head first when head_bytes + the body could beat the cheapest exact one.
[[nodiscard]] std::vector<Candidate> usable_packs(const std::vector<PackOffer>& offers, const Holdings& holdings);

}  // namespace instar::artifact

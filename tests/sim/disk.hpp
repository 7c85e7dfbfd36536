// What a simulated device has on its flash: it survives a power cut.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/wire/manifest.hpp"

namespace instar::sim {

struct DiskPack {
  std::map<std::uint32_t, Bytes> head;  // decoded head chunks, durable
  std::set<std::uint32_t> body;         // durable body chunks, each verified when it came
  std::set<Hash256> contents;           // of the same
};

// What a delta will come to, as it shows once its head is there, or in the end.
enum class DeltaFate : std::uint8_t { works, lacks_files, is_wrong };

struct DiskRevision {
  wire::Manifest manifest;
  std::map<PackId, DiskPack> packs;
  std::map<PackId, DeltaFate> deltas;
  bool made_by_delta = false;  // most of the tree is there
  bool staged = false;         // the marker that is written last
};

struct Disk {
  Bytes state;
  Bytes anchor;
  std::map<std::uint32_t, DiskRevision> revisions;
};

}  // namespace instar::sim

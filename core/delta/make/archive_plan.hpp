// Plans how a device makes an archive again from the one before it: what it copies as it is, which contents are to be
// compared with which, and how they are compressed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/delta/block_control.hpp"
#include "core/delta/make/archive_map.hpp"

namespace instar::delta {

struct ArchivePart {
  Bytes content;
  std::vector<BlockStep> steps;
  std::uint8_t spec = 0;
  std::vector<BlockExtent> base;  // what it is to be compared with
  bool is_forward = false;        // a device reads that in order only
};

struct ArchivePlan {
  BlockHead head;
  Bytes base;  // as it unpacks
  std::vector<ArchivePart> parts;
  std::uint64_t made_bytes = 0;    // of inner files that are compressed again
  std::uint64_t made_content = 0;  // and of what is in them
};

// nullopt when the maps do not go together, or when no inner file that changed comes out with the encoder that devices
// run. Inner files that do not come out travel compressed.
[[nodiscard]] std::optional<ArchivePlan> plan_archive(ByteView old_archive, const ArchiveMap& old, ByteView now_archive,
                                                      ArchiveMap now);

}  // namespace instar::delta

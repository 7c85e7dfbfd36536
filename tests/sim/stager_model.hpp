// The stager as the machine sees it: real heads, real chunks, real decoding; a disk that keeps only what was synced.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "core/revision/machine.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/world.hpp"

namespace instar::sim {

class StagerModel {
 public:
  using Tell = std::function<void(std::int64_t ms, revision::Event event)>;
  using Later = std::function<void(std::int64_t ms, std::function<void()> what)>;
  using Durable = std::function<void(std::uint32_t bytes)>;

  StagerModel(World& world, Disk& disk, Tell tell, Later later, Durable durable)
      : world_(world), disk_(disk), tell_(std::move(tell)), later_(std::move(later)), durable_(std::move(durable)) {}

  // The process is gone: what was not synced is lost.
  void reset();
  void open(const revision::OpenStaging& what);
  void piece(const revision::StagePiece& piece);
  void finish(std::uint32_t revision);
  // The folder goes; a staging that is open in it ends.
  void remove(std::uint32_t revision);

 private:
  struct OpenPack {
    wire::Pack pack;
    ArtifactId artifact;
    std::uint32_t index_bytes = 0;
    bool head_read = false;
    std::vector<artifact::ChunkRef> body;
  };
  void tell_wants(const OpenPack& open);
  // A delta that cannot be used is reported and not opened.
  [[nodiscard]] bool has_base(const wire::Pack& pack) const;
  [[nodiscard]] DeltaFate fate_of(const wire::Pack& pack);
  void tell_unusable(std::int64_t ms, const PackId& pack, std::uint32_t files, bool now);
  [[nodiscard]] bool is_there(const artifact::ChunkRef& ref) const;
  void read_head(OpenPack& open);
  void sync(const PackId& pack, std::uint32_t ordinal, Bytes decoded, std::uint32_t encoded_bytes);
  [[nodiscard]] bool is_held(const Hash256& content) const;
  [[nodiscard]] const artifact::ChunkRef* ref_of(const OpenPack& open, std::uint32_t ordinal) const;

  World& world_;
  Disk& disk_;
  Tell tell_;
  Later later_;
  Durable durable_;
  std::uint32_t revision_ = 0;
  std::vector<std::uint32_t> bases_;
  std::map<PackId, OpenPack> packs_;
  std::optional<std::pair<PackId, std::uint32_t>> half_of_;
  Bytes half_;
};

}  // namespace instar::sim

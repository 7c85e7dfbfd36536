// The packs that the store has: what each is, when it was last used, and the removal of those that go.
// docs/broker.md "Packs that nothing needs"
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "broker-plugin/pack_removal.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "storage/store.hpp"

namespace instar::broker {

enum class PackState : std::uint8_t {
  incomplete,  // its directory is there, and not all of its chunks are known to be
  complete,    // all of it is in the store, durably
  removing,    // it serves nobody any more, and its chunks go
};

struct KnownPack {
  PackState state = PackState::incomplete;
  artifact::PackKind kind = artifact::PackKind::full;
  ArtifactId artifact;
  ArtifactId base;  // zero if none
  std::uint32_t chunks = 0;
  std::uint64_t bytes = 0;  // of its chunks as they are sent; what other packs have too counts in each
  WallMs used;              // when it was uploaded or last served, to kPackUsedMs
};

class Packs {
 public:
  using Commit = PackRemoval::Commit;

  Packs(storage::Store& store, Commit commit);

  // Reads them from the store. To be called first, and again each time the store was opened again. Removals that were
  // under way go on with tick().
  [[nodiscard]] Status load(WallMs now);
  [[nodiscard]] const std::map<PackId, KnownPack>& all() const noexcept { return packs_; }
  // Whether all of the pack is in the store, durably, and stays.
  [[nodiscard]] bool is_complete(const PackId& pack) const { return is(pack, PackState::complete); }
  [[nodiscard]] bool is_removing(const PackId& pack) const { return is(pack, PackState::removing); }
  [[nodiscard]] std::size_t complete_count() const noexcept;
  [[nodiscard]] std::size_t removing_count() const noexcept;
  // Of all that stay.
  [[nodiscard]] std::uint64_t bytes() const noexcept;

  // --- uploads ---
  // The pack's directory is about to be written; it is not being removed.
  void began(const PackId& pack, const artifact::PackDirectory& directory);
  // What is written when it is complete, and that this is durable.
  [[nodiscard]] Bytes complete_value() const;
  void completed(const PackId& pack);

  // Bytes of it were sent.
  void served(const PackId& pack);

  // Packs that are known, that no upload is under way for, and that nothing needs: from now on they serve nobody, and
  // are gone some time after the next commit.
  void remove(const std::vector<PackId>& packs);
  // To be called often; O(1) when there is nothing to do.
  void tick(WallMs now);
  void assert_invariants() const;

 private:
  [[nodiscard]] bool is(const PackId& pack, PackState state) const;
  void begin_removal();
  void removed(const std::vector<PackId>& gone);

  storage::Store& store_;
  Commit commit_;
  PackRemoval removal_;
  std::map<PackId, KnownPack> packs_;
  std::size_t removing_ = 0;
  WallMs now_;
};

[[nodiscard]] const char* pack_state_name(PackState state) noexcept;
// It was not used for so long. One that says it will be used later than that by more was used under a wrong clock.
[[nodiscard]] bool is_unused(const KnownPack& pack, std::int64_t unused_ms, WallMs now) noexcept;

}  // namespace instar::broker

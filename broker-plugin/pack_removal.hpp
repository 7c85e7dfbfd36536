// Removes packs from the store: their directories, and those of their chunks that no other pack lists. In slices, so
// that other writes go between; what a crash interrupts is begun again from the marks in the store.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "storage/store.hpp"

namespace instar::broker {

class PackRemoval {
 public:
  // As Upload::Commit.
  using Commit = std::function<void(storage::Batch, std::function<void()>)>;
  // `gone`: what begin() was given. Directories and marks of them are no longer in the store.
  using Ended = std::function<void(const std::vector<PackId>& gone)>;

  PackRemoval(storage::Store& store, Commit commit, Ended ended);

  [[nodiscard]] bool is_idle() const noexcept { return phase_ == Phase::idle; }
  // Only while idle. The packs of `going` are marked in the store, or will be by commits that were made before this
  // call, and nobody uses them. Chunks that a pack of `staying` lists are not deleted. When the store cannot tell what
  // they list, nothing is deleted, and it is idle again.
  void begin(std::vector<PackId> going, std::vector<PackId> staying);
  // A pack that was not among `staying` is about to be written, and looks for its chunks after that: those that it
  // lists, and that are still there, stay.
  void keep(const artifact::PackDirectory& directory);
  // The store was loaded again: what was under way is forgotten.
  void reset();
  void assert_invariants() const;

 private:
  enum class Phase : std::uint8_t {
    idle,
    reading,    // what goes
    comparing,  // with what stays
    deleting,
  };
  using ChunkKey = std::pair<ChunkHash, std::uint32_t>;
  struct Chunk {
    ChunkKey key;
    bool stays = false;
  };

  void read_next();
  void take(const Result<std::optional<Bytes>>& directory);
  void sort_chunks();
  void mark(const ChunkKey& key);
  void delete_next();
  // Calls `act` if the round is still the same.
  [[nodiscard]] std::function<void()> in_round(void (PackRemoval::*act)());
  void end_round();

  storage::Store& store_;
  Commit commit_;
  Ended ended_;
  Phase phase_ = Phase::idle;
  std::uint64_t round_ = 0;
  std::vector<PackId> going_;
  std::vector<PackId> staying_;
  std::size_t next_ = 0;         // the next of `going_`, `staying_` or `chunks_`, by the phase
  std::vector<Chunk> chunks_;    // of the packs that go; sorted after the phase `reading`
  std::vector<ChunkKey> keeps_;  // what keep() has named during that phase
  std::shared_ptr<PackRemoval*> self_;
};

}  // namespace instar::broker

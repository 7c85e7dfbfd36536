// What is still wanted of one pack of the candidate, chunk by chunk. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/hash.hpp"
#include "core/revision/events.hpp"
#include "core/revision/fetch_session.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

class PackFetch {
 public:
  enum class ChunkState : std::uint8_t { wanted, asked, handed, durable };
  struct Chunk {
    std::uint32_t ordinal = 0;
    std::uint32_t bytes = 0;
    std::uint32_t offset = 0;  // bytes of it that are held already
    ChunkState state = ChunkState::wanted;
  };

  explicit PackFetch(const wire::Pack& pack);

  [[nodiscard]] const PackId& pack() const noexcept { return pack_; }
  // The stager has said at least once what it wants, …
  [[nodiscard]] bool is_known() const noexcept { return known_; }
  // … and nothing more will be wanted after that.
  [[nodiscard]] bool is_exact() const noexcept { return exact_; }
  [[nodiscard]] bool has(ChunkState state) const noexcept;
  [[nodiscard]] bool all_durable() const noexcept;
  [[nodiscard]] bool is_done() const noexcept { return exact_ && all_durable(); }
  // Null: nothing is known of that chunk.
  [[nodiscard]] Chunk* find(std::uint32_t ordinal) noexcept;
  // Encoded bytes that are not durable.
  [[nodiscard]] std::uint64_t bytes_left() const noexcept { return bytes_left(false); }
  // What will be fetched of it. `announced`: a plan is known already, which its head was part of.
  [[nodiscard]] std::uint64_t bytes_planned(bool announced) const noexcept;
  [[nodiscard]] std::uint64_t head_bytes() const noexcept { return head_bytes_; }

  enum class Taken : std::uint8_t {
    malformed,  // chunks without their sizes: nothing was changed
    taken,
    drops_asked,  // taken, and something that was asked for is not wanted any more
  };
  // The stager reports again what it wants. What is on its way stays on its way.
  [[nodiscard]] Taken take_wants(const StagingWants& wants);
  // The next chunks for a session, in order, which count as asked for from now on. `goes_on`: the session is open. A
  // half chunk can only be continued as the first of a new session.
  [[nodiscard]] std::vector<WantedChunk> next_batch(bool goes_on, std::size_t count_max);
  // The session is over: what was asked for is wanted again, `half` from where it stands.
  void give_back(const std::optional<WantedChunk>& half) noexcept;
  // Chunks that the stager has kept silent about for too long are asked for again.
  void forget_handed() noexcept;

  // Ordinals rise; no chunk holds more than it has.
  void assert_invariants() const;

 private:
  [[nodiscard]] std::uint64_t bytes_left(bool body_only) const noexcept;

  PackId pack_;
  std::uint32_t head_count_;
  std::uint64_t head_bytes_;
  std::uint64_t likely_bytes_;
  bool known_ = false;
  bool exact_ = false;
  bool was_inexact_ = false;
  std::vector<Chunk> chunks_;  // durable ones fall out when the stager reports again what it wants
};

}  // namespace instar::revision

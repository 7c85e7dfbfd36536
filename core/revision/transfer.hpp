// The chunks of the candidate: what is wanted, what was asked for, what the stager has been handed, what is durable,
// and the one fetch session that is open. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/time.hpp"
#include "core/revision/attempt.hpp"
#include "core/revision/events.hpp"
#include "core/revision/fetch_session.hpp"
#include "core/revision/outbox.hpp"
#include "core/revision/pack_fetch.hpp"
#include "core/revision/session_numbers.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// For people.
[[nodiscard]] std::string_view fault_text(wire::ChunkFault fault) noexcept;

class Transfer {
 public:
  Transfer(std::uint32_t window_bytes_max, std::uint32_t piece_bytes_max)
      : session_(window_bytes_max, piece_bytes_max) {}

  // --- from the first chunk to the last
  // `packs`: those chosen, of which the stager will say what it wants. What was under way is forgotten.
  void open(const std::vector<const wire::Pack*>& packs, std::uint32_t rate_bytes_per_s, MonotonicMs now);
  void forget() noexcept;
  // Nothing is known of what is wanted, as long as one pack is silent.
  [[nodiscard]] bool is_known() const noexcept;
  [[nodiscard]] bool is_done() const noexcept;
  // `announced`: a plan is known already.
  [[nodiscard]] Attempt::Plan plan(bool announced) const noexcept;
  // Only the head has come, which says what is wanted. If that cannot be fetched here, the release is not to blame.
  [[nodiscard]] bool has_heads_only(std::uint64_t bytes_fetched) const noexcept;
  // False: FinishStaging was asked for already.
  [[nodiscard]] bool ask_finish() noexcept { return !std::exchange(finish_asked_, true); }
  // Something is wanted after all.
  void want_more() noexcept { finish_asked_ = false; }

  // --- what the stager says
  enum class Wants : std::uint8_t { unknown_pack, malformed, taken, more };
  // `more`: chunks are missing of what the stager was asked to finish, if it was.
  [[nodiscard]] Wants take_wants(const StagingWants& wants);
  void note_durable(const PackId& pack, std::uint32_t ordinal, MonotonicMs now) noexcept;
  enum class Refused : std::uint8_t { unknown_chunk, again, for_good };
  // `for_good`: the first refusal may be the link's fault, the second is not.
  [[nodiscard]] Refused refuse(const ChunkRefused& event) noexcept;
  void ask_again(const PackId& pack, std::uint32_t ordinal) noexcept;

  // --- the link
  enum class Piece : std::uint8_t { useless, taken, gap, fault };
  // `taken`: a StagePiece was emitted for revision `candidate`. `gap`: pieces were lost, the session is over. `fault`:
  // the broker cannot serve it, see the piece.
  [[nodiscard]] Piece take(const wire::ChunkPiece& piece, std::uint32_t candidate, Outbox& out);
  // The broker could not serve; the session is over. How long to leave it alone.
  [[nodiscard]] std::int64_t pause_after_fault(MonotonicMs now) noexcept;
  // Asks for more, or opens a session of rollout `rollout`. Only when is_known().
  void advance(std::uint64_t rollout, SessionNumbers& numbers, Outbox& out);
  // What silence calls for: credit, a question, a session given up, chunks asked for again.
  void check_stall(Outbox& out);
  void close_session() noexcept;
  void note_new_link() noexcept;
  // A new connection that began with the fetch of the session that is open.
  void note_opened(MonotonicMs now) noexcept;
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const noexcept;

  // An open session is of one of the packs, and no chunk is asked for without one.
  void assert_invariants() const;

 private:
  [[nodiscard]] PackFetch* find(const PackId& pack) noexcept;
  [[nodiscard]] PackFetch* next_pack() noexcept;
  void feed(PackFetch& pack, std::uint64_t rollout, SessionNumbers& numbers, Outbox& out);

  std::vector<PackFetch> packs_;
  std::map<std::pair<PackId, std::uint32_t>, std::uint32_t> refusals_;  // by pack and ordinal
  FetchSession session_;
  std::optional<MonotonicMs> fetch_after_;  // the broker could not serve: not before
  std::int64_t fault_pause_ms_ = 0;
  bool finish_asked_ = false;
  MonotonicMs progress_;               // of the stager
  std::optional<MonotonicMs> gap_at_;  // when the last one was seen
};

}  // namespace instar::revision

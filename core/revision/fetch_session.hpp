// One transfer of chunks of one pack at a time: what to ask the broker for, how far it may run ahead, which piece is
// the next one, and when to give the transfer up and open a new one. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/time.hpp"
#include "core/revision/window_control.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

// A chunk to fetch, with its encoded size.
struct WantedChunk {
  std::uint32_t ordinal = 0;
  std::uint32_t bytes = 0;
  std::uint32_t offset = 0;  // bytes of it that are held already
};

class FetchSession {
 public:
  FetchSession(std::uint32_t window_bytes_max, std::uint32_t piece_bytes_max);

  // Opens session `id` for `chunks` in this order; what was under way is forgotten. Appends what to send.
  void open(std::uint32_t id, const PackId& pack, std::uint64_t rollout, const std::vector<WantedChunk>& chunks,
            MonotonicMs now, std::vector<wire::Fetch>& out);
  // More chunks of the same pack, after those under way.
  void add(const std::vector<WantedChunk>& chunks, MonotonicMs now, std::vector<wire::Fetch>& out);
  void close() noexcept;

  enum class Taken {
    foreign,  // of another session: counted by the caller, not used
    next,     // the bytes that were to come; hand them on
    gap,      // something between is lost: open a new session
    alive,    // nothing new, and nothing is lost: more is on its way
    fault,    // the broker cannot serve it: see the piece
  };
  // Looks at a piece, and appends a return of credit when enough of the window has come, by bytes or by pieces.
  [[nodiscard]] Taken take(const wire::ChunkPiece& piece, MonotonicMs now, std::vector<wire::Fetch>& out);

  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] const PackId& pack() const noexcept { return pack_; }
  // Chunks given to the session that have not come yet.
  [[nodiscard]] std::size_t pending() const noexcept { return queue_.size() + later_.size(); }
  // All that was asked for has come.
  [[nodiscard]] bool is_complete() const noexcept { return queue_.empty() && later_.empty(); }
  // The chunk that is half there, if one is.
  [[nodiscard]] std::optional<WantedChunk> half() const;
  // Nothing came for max(15 s, 4 × the time of a window), nor an answer to the question where the broker stands.
  [[nodiscard]] bool is_stalled(MonotonicMs now) const noexcept;
  [[nodiscard]] std::optional<MonotonicMs> stall_deadline() const noexcept;
  // No faster than this from now on, over all sessions; 0 = as the link goes.
  void set_rate(std::uint32_t bytes_per_s) noexcept { rate_ = bytes_per_s; }
  // Credit that was held back for the sake of the rate, when its time has come.
  void credit_if_due(MonotonicMs now, std::vector<wire::Fetch>& out);
  [[nodiscard]] std::optional<MonotonicMs> credit_deadline() const noexcept;
  // Bytes came, fewer than half a window, and then nothing: the broker may know a smaller window than ours, and wait
  // for credit.
  void credit_if_quiet(MonotonicMs now, std::vector<wire::Fetch>& out);
  [[nodiscard]] std::optional<MonotonicMs> quiet_deadline() const noexcept;
  // Bytes of an earlier session came: of no use, but the link carries, and ours are behind them.
  void note_alive(MonotonicMs now) noexcept { progress_ = now; }
  // After a stall: asks the broker where it stands. Its answer comes behind all that is on the way, so a link that is
  // only slow is not taken for pieces that are lost. False: asked often enough in vain, give the session up.
  [[nodiscard]] bool ask_position(MonotonicMs now, std::vector<wire::Fetch>& out);
  // The request went out at a time that is not known: not when it was made.
  void note_opened(MonotonicMs now) noexcept {
    progress_ = now;
    window_.asked_earlier(now);
  }
  void note_stalled() noexcept { window_.stalled(); }
  [[nodiscard]] const WindowControl& window() const noexcept { return window_; }
  // Nothing is asked for while it is closed; no more credit is returned than was used.
  void assert_invariants() const;

 private:
  void request(MonotonicMs now, std::vector<wire::Fetch>& out);
  void return_credit(MonotonicMs now, std::vector<wire::Fetch>& out);
  [[nodiscard]] wire::Fetch credit(MonotonicMs now);
  // Bytes received whose time at the allowed rate is over.
  [[nodiscard]] std::uint64_t paid(MonotonicMs now) const noexcept;
  [[nodiscard]] std::uint32_t window_bytes() const noexcept;
  [[nodiscard]] std::uint32_t piece_bytes() const noexcept;
  // So many bytes that are paid for are worth a message to the broker.
  [[nodiscard]] std::uint32_t step_bytes() const noexcept;
  [[nodiscard]] Taken take_position(const wire::ChunkPiece& piece, MonotonicMs now);

  WindowControl window_;
  bool open_ = false;
  std::uint32_t id_ = 0;
  PackId pack_;
  std::uint64_t rollout_ = 0;
  struct Asked {
    WantedChunk chunk;
    bool ends_range = false;
  };
  std::deque<Asked> queue_;        // asked for, in order; the front's offset moves on
  std::deque<WantedChunk> later_;  // to be asked for when the queue has room
  std::size_t ranges_asked_ = 0;   // ranges of `queue_`, at most kFetchRangesMax at the broker
  std::uint64_t received_ = 0;
  std::uint64_t credited_ = 0;
  std::uint32_t window_sent_ = 0;  // as the broker knows it
  std::uint32_t pieces_ = 0;       // since the last return of credit
  std::uint32_t questions_ = 0;    // where the broker stands, since the last sign of it
  bool asked_last_ = false;        // nothing was requested after the last question
  std::uint32_t rate_ = 0;         // bytes a second
  MonotonicMs paid_until_;         // when all that came is paid for
  MonotonicMs progress_;
};

}  // namespace instar::revision

// One transfer of chunks of one pack at a time: what to ask the broker for, how far it may run ahead, which piece is
// the next one, and when to give the transfer up and open a new one. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/time.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

// A chunk to fetch, with its encoded size.
struct WantedChunk {
  std::uint32_t ordinal = 0;
  std::uint32_t bytes = 0;
  std::uint32_t offset = 0;  // bytes of it that are held already
};

// How many bytes may be in flight: learnt from the link, kept from one session to the next of a connection.
//
// A window is measured from the moment it was granted until its bytes are there. While a larger window brings a higher
// rate it doubles; a window that takes longer than limits::kFetchWindowMsMax holds up the device's own messages behind
// it and is halved.
class WindowControl {
 public:
  // A window is sent in four pieces: 4 KiB take 4 s at 8 kbit/s, well before that counts as a stall. Faster links
  // double it soon.
  static constexpr std::uint32_t kStartBytes = 16 * 1024;

  explicit WindowControl(std::uint32_t bytes_max);
  [[nodiscard]] std::uint32_t bytes() const noexcept { return bytes_; }
  // Time that a window takes, as last measured; 0 = not yet.
  [[nodiscard]] std::int64_t window_ms() const noexcept { return window_ms_; }
  // `bytes` came within `ms` under the present window.
  void measured(std::uint64_t bytes, std::int64_t ms) noexcept;
  // The link gave nothing for too long.
  void stalled() noexcept;
  // A new connection: the link may be another one.
  void forget() noexcept;

 private:
  std::uint32_t bytes_max_;
  std::uint32_t bytes_;
  std::int64_t window_ms_ = 0;
  std::uint64_t best_rate_ = 0;  // bytes a second
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
  // Looks at a piece, and appends a return of credit when half a window has come, by bytes or by pieces.
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
  void note_stalled() noexcept { window_.stalled(); }
  void note_new_link() noexcept { window_.forget(); }
  [[nodiscard]] const WindowControl& window() const noexcept { return window_; }
  // Nothing is asked for while it is closed; no more credit is returned than was used.
  void assert_invariants() const;

 private:
  void request(MonotonicMs now, std::vector<wire::Fetch>& out);
  void return_credit(MonotonicMs now, std::vector<wire::Fetch>& out);
  void measure(MonotonicMs now) noexcept;
  [[nodiscard]] wire::Fetch credit(MonotonicMs now);
  // Bytes received whose time at the allowed rate is over.
  [[nodiscard]] std::uint64_t paid(MonotonicMs now) const noexcept;
  [[nodiscard]] std::uint32_t window_bytes() const noexcept;
  [[nodiscard]] std::uint32_t piece_bytes() const noexcept;
  [[nodiscard]] Taken take_position(const wire::ChunkPiece& piece, MonotonicMs now);

  WindowControl window_;
  std::uint32_t piece_bytes_max_;
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
  std::uint64_t mark_bytes_ = 0;   // where the present measurement began
  MonotonicMs mark_time_;
  std::uint32_t rate_ = 0;  // bytes a second
  MonotonicMs paid_until_;  // when all that came is paid for
  MonotonicMs progress_;
};

}  // namespace instar::revision

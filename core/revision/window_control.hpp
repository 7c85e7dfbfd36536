// How much of a transfer may be on its way, and in which pieces: learnt from the link. Pure.
#pragma once

#include <cstdint>

#include "core/base/time.hpp"

namespace instar::revision {

// Two measures make a window: the rate at which bytes come, and the round trip, from a request while nothing is under
// way until its first bytes. The window is what the link holds in that time, and one piece more: the link is never
// idle, and what stands in line before it, where a message for the device waits too, is a piece or two.
//
// Both measures stay over sessions and connections: a device that comes back to a link that broke goes on at once as
// it went before. A link that is another one is found out within a window or two.
class WindowControl {
 public:
  // As long as nothing is known. The first pieces are small: the time from one to the next is that of the link.
  static constexpr std::uint32_t kStartBytes = 16 * 1024;
  static constexpr std::uint32_t kStartPieceBytes = 1024;

  WindowControl(std::uint32_t bytes_max, std::uint32_t piece_bytes_max);
  // Bytes that may be on their way.
  [[nodiscard]] std::uint32_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint32_t piece_bytes() const noexcept { return piece_bytes_; }
  // Credit is returned for so many bytes at a time.
  [[nodiscard]] std::uint32_t step_bytes() const noexcept { return step_bytes_; }
  // Bytes a second, and milliseconds; 0 = not measured yet.
  [[nodiscard]] std::uint32_t rate() const noexcept { return rate_; }
  [[nodiscard]] std::uint32_t round_trip_ms() const noexcept { return round_trip_ms_; }
  // Time that a window takes; 0 = nothing is known.
  [[nodiscard]] std::int64_t window_ms() const noexcept;

  // Something was asked for while nothing was under way.
  void asked(MonotonicMs now) noexcept;
  // … and it is not known when: the round trip cannot be measured.
  void asked_earlier(MonotonicMs now) noexcept;
  // A piece came.
  void arrived(std::uint32_t bytes, MonotonicMs now) noexcept;
  // All that was asked for has come: until the next request nothing is measured.
  void paused(MonotonicMs now) noexcept;
  // The link gave nothing for too long.
  void stalled() noexcept;

 private:
  void begin_measure(MonotonicMs now) noexcept;
  void measure(MonotonicMs now) noexcept;
  void look_for_pauses(std::int64_t ms) noexcept;
  void take_rate(std::uint32_t rate) noexcept;
  void take_round_trip(std::int64_t measured_ms) noexcept;
  void choose() noexcept;

  std::uint32_t bytes_max_;
  std::uint32_t piece_bytes_max_;
  std::uint32_t bytes_;
  std::uint32_t piece_bytes_;
  std::uint32_t step_bytes_;
  std::uint32_t rate_ = 0;
  std::uint32_t round_trip_ms_ = 0;
  std::uint32_t more_ms_ = 0;      // that the way seems to take beyond the round trip
  std::uint32_t uneven_ = 0;       // windows with pauses in them, in a row
  bool is_starting_ = true;        // each window still brings more than the one before
  bool awaits_first_ = false;      // of the bytes that were asked for, …
  bool knows_when_ = false;        // … at `mark_`
  bool has_first_ = false;         // a round trip is to be taken from the next piece
  std::int64_t first_ms_ = 0;      // from the request to its first piece, …
  std::uint32_t first_bytes_ = 0;  // … which has so many bytes
  MonotonicMs last_;               // when the last piece came
  // Of the present measurement, which began at `mark_`; until the first piece that is the request.
  std::uint32_t since_mark_ = 0;
  std::uint32_t pieces_ = 0;
  std::int64_t gap_ms_min_ = 0;
  MonotonicMs mark_;
};

}  // namespace instar::revision

// Whether the broker's wall clock can be believed. It is held against the last time that was saved and against the root
// document, and it must not jump while the process lives. A clock in doubt signs no gates: what it says would be
// believed by devices that have no better one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/limits.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

struct ClockRule {
  bool trust = false;  // it is believed whatever it says
  std::uint32_t ahead_days_max = limits::kClockAheadDays;
  friend bool operator==(const ClockRule&, const ClockRule&) = default;
};

class ClockWatch {
 public:
  explicit ClockWatch(ClockRule rule) noexcept : rule_(rule) {}

  // At the start. `saved`: the time in the store; `root`: when the root document in force was signed. nullopt: none.
  void start(std::optional<WallMs> saved, std::optional<WallMs> root, Now now);
  // With each event, O(1). True: is_suspect() or the reason has changed.
  [[nodiscard]] bool see(Now now);
  // A document came that was signed at `signed_at`. If the clock of whoever signed it agrees with this one, this one is
  // believed, and what was saved before counts no more. True: as with see().
  [[nodiscard]] bool vouch(WallMs signed_at, Now now);
  // The same of a root document that is in force now.
  [[nodiscard]] bool vouch_by_root(WallMs signed_at, Now now);

  // Something speaks against the clock.
  [[nodiscard]] bool is_suspect() const noexcept { return suspicion_ != Suspicion::none; }
  [[nodiscard]] bool is_trusted() const noexcept { return rule_.trust; }
  // It is what the broker goes by.
  [[nodiscard]] bool is_believed() const noexcept { return rule_.trust || !is_suspect(); }
  // What to hold dates against: the clock, or, while it is not believed, the last time that is.
  [[nodiscard]] WallMs best(WallMs clock) const noexcept {
    return is_believed() ? clock : saved_.value_or(root_.value_or(clock));
  }
  // The same for one document, whose signatures hold: by this clock, if that of whoever signed it agrees with it. So a
  // wrong time that was saved once ends nothing.
  [[nodiscard]] WallMs best(WallMs clock, WallMs signed_at) const noexcept;
  // What speaks against it, as it was when that was seen; empty: nothing.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }
  // Why no gate is to be signed; empty: it may be.
  [[nodiscard]] std::string doubt() const { return rule_.trust ? std::string() : reason_; }

  // The time is to be saved: now and then, while it is believed. It counts as saved then. One that is more than a day
  // after what is known is saved when it has lasted for an hour: a mistake that is shorter leaves nothing behind.
  [[nodiscard]] bool save_is_due(Now now) noexcept;
  // The same, but for how long ago the last one was.
  [[nodiscard]] bool may_save(MonotonicMs now) const noexcept { return is_believed() && now >= settles_; }
  // Once an hour, while something speaks against it: the log is to say so.
  [[nodiscard]] bool line_is_due(MonotonicMs now) noexcept;

 private:
  enum class Suspicion : std::uint8_t { none, behind, ahead, jumped };
  struct Jump {
    std::int64_t offset_before = 0;  // wall minus monotonic
    std::int64_t step_ms = 0;
    MonotonicMs at;
  };
  [[nodiscard]] Suspicion judge(Now now) const noexcept;
  [[nodiscard]] bool judge_anew(Now now);
  [[nodiscard]] std::string explain(Suspicion suspicion, Now now) const;
  void follow_jumps(Now now) noexcept;

  ClockRule rule_;
  std::optional<WallMs> saved_;
  std::optional<WallMs> root_;
  std::int64_t offset_ = 0;  // wall minus monotonic, when last seen
  std::optional<Jump> jump_;
  Suspicion suspicion_ = Suspicion::none;
  std::string reason_;
  MonotonicMs settles_;                    // nothing is saved before this
  std::optional<MonotonicMs> saved_at_;    // nullopt: not since the start, or since somebody vouched
  std::optional<MonotonicMs> written_at_;  // the last line
};

}  // namespace instar::broker

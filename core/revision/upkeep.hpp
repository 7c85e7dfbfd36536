// The upkeep of what runs: its containers are started when they should run and do not, with growing pauses, and one
// that stops again and again is said to be degraded. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/time.hpp"
#include "core/revision/stop_log.hpp"

namespace instar::revision {

class Upkeep {
 public:
  // EnsureRunning is asked for.
  void note_ensured(MonotonicMs now) noexcept;
  // Asked for or not, nothing is planned any more.
  void cancel() noexcept { ensure_at_.reset(); }
  [[nodiscard]] bool is_due(MonotonicMs now) const noexcept { return ensure_at_ && now >= *ensure_at_; }
  // A container of the current revision stopped by itself.
  void note_stop(const std::string& container, MonotonicMs now) { stops_.stopped(container, now); }
  // It is to be started again, after the present pause.
  void plan(MonotonicMs now) noexcept;
  // Another revision is current. `is_kept`: it is committed, so its first start is not the last one's next.
  void forget(bool is_kept) noexcept;
  // Name and count of the container that stopped most often within an hour.
  [[nodiscard]] std::pair<std::string, std::size_t> worst(MonotonicMs now) const { return stops_.worst(now); }

  // What is new and what is over, for the log.
  struct Change {
    std::vector<std::string> added;
    bool is_over = false;  // nothing is degraded any more
  };
  // `stuck`: another reason, empty: none. `others`: more of them. nullopt: nothing has changed.
  [[nodiscard]] std::optional<Change> update_degraded(const std::string& stuck, MonotonicMs now,
                                                      const std::vector<std::string>& others = {});
  // As it was last said.
  [[nodiscard]] const std::vector<std::string>& degraded() const noexcept { return degraded_; }

  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  // Pauses stay within their bounds.
  void assert_invariants() const;

 private:
  std::optional<MonotonicMs> ensure_at_;
  std::optional<MonotonicMs> ensured_;
  std::int64_t pause_ms_ = 0;
  StopLog stops_;  // of the current revision's containers
  std::vector<std::string> degraded_;
};

}  // namespace instar::revision

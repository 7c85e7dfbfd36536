// Persist, then act: writes to the store, what follows once they are durable, and the store's failure. After a failed
// write nothing is taken in until the store has been opened and loaded again.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "broker-plugin/log.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "storage/store.hpp"

namespace instar::broker {

// Callbacks of the store that come after the end of this object do nothing. One thread.
class Commits {
 public:
  Commits(storage::Store& store, const Log& log);

  // Writes `batch`, and calls `act` once it and all before it are durable; within this call when there is nothing to
  // wait for. `act` never runs when the write fails: `lost` does then, with why_down(). While the store is down that is
  // at once, and nothing is written.
  void when_durable(storage::Batch batch, std::function<void()> act, std::function<void(const Error&)> lost = {});
  // The same, though the store is down: for what is written while it is being loaded.
  void write(storage::Batch batch, std::function<void()> act = {}, std::function<void(const Error&)> lost = {});

  [[nodiscard]] bool is_down() const noexcept { return is_down_; }
  // Why it is down, for a client that waits. `no_space` when its disk is full, else `unavailable`.
  [[nodiscard]] Error why_down() const;
  // It can take nothing more for now: it is down, or its queue is full.
  [[nodiscard]] bool is_behind() const noexcept;

  // --- while it is down ---
  [[nodiscard]] bool may_retry(MonotonicMs now) const noexcept;
  // Opens the store again; it counts as down until works_again().
  [[nodiscard]] Status reopen(MonotonicMs now);
  void works_again();

  void assert_invariants() const;

 private:
  void failed(const Error& error);

  storage::Store& store_;
  const Log& log_;
  bool is_down_ = false;
  Error failure_;                     // that brought it down, or that an attempt to open it ended with
  std::optional<MonotonicMs> tried_;  // to open it again, since it failed
  std::shared_ptr<Commits*> self_;    // the store's callbacks hold it weakly
};

}  // namespace instar::broker

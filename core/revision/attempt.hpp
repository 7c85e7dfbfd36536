// One attempt at a release: its number, its packs, and the bytes that were planned, fetched and spent. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/time.hpp"
#include "core/revision/device_state.hpp"
#include "core/revision/effects.hpp"
#include "core/revision/history.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

// The step that reports name in a phase.
[[nodiscard]] wire::Step step_of(Phase phase) noexcept;

class Attempt {
 public:
  explicit Attempt(AttemptState state) : state_(std::move(state)), bytes_persisted_(state_.bytes_fetched) {}

  // --- its course
  // The first attempt at a release since it was admitted.
  void begin(const ManifestId& hash, const wire::Manifest& manifest, const std::vector<PackChoice>& choices,
             std::uint32_t retry_epoch, const History& history);
  // The next one at the same release.
  void next();
  // The next one will not begin: it is what the report of its end is about.
  void skip_next();
  // A committed release is taken back: `own` says how it was committed, null: not known.
  void go_back(const Outcome* own, std::uint32_t retry_epoch);
  // The candidate is gone, or is committed.
  void forget_packs() { state_.packs.clear(); }
  [[nodiscard]] bool attempts_left(const wire::Policy& policy) const noexcept;
  [[nodiscard]] std::uint32_t number() const noexcept { return state_.number; }

  // --- the pause before the next one
  void pause_until(MonotonicMs time) noexcept;
  void end_pause() noexcept;
  // A pause that is over is due until the next attempt begins.
  void tick(MonotonicMs now) noexcept;
  [[nodiscard]] bool is_retry_due() const noexcept { return retry_due_; }
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const noexcept { return retry_at_; }

  // --- its packs
  [[nodiscard]] std::span<const PackId> packs() const noexcept { return state_.packs; }
  // Another pack of the artifact at `index` brings what the chosen one cannot. What follows is planned again, on top of
  // what the attempt has cost already.
  void fall_back_to(std::size_t index, const wire::Pack& pack, bool everything, std::string reason,
                    const wire::Manifest& manifest);
  [[nodiscard]] const std::string& fallback_reason() const noexcept { return state_.fallback_reason; }

  // --- its bytes
  struct Plan {
    std::uint64_t bytes = 0;  // that are still to be fetched, with a head that came already
    std::uint64_t left = 0;   // of these, not yet durable
    bool exact = false;
  };
  enum class Planned : std::uint8_t {
    known,        // nothing has changed
    noted,        // persist
    news,         // persist, and say so: what will be fetched is said before it is
    over_budget,  // it costs more than it may
  };
  // `budget`: of the release for a device, 0: none.
  [[nodiscard]] Planned plan(const Plan& plan, std::uint64_t budget);
  [[nodiscard]] bool is_announced() const noexcept { return state_.bytes_planned != 0; }
  // What to say of plan()'s `news` and `over_budget`.
  [[nodiscard]] std::string plan_reason(bool exact) const;
  [[nodiscard]] std::string over_budget_reason(const Plan& plan, std::uint64_t budget) const;
  // True: so many came since the state was persisted that it should be.
  [[nodiscard]] bool count(std::uint64_t bytes) noexcept;
  [[nodiscard]] bool has_uncounted() const noexcept { return state_.bytes_fetched != bytes_persisted_; }
  void note_persisted() noexcept { bytes_persisted_ = state_.bytes_fetched; }
  [[nodiscard]] std::uint64_t bytes_fetched() const noexcept { return state_.bytes_fetched; }
  [[nodiscard]] bool had_earlier_bytes() const noexcept { return state_.bytes_before > 0; }

  // --- all is there and verified
  void note_staged(bool staged) noexcept { staged_ = staged; }
  [[nodiscard]] bool is_staged() const noexcept { return staged_; }
  // The report of staging goes out once an attempt.
  void note_staging_reported() noexcept { state_.staging_reported = true; }
  [[nodiscard]] bool is_staging_reported() const noexcept { return state_.staging_reported; }

  // About `candidate`, with this attempt's counts.
  [[nodiscard]] wire::Report report(const std::optional<RevisionRecord>& candidate, wire::Step step, Code code,
                                    std::string reason) const;
  [[nodiscard]] Outcome outcome(const std::optional<RevisionRecord>& candidate, wire::Step step, Code code) const;

  [[nodiscard]] const AttemptState& state() const noexcept { return state_; }
  // Attempts are counted from the first; a pause is running or over, not both.
  void assert_invariants() const;

 private:
  AttemptState state_;
  std::uint64_t bytes_persisted_;
  std::optional<MonotonicMs> retry_at_;
  bool retry_due_ = false;
  bool staged_ = false;
};

}  // namespace instar::revision

// One rollout: its record, the counts of its members as last received, and what follows from both: which
// wave is open, who gets a turn, whether a budget stops it, what its gates say. Members it knows by number only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "core/rollout/exchange/fleet.hpp"
#include "core/rollout/rollouts/actions.hpp"
#include "core/rollout/rollouts/byte_budget.hpp"
#include "core/rollout/rollouts/catalog.hpp"
#include "core/rollout/rollouts/starts.hpp"
#include "core/rollout/rollouts/wave_clock.hpp"

namespace instar::rollout {

// What one event brings along.
struct Context {
  Fleet& fleet;
  const Catalog& catalog;
  Now now;
  Effects& effects;
  CountChanges others;  // of other rollouts, which a call has caused
};

class Rollout {
 public:
  // `record`: as the store has it, or of a new rollout.
  Rollout(const ManifestId& id, RolloutRecord record, std::shared_ptr<const Release> release);
  // The clocks go on: durations from what the record says of them.
  void loaded(Now now);
  // The rollout is new: its history says so, and its first wave opens.
  void begin(const std::string& who, Context& context);

  // The members' counts have changed. Nothing follows from that before advance().
  void take_counts(const CountChange& change, Effects& effects);
  // Budgets, waves, the end, turns: after each change of the counts, and with each tick.
  void advance(Context& context);
  // To those that ask, as far as the policy lets.
  void give_turns(Context& context);

  // --- operators; `who`: as history names them. Each may be said twice. Errors: refused ---
  [[nodiscard]] Status act(Action action, const std::string& who, Context& context);
  // `wave`: from 0; nullopt: the current one.
  [[nodiscard]] Status approve(std::optional<std::uint32_t> wave, const std::string& who, Context& context);
  // Devices that have failed since the last retry may try again.
  [[nodiscard]] Status retry(const std::string& who, Context& context);

  // False: devices do not take it any more, as its keys were replaced.
  void set_in_force(bool in_force) noexcept { in_force_ = in_force; }
  [[nodiscard]] bool is_in_force() const noexcept { return in_force_; }
  // A gate for each group whose current rollout this is.
  void send_gates(Context& context);
  // Keeps the sums alone.
  void archive(Fleet& fleet, Effects& effects);

  // --- bytes ---
  // Counts the bytes for the whole rollout if they may go. `sent`: to the device so far.
  [[nodiscard]] Charge charge(std::uint64_t sent, std::uint64_t bytes) noexcept;
  // The lease should grow before so many bytes go out.
  [[nodiscard]] bool needs_lease(std::uint64_t sent, std::uint64_t bytes) const noexcept;
  void extend_lease(Effects& effects);
  void lease_saved(std::uint64_t bytes) noexcept { bytes_.lease_saved(bytes); }

  // --- views ---
  [[nodiscard]] const RolloutRecord& record() const noexcept { return record_; }
  [[nodiscard]] const std::shared_ptr<const Release>& release() const noexcept { return release_; }
  [[nodiscard]] const wire::Policy& policy() const noexcept { return release_->policy; }
  [[nodiscard]] const Tally& tally() const noexcept { return tally_; }
  // When the record or a member last changed.
  [[nodiscard]] WallMs updated() const noexcept { return updated_; }
  [[nodiscard]] Terms terms() const;
  [[nodiscard]] bool is_last_wave() const noexcept;
  // "active", "paused", "aborted", "reverted", or "complete": active, its last wave open, with devices, all of which
  // have ended.
  [[nodiscard]] std::string_view state_name() const noexcept;
  // What the current wave waits for; empty when it waits for nothing.
  [[nodiscard]] std::string waiting_for(MonotonicMs now) const;
  void assert_invariants() const;

 private:
  [[nodiscard]] Judgement judge(MonotonicMs now) const;
  // True: a budget is spent, and the rollout has been stopped.
  [[nodiscard]] bool stop_for_budgets(Context& context);
  // True: go on to the next wave, or judge again.
  [[nodiscard]] bool advance_wave(Context& context);
  void finish(Context& context);
  void save_soak(Context& context);
  void open_wave(std::uint32_t wave, Context& context);
  [[nodiscard]] std::uint64_t limit_of(std::uint32_t wave, const Fleet& fleet) const;
  void set_state(RolloutState state, const std::string& who, std::string what, Context& context);
  // Offers the terms as they are now, and takes what that changes in the counts.
  void offer(Context& context);
  void take_changes(CountChanges changes, Context& context);
  // The caller saves the record, which counts the entries.
  void note_event(const std::string& who, std::string what, Context& context);
  void save(Effects& effects) const;

  ManifestId id_;
  RolloutRecord record_;
  std::shared_ptr<const Release> release_;
  bool in_force_ = true;
  Tally tally_;     // as last received
  WallMs updated_;  // of the record or of any member
  WaveClock clock_;
  Starts starts_;
  ByteBudget bytes_;
};

}  // namespace instar::rollout

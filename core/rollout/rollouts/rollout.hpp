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
  CountChanges others = {};                        // of other rollouts, which a call has caused
  std::string_view held = {};                      // why no gate is signed for now; empty: gates are
  std::optional<ManifestId> ended = std::nullopt;  // the rollout that has been aborted or reverted meanwhile
};

class Rollout {
 public:
  // `record`: as the store has it, or of a new rollout.
  Rollout(const ManifestId& id, RolloutRecord record, std::shared_ptr<const Release> release);
  // The clocks go on: durations from what the record says of them.
  void loaded(Now now);
  // The rollout is new: its history says so. Its first wave opens, or waits for its time (earliest()).
  void begin(const std::string& who, Context& context);

  // The members' counts have changed. Nothing follows from that before advance().
  void take_counts(const CountChange& change, Effects& effects);
  // Budgets, waves, the end, turns: after each change of the counts, and with each tick.
  void advance(Context& context);
  // To those that ask, as far as the policy lets.
  void give_turns(Context& context);

  // --- operators; `who`: as history names them. Each may be said twice. Errors: refused ---
  [[nodiscard]] Status act(Action action, const std::string& who, Context& context);
  // Where the policy asks for signed approvals, one is needed; another for a wave that is approved takes its place.
  [[nodiscard]] Status approve(const Yes& yes, const std::string& who, Context& context);
  // Devices that have failed since the last retry may try again.
  [[nodiscard]] Status retry(const std::string& who, Context& context);

  // False: devices do not take it any more, as its keys were replaced.
  void set_in_force(bool in_force) noexcept { in_force_ = in_force; }
  [[nodiscard]] bool is_in_force() const noexcept { return in_force_; }
  // Devices are to take it: it goes on, or is complete, and its keys are in force.
  [[nodiscard]] bool is_offered() const noexcept;
  // A newer one has taken over (rollouts/supersession.hpp), or nullopt: none has, or none goes on any more. True: that
  // is news.
  bool set_superseded_by(std::optional<ManifestId> by);
  [[nodiscard]] const std::optional<ManifestId>& superseded_by() const noexcept { return superseded_by_; }
  // It has just been taken over by `release`: its history says so, if it had not ended.
  void note_superseded(const std::string& release, Context& context);
  // Of one that is not in force: it ends, unless it has come to its end.
  void end_unsigned(Context& context);
  // It is current again, for audiences whose current rollout has ended: history says so, and gates go out.
  void come_back(const std::vector<Audience>& audiences, Context& context);
  // What says that it has ended, for its devices in one of its groups. nullopt: it goes on, or was open for nobody.
  [[nodiscard]] std::optional<wire::Gate> ending(const GroupPath& group, Now now, std::string_view held) const;
  // A gate for each audience whose current rollout this is: at once, or when it may be signed.
  void send_gates(Context& context);
  // Those that could not be signed, or are to be signed again, if they can be now.
  void send_due_gates(Context& context);
  // They are to be signed again.
  void renew_gates() noexcept { gates_due_ = true; }
  // The wall clock has gone back: what lies after `context.now` is moved to before it.
  void mend_times(Context& context);
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
  // "active", "paused", "aborted", "reverted", "complete": all of its devices had ended while its last wave was open,
  // and nobody has let them try again since; or "superseded": a newer one took over before that.
  [[nodiscard]] std::string_view state_name() const noexcept;
  // What came of one that has ended: its state, or of a complete one "complete" (everyone has taken it), "complete with
  // failures" or "nobody took it". Empty: it goes on.
  [[nodiscard]] std::string_view outcome() const noexcept;
  // What the current wave, or the first one, waits for; empty when it waits for nothing. `held`: as in Context.
  [[nodiscard]] std::string waiting_for(Now now, std::string_view held) const;
  void assert_invariants() const;

 private:
  [[nodiscard]] Judgement judge(MonotonicMs now) const;
  // In its last wave, as far as they count.
  [[nodiscard]] bool have_all_ended() const noexcept;
  [[nodiscard]] bool is_complete() const noexcept;
  // Errors: refused (it is a newer one's now, or it has ended and `action` would do nothing).
  [[nodiscard]] Status check_not_over(std::optional<Action> action) const;
  // Whether latecomers may begin, in a wave by count.
  [[nodiscard]] Latecomers latecomers() const;
  [[nodiscard]] bool is_open() const noexcept { return !record_.wave_opened.empty(); }
  // Devices hold a gate against the time of its manifest: the first wave does not open before this.
  [[nodiscard]] WallMs earliest() const noexcept;
  // That a gate is fresh as of.
  [[nodiscard]] WallMs fresh(Now now, std::string_view held) const noexcept;
  // False: it has to wait.
  [[nodiscard]] bool open_first_wave(Context& context);
  [[nodiscard]] bool may_sign(const Context& context) const noexcept;
  // True: a budget is spent, and the rollout has been stopped.
  [[nodiscard]] bool stop_for_budgets(Context& context);
  // True: go on to the next wave, or judge again.
  [[nodiscard]] bool advance_wave(Context& context);
  void finish(Context& context);
  void save_soak(Context& context);
  void open_wave(std::uint32_t wave, Context& context);
  [[nodiscard]] std::uint64_t limit_of(std::uint32_t wave, const Fleet& fleet) const;
  void renew_approval(const Yes& yes, std::uint32_t wave, const std::string& who, Context& context);
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
  std::optional<ManifestId> superseded_by_;
  bool gates_due_ = false;  // the last ones could not be signed, or say what does not hold any more
  Tally tally_;             // as last received
  WallMs updated_;          // of the record or of any member
  WaveClock clock_;
  Starts starts_;
  ByteBudget bytes_;
};

}  // namespace instar::rollout

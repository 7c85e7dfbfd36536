// The trial of a candidate: how often it was started, the judge, the verdict, and the way back when that is needed.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/time.hpp"
#include "core/revision/device_state.hpp"
#include "core/revision/health.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

// All changes of state() must be persisted.
class Trial {
 public:
  explicit Trial(TrialState state) : state_(std::move(state)) {}

  // --- starts
  // Another attempt: nothing has been started for it.
  void forget_starts() noexcept { state_.starts = 0; }
  // The first start. `reachable`: the broker is, right now. `machine_boot` names the boot of the machine, 0: not known.
  void begin(bool reachable, std::uint64_t machine_boot, MonotonicMs now) noexcept;
  // The process was started without a verdict. False: that has happened too often, see starts_reason().
  [[nodiscard]] bool begin_again(std::uint64_t machine_boot, MonotonicMs now) noexcept;
  [[nodiscard]] std::string starts_reason() const;

  // --- the judge
  // The containers were started. `differs`: something of the release is new on this device.
  void started(const wire::Manifest& manifest, std::uint32_t downtime_ms, bool differs, std::uint32_t grace_ms,
               MonotonicMs now);
  // What people should know of the switch.
  void note_remark(std::string_view remark);
  [[nodiscard]] const std::string& remark() const noexcept { return remark_; }
  // Also before they have all been started.
  void container_stopped(const wire::Manifest& manifest, std::string_view container, std::string_view detail,
                         MonotonicMs now);
  // The candidate is being judged.
  [[nodiscard]] bool is_judging() const noexcept { return judge_.has_value(); }
  // The rest only while is_judging().
  void probe_ended(std::string_view container, bool passed, std::string_view detail, MonotonicMs now);
  // Containers whose probe is to be run now.
  [[nodiscard]] std::vector<std::string> probes_due(MonotonicMs now);
  // nullopt: not yet known.
  [[nodiscard]] std::optional<Verdict> verdict(bool connected, MonotonicMs now);
  void commit() noexcept { judge_.reset(); }

  // --- the way back
  // `now`: when the switch back from a committed release begins.
  void take_back(MonotonicMs now) noexcept { switch_started_ = now; }
  void roll_back(Code code, std::string_view reason);
  [[nodiscard]] const std::string& verdict_reason() const noexcept { return state_.verdict_reason; }
  // SwitchBack is asked for.
  void note_switch_back() noexcept { switch_back_at_.reset(); }
  [[nodiscard]] bool is_switch_back_due(MonotonicMs now) const noexcept {
    return switch_back_at_ && now >= *switch_back_at_;
  }
  // What was before runs again.
  void switched_back(std::uint32_t downtime_ms) noexcept;
  // Ends the trial: why it ended so.
  [[nodiscard]] Error take_verdict();
  // What was before could not be started. True: so often that the factory revision is the way out, if there is one.
  [[nodiscard]] bool switch_back_failed() noexcept;
  [[nodiscard]] std::uint32_t switch_back_failures() const noexcept { return switch_back_failures_; }
  // Otherwise it is tried again after a pause, which is the answer.
  std::int64_t pause_switch_back(MonotonicMs now) noexcept;
  // The factory revision is what is gone back to. `reason`: with that in it.
  void fall_to_factory(std::string_view reason);
  // For people: why going back does not work. Set once it has failed often, empty again when it has worked.
  [[nodiscard]] const std::string& stuck() const noexcept { return stuck_; }
  // False: known already, or it has not failed often.
  [[nodiscard]] bool note_stuck(std::string_view release, const Error& error);

  // How long the switch took, for the report of its end.
  void fill_times(wire::Report& report, MonotonicMs now) const noexcept;
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  [[nodiscard]] const TrialState& state() const noexcept { return state_; }
  // What is judged has been started. `phase`: of the machine.
  void assert_invariants(Phase phase) const;

 private:
  TrialState state_;
  std::optional<HealthJudge> judge_;
  MonotonicMs switch_started_;
  std::uint32_t downtime_ms_ = 0;
  std::string remark_;
  std::optional<MonotonicMs> switch_back_at_;
  std::int64_t switch_back_pause_ms_ = 0;
  std::uint32_t switch_back_failures_ = 0;  // in a row
  std::string stuck_;
};

}  // namespace instar::revision

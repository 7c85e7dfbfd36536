// When waves may open and gates be signed, by the wall clock; and the gates.
#include <algorithm>

#include "core/base/limits.hpp"
#include "core/rollout/rollouts/rollout.hpp"
#include "core/rollout/rollouts/wave_times.hpp"
#include "core/wire/approval.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

// `is_open`: its first wave is.
std::string waits_for_time(WallMs issued, bool is_open, std::int64_t ahead_ms, WallMs now) {
  if (is_open)
    return "the broker's clock to reach the time at which its last wave opened, " + span_text(ahead_ms) + " ahead";
  return "its time: its manifest is dated " + utc_text(issued) + ", " + span_text(issued - now) +
         " ahead of the broker's clock; put right the clock of the machine that signed it, or the broker's";
}

wire::Gate gate_of(const ManifestId& id, const RolloutRecord& record, const wire::Policy& policy,
                   const GroupPath& group, WallMs fresh) {
  wire::Gate gate;
  gate.group = group;
  gate.product = record.product;
  gate.manifest = id;
  gate.sequence = record.sequence;
  gate.state = static_cast<wire::GateState>(record.state);
  gate.admitted_point = record.wave_limits.back();
  gate.admitted_bp = wire::share_of_point(gate.admitted_point);
  gate.wave = record.wave;
  gate.fresh = fresh;
  gate.wave_opened = record.wave_opened;
  gate.issue = record.issue;
  gate.retry_epoch = record.retry_epoch;
  if (wire::signed_yes_needed(policy, record.wave)) gate.approval = record.approval;
  return gate;
}

}  // namespace

WallMs Rollout::earliest() const noexcept {
  return std::max(release_->issued + -limits::kGateClockMsMax, WallMs{1});
}

bool Rollout::open_first_wave(Context& context) {
  if (record_.state != RolloutState::active || !context.held.empty() || context.now.wall < earliest()) return false;
  open_wave(0, context);
  return true;
}

void Rollout::send_gates(Context& context) {
  ++record_.issue;
  save(context.effects);
  gates_due_ = !may_sign(context);
  if (gates_due_) return;
  const auto when = fresh(context.now, context.held);
  for (const auto& group : record_.groups) {
    if (context.catalog.is_current_for({group, record_.product}, id_))
      context.effects.emplace_back(SendGate{gate_of(id_, record_, policy(), group, when)});
  }
}

// The time of a clock in doubt is not signed.
WallMs Rollout::fresh(Now now, std::string_view held) const noexcept {
  const auto opened = record_.wave_opened.back();
  return held.empty() ? std::max(now.wall, opened) : opened;
}

std::optional<wire::Gate> Rollout::ending(const GroupPath& group, Now now, std::string_view held) const {
  if (goes_on(record_.state) || !is_open()) return std::nullopt;
  return gate_of(id_, record_, policy(), group, fresh(now, held));
}

void Rollout::come_back(const std::vector<Audience>& audiences, Context& context) {
  if (goes_on(record_.state)) {
    std::string groups;
    for (const auto& audience : audiences) groups += (groups.empty() ? "" : ", ") + audience.group.str();
    const std::string what = "offered again to " + groups + ": nothing newer is in force there";
    context.effects.emplace_back(Note{LogLevel::notice, "rollout " + id_.short_hex() + " of " + record_.product + " " +
                                                            record_.release + " is " + what});
    note_event("the broker", what, context);
  }
  send_gates(context);
  context.effects.emplace_back(ShowStatus{id_});
}

void Rollout::send_due_gates(Context& context) {
  if (gates_due_ && may_sign(context)) send_gates(context);
}

// Not while the clock is in doubt, or stands before the times that the gate would name. One that stops devices goes.
bool Rollout::may_sign(const Context& context) const noexcept {
  if (!is_open()) return false;
  return record_.state != RolloutState::active ||
         (context.held.empty() && record_.wave_opened.back() <= context.now.wall);
}

void Rollout::mend_times(Context& context) {
  if (record_.archived.has_value()) return;
  const auto now = std::max(context.now.wall, WallMs{1});
  const auto before = record_;
  updated_ = std::min(updated_, now);
  for (auto* const time : {&record_.started, &record_.updated, &record_.completed, &record_.retried})
    *time = std::min(*time, now);
  // To before now: a device whose first hello is set to now came later.
  if (is_open() && record_.wave_opened.back() > now)
    mend_wave_times(policy(), earliest(), now + -1, record_.wave_opened);
  if (record_ == before) return;
  if (record_.wave_opened == before.wave_opened) return save(context.effects);
  offer(context);
  note_event("the broker",
             "the broker's clock was set back to " + utc_text(now) + ", and the times of its waves with it", context);
  save(context.effects);
  gates_due_ = true;
  context.effects.emplace_back(ShowStatus{id_});
}

std::string Rollout::waiting_for(Now now, std::string_view held) const {
  if (record_.archived.has_value() || record_.state != RolloutState::active || superseded_by_.has_value()) return "";
  if (!held.empty() && (gates_due_ || !is_open() || !is_last_wave()))
    return "the broker's clock, which is in doubt: " + std::string(held);
  const auto ahead_ms = (is_open() ? record_.wave_opened.back() : earliest()) - now.wall;
  if (ahead_ms > 0) return waits_for_time(release_->issued, is_open(), ahead_ms, now.wall);
  if (!is_open() || is_last_wave()) return "";
  return waits_for(policy(), record_, judge(now.monotonic));
}

}  // namespace instar::rollout

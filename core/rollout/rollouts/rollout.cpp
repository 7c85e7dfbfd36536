#include "core/rollout/rollouts/rollout.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/rollout/rollouts/budgets.hpp"
#include "core/rollout/rollouts/wave_times.hpp"
#include "core/wire/placement.hpp"

namespace instar::rollout {
namespace {

constexpr const char* kBroker = "the broker";

std::string past_tense(Action action) {
  switch (action) {
    case Action::pause: return "paused";
    case Action::resume: return "resumed";
    case Action::abort: return "aborted";
    case Action::revert: return "taken back";
  }
  return "";
}

}  // namespace

Rollout::Rollout(const ManifestId& id, RolloutRecord record, std::shared_ptr<const Release> release)
    : id_(id),
      record_(std::move(record)),
      release_(std::move(release)),
      updated_(record_.updated),
      starts_(policy().starts_per_minute_max),
      bytes_(policy().rollout_bytes_max, record_.bytes_leased) {
  const auto waves = wire::wave_count(policy());
  tally_.waves.resize(waves);
  tally_.named_unknown.resize(waves);
}

void Rollout::loaded(Now now) {
  clock_.load(record_, std::int64_t{policy().silent_s} * 1'000, now);
  if (record_.starts > 0) starts_.hold_for_a_minute(now.monotonic);
}

void Rollout::begin(const std::string& who, Context& context) {
  note_event(who, "published " + record_.release + " (sequence " + std::to_string(record_.sequence) + ")", context);
  if (open_first_wave(context)) return;
  save(context.effects);
  context.effects.emplace_back(
      Note{LogLevel::warning, "rollout " + id_.short_hex() + " waits for " + waiting_for(context.now, context.held)});
  context.effects.emplace_back(ShowStatus{id_});
}

void Rollout::take_counts(const CountChange& change, Effects& effects) {
  tally_ = change.tally;
  updated_ = std::max(updated_, change.updated);
  if (change.recovered == 0 || (record_.forgiven == 0 && !record_.stuck_forgiven)) return;
  // What had failed and tries again is no longer forgiven, and its wave may yet succeed.
  record_.forgiven -= std::min(record_.forgiven, change.recovered);
  record_.stuck_forgiven = false;
  save(effects);
}

void Rollout::advance(Context& context) {
  if (!context.catalog.is_current(id_) || record_.archived.has_value()) return;
  if (stop_for_budgets(context) || (!is_open() && !open_first_wave(context))) return;
  while (record_.state == RolloutState::active && !is_last_wave()) {
    if (!advance_wave(context)) break;
  }
  finish(context);
  give_turns(context);
}

bool Rollout::stop_for_budgets(Context& context) {
  if (record_.state != RolloutState::active) return false;
  auto stop = judge_budgets(policy(), record_, tally_, bytes_);
  if (!stop.has_value()) return false;
  record_.cause = std::move(stop->cause);
  set_state(stop->state, kBroker, stop->verb + ": " + record_.cause, context);
  return true;
}

void Rollout::give_turns(Context& context) {
  if (record_.state != RolloutState::active || starts_.are_held(context.now.monotonic)) return;
  const auto in_flight_max = policy().in_flight_max;
  std::optional<std::uint64_t> in_flight;
  bool given = false;
  while (const auto request = context.fleet.next_request(id_, latecomers())) {
    if (!request->given_before && in_flight_max != 0) {
      if (!in_flight.has_value())
        in_flight = context.fleet.in_flight(id_, std::int64_t{policy().silent_s} * 1'000, context.now.monotonic);
      if (*in_flight >= in_flight_max) break;
      ++*in_flight;
    }
    if (!starts_.take(request->device, request->attempt, context.now.monotonic)) break;
    take_changes(context.fleet.give_turn(id_, *request, context.effects), context);
    if (request->given_before || !starts_.are_bounded()) continue;
    ++record_.starts;
    given = true;
  }
  if (given) save(context.effects);
}

// Of a wave by count as many may begin as it says, with those before it: those that were known when the rollout began
// have their places, latecomers have what is left. Only turns can hold to that: a gate admits by place, and how many
// devices will come to lie below its limit nobody knows.
Latecomers Rollout::latecomers() const {
  const auto count = wire::wave_of(policy(), record_.wave).device_count;
  if (count == 0) return Latecomers::may_begin;
  auto taken = tally_.late_begun;
  for (std::size_t wave = 0; wave <= record_.wave; ++wave) taken += tally_.waves[wave].admitted;
  return taken < count ? Latecomers::may_begin : Latecomers::wait;
}

bool Rollout::advance_wave(Context& context) {
  const auto judgement = judge(context.now.monotonic);
  if (judgement.holds != (record_.settled.value != 0)) {
    record_.settled = judgement.holds ? std::max(context.now.wall, WallMs{1}) : WallMs{};
    record_.soaked_ms = 0;
    clock_.soak_restarted(context.now.monotonic);
    save(context.effects);
    context.effects.emplace_back(ShowStatus{id_});
    if (judgement.holds) return true;  // the soak has begun, and may be over at once
  }
  if (judgement.wait == Wait::stuck && !record_.stuck_forgiven) {
    record_.cause =
        "wave " + std::to_string(record_.wave + 1) + " cannot go on: " + commits_text(policy(), record_, judgement);
    set_state(RolloutState::paused, kBroker, "paused: " + record_.cause, context);
    return false;
  }
  if (judgement.wait == Wait::soak) save_soak(context);
  // A wave whose gate could not be signed opens nothing after it.
  if (judgement.wait != Wait::nothing || !may_sign(context)) return false;
  open_wave(record_.wave + 1, context);
  return true;
}

// Now and then: a restart of the broker costs at most a sixty-fourth of a soak.
void Rollout::save_soak(Context& context) {
  const auto soak_ms = std::int64_t{wire::wave_of(policy(), record_.wave).soak_s} * 1'000;
  const auto soaked = clock_.times(context.now.monotonic).settled_ms;
  if (soaked - record_.soaked_ms < std::max<std::int64_t>(soak_ms / 64, 10'000)) return;
  record_.soaked_ms = soaked;
  save(context.effects);
}

// Durable before its gate leaves: a wave is opened once, whatever breaks.
void Rollout::open_wave(std::uint32_t wave, Context& context) {
  INSTAR_ASSERT(record_.wave_opened.size() == wave);
  auto opened = context.now.wall;
  if (wave > 0) {
    // The soak has passed, by the other clock: if the wall clock was set back, so are the times before it.
    const auto soak_ms = std::int64_t{wire::wave_of(policy(), wave - 1).soak_s} * 1'000;
    opened = std::max(opened, record_.wave_opened.back() + soak_ms);
  }
  const auto limit = limit_of(wave, context.fleet);
  record_.wave = wave;
  record_.wave_opened.push_back(opened);
  mend_wave_times(policy(), earliest(), context.now.wall, record_.wave_opened);
  record_.wave_limits.push_back(limit);
  record_.settled = {};
  record_.soaked_ms = 0;
  record_.stuck_forgiven = false;
  record_.updated = updated_ = context.now.wall;
  clock_.wave_opened(context.now.monotonic);
  offer(context);
  note_event(kBroker,
             "opened wave " + std::to_string(wave + 1) + " of " + std::to_string(tally_.waves.size()) + ": " +
                 counted(tally_.waves[wave].admitted, "device"),
             context);
  send_gates(context);
  context.effects.emplace_back(ShowStatus{id_});
}

std::uint64_t Rollout::limit_of(std::uint32_t wave, const Fleet& fleet) const {
  const auto before = record_.wave_limits.empty() ? 0 : record_.wave_limits.back();
  const auto most = wire::point_max(policy(), wave);
  const auto count = wire::wave_of(policy(), wave).device_count;
  // Of the devices that are known, so many. One that comes later and is placed below asks for its turn (latecomers()).
  const auto point = count == 0 ? std::nullopt : fleet.point_after(id_, count);
  return point.has_value() ? std::clamp<std::uint64_t>(*point, before, most) : std::max(before, most);
}

void Rollout::set_state(RolloutState state, const std::string& who, std::string what, Context& context) {
  record_.state = state;
  record_.updated = updated_ = context.now.wall;
  context.effects.emplace_back(Note{LogLevel::notice, "rollout " + id_.short_hex() + " is " + what + " by " + who});
  note_event(who, std::move(what), context);
  if (!goes_on(state)) {
    context.ended = id_;
    offer(context);
  }
  send_gates(context);
  context.effects.emplace_back(ShowStatus{id_});
}

Status Rollout::act(Action action, const std::string& who, Context& context) {
  INSTAR_CHECK(check_not_over(action));
  const auto to = state_after(record_.state, action);
  if (!to.has_value()) {
    return fail(Code::refused, "rollout " + id_.short_hex() + " was " + std::string(state_name()) +
                                   ", and stays so: publish a new release");
  }
  if (action == Action::revert && !policy().revert_allowed) {
    return fail(Code::refused,
                "the manifest of release " + record_.release +
                    " does not allow to take it back (revert_allowed): publish the older content as a new release");
  }
  if (*to == record_.state) return {};
  if (action == Action::resume) {
    // The operator knows what has stopped it; it stops again for what comes on top.
    record_.forgiven = tally_.failed;
    record_.stuck_forgiven = true;
  }
  record_.cause.clear();
  set_state(*to, who, past_tense(action), context);
  advance(context);
  return {};
}

void Rollout::end_unsigned(Context& context) {
  if (!goes_on(record_.state) || record_.archived.has_value() || state_name() == "complete") return;
  record_.cause = "it is signed by keys that the root document does not name any more";
  set_state(RolloutState::aborted, kBroker, "aborted: " + record_.cause, context);
}

Status Rollout::approve(const Yes& yes, const std::string& who, Context& context) {
  const auto which = yes.wave.value_or(record_.wave);
  const auto number = "wave " + std::to_string(which + 1);
  const bool is_known = which < record_.approved || which < record_.wave;
  const bool asks = wire::wave_of(policy(), which).approval;
  if (is_known && !(asks && policy().approval_signed)) return {};
  INSTAR_CHECK(check_not_over(std::nullopt));
  if (which > record_.wave || !is_open()) {
    const auto where = is_open() ? "the rollout is in wave " + std::to_string(record_.wave + 1)
                                 : "it waits for " + waiting_for(context.now, context.held);
    return fail(Code::refused, number + " is not open yet: " + where);
  }
  if (!goes_on(record_.state)) {
    return fail(Code::refused,
                "rollout " + id_.short_hex() + " was " + std::string(state_name()) + ": publish a new release");
  }
  if (!asks) {
    const auto why = is_last_wave() ? std::string("it is the last one")
                                    : "what follows opens when " + waiting_for(context.now, context.held) + " is over";
    return fail(Code::refused, number + " asks for no approval: " + why);
  }
  if (policy().approval_signed && yes.approval.empty()) {
    return fail(Code::refused, number + " of release " + record_.release +
                                   " asks for a signed approval, as devices do: instar rollout approve " +
                                   id_.short_hex() + " --key FILE");
  }
  if (is_known) {
    renew_approval(yes, which, who, context);
    return {};
  }
  record_.approved = which + 1;
  if (policy().approval_signed) record_.approval = yes.approval;
  record_.updated = updated_ = context.now.wall;
  note_event(who, "approved " + number, context);
  save(context.effects);
  context.effects.emplace_back(ShowStatus{id_});
  advance(context);
  return {};
}

// The yes was there already; by keys, perhaps, that do not count any more. One of an earlier wave says less.
void Rollout::renew_approval(const Yes& yes, std::uint32_t wave, const std::string& who, Context& context) {
  if (yes.approval == record_.approval || wave + 1 < record_.approved) return;
  record_.approval = yes.approval;
  record_.updated = updated_ = context.now.wall;
  note_event(who, "approved wave " + std::to_string(wave + 1) + " again", context);
  send_gates(context);
}

Status Rollout::retry(const std::string& who, Context& context) {
  if (!goes_on(record_.state)) {
    return fail(Code::refused,
                "rollout " + id_.short_hex() + " was " + std::string(state_name()) + ": publish a new release");
  }
  INSTAR_CHECK(check_not_over(std::nullopt));
  const auto since = record_.retry_epoch == 0 ? std::nullopt : std::optional(record_.retried);
  const auto failed = context.fleet.failed_since(id_, since);
  if (failed == 0) return {};
  ++record_.retry_epoch;
  record_.retried = record_.updated = updated_ = context.now.wall;
  record_.stuck_forgiven = true;
  record_.forgiven = tally_.failed;
  record_.completed = {};
  offer(context);
  note_event(who, "let " + counted(failed, "device") + " that had failed, or refused, try again", context);
  send_gates(context);
  context.effects.emplace_back(ShowStatus{id_});
  return {};
}

void Rollout::archive(Fleet& fleet, Effects& effects) {
  record_.archived = fleet.archive(id_, effects);
  save(effects);
}

Charge Rollout::charge(std::uint64_t sent, std::uint64_t bytes) noexcept {
  if (policy().device_bytes_max != 0 && sent + bytes > policy().device_bytes_max) return Charge::device_spent;
  return bytes_.charge(bytes);
}

bool Rollout::needs_lease(std::uint64_t sent, std::uint64_t bytes) const noexcept {
  if (policy().device_bytes_max != 0 && sent + bytes > policy().device_bytes_max) return false;
  return bytes_.is_short(bytes, record_.bytes_leased);
}

void Rollout::extend_lease(Effects& effects) {
  const auto leased = bytes_.next_lease();
  if (leased <= record_.bytes_leased) return;
  record_.bytes_leased = leased;
  save(effects);
  effects.emplace_back(LeaseSaved{id_, leased});
}

Terms Rollout::terms() const {
  Terms out;
  out.product = record_.product;
  out.sequence = record_.sequence;
  out.groups = record_.groups;
  out.started = record_.started;
  out.goes_on = goes_on(record_.state);
  out.archived = record_.archived.has_value();
  out.in_force = in_force_;
  out.wave_limits = record_.wave_limits;
  out.wave_opened = record_.wave_opened;
  out.retry_epoch = record_.retry_epoch;
  out.release = release_;
  return out;
}

bool Rollout::is_last_wave() const noexcept {
  return record_.wave + 1 >= tally_.waves.size();
}

Judgement Rollout::judge(MonotonicMs now) const {
  return judge_wave(policy(), record_, tally_, clock_.times(now));
}

void Rollout::offer(Context& context) {
  take_changes(context.fleet.offer(id_, terms(), context.effects), context);
}

void Rollout::take_changes(CountChanges changes, Context& context) {
  for (auto& change : changes) {
    if (change.rollout == id_) {
      take_counts(change, context.effects);
    } else {
      context.others.push_back(std::move(change));
    }
  }
}

void Rollout::note_event(const std::string& who, std::string what, Context& context) {
  context.effects.emplace_back(
      SaveEvent{id_, record_.events++, encode(EventRecord{context.now.wall, who, std::move(what)})});
}

void Rollout::save(Effects& effects) const {
  effects.emplace_back(SaveRollout{id_, encode(record_)});
}

void Rollout::assert_invariants() const {
  INSTAR_ASSERT(record_.wave < tally_.waves.size() && tally_.waves.size() == tally_.named_unknown.size());
  INSTAR_ASSERT(record_.wave_opened.size() == record_.wave_limits.size());
  INSTAR_ASSERT(std::ranges::is_sorted(record_.wave_limits));
  std::uint64_t admitted = 0;
  for (const auto& wave : tally_.waves) {
    INSTAR_ASSERT(wave.admitted ==
                  wave.waiting + wave.in_flight + wave.committed + wave.failed + wave.retrying + wave.left_out);
    INSTAR_ASSERT(wave.unseen <= wave.admitted);
    admitted += wave.admitted;
  }
  INSTAR_ASSERT(admitted <= tally_.devices);
  starts_.assert_invariants();
  bytes_.assert_invariants();
}

}  // namespace instar::rollout

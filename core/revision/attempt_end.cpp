#include "core/revision/attempt_end.hpp"

namespace instar::revision {
namespace {

// The same bytes would fail in the same way: another attempt is of no use.
bool is_permanent(Code code) noexcept {
  return code == Code::malformed || code == Code::too_large || code == Code::unsupported || code == Code::refused ||
         code == Code::no_space;
}

}  // namespace

void end_attempt(Parts& parts, const Error& error, wire::Step step, bool fresh_revision) {
  auto& out = parts.out;
  const bool rolled_back = parts.course.is(Phase::rolling_back);
  const bool taken_back = rolled_back && error.code == Code::refused;
  const auto& policy = parts.revisions.candidate_manifest()->policy;
  const bool again = parts.attempt.attempts_left(policy) && !taken_back && (rolled_back || !is_permanent(error.code));
  auto ending = parts.about_candidate(step, error.code, error.message);
  ending.again = again;
  if (rolled_back) parts.trial.fill_times(ending, out.time());
  out.log(LogLevel::warning, "release " + parts.revisions.candidate()->info.release + ", attempt " +
                                 std::to_string(parts.attempt.number()) + ": " + std::string(wire::step_name(step)) +
                                 " (" + std::string(code_name(error.code)) + "): " + error.message);
  parts.record_candidate_outcome(step, error.code, error.message);
  out.report(std::move(ending));
  parts.transfer.close_session();
  if (!again) {
    const bool damaged = fresh_revision && !rolled_back;
    drop_candidate(parts, damaged ? Leftover::remove : Leftover::keep);
    return parts.enter(rolled_back ? Trigger::back_for_good : Trigger::attempts_spent);
  }
  if (fresh_revision) parts.revisions.renumber_candidate();
  parts.attempt.pause_until(out.time() + std::int64_t{policy.backoff_s} * 1'000);
  parts.attempt.note_staged(false);
  parts.enter(rolled_back ? Trigger::back_and_waits : Trigger::attempt_failed);
}

void stop_attempt(Parts& parts, Code code, const std::string& reason) {
  if (parts.course.is(Phase::waiting)) parts.attempt.skip_next();
  parts.permission.forget_candidate(parts.revisions.candidate()->info.manifest);
  parts.record_candidate_outcome(wire::Step::failed, code, reason);
  parts.out.report(parts.about_candidate(wire::Step::failed, code, reason));
}

// Of what ended attempts leave one revision stays: the last that got any content.
void drop_candidate(Parts& parts, Leftover leftover) {
  const auto number = parts.revisions.candidate()->number;
  const bool has_something = parts.attempt.had_earlier_bytes() ||
                             !parts.transfer.has_heads_only(parts.attempt.bytes_fetched()) ||
                             parts.course.is(Phase::rolling_back);
  forget_candidate(parts);
  auto& revisions = parts.revisions;
  if (leftover == Leftover::remove) return Room::keep_one_leftover(std::nullopt, revisions, parts.out);
  if (has_something) return Room::keep_one_leftover(number, revisions, parts.out);
  auto others = revisions.disposable();
  std::erase(others, number);
  Room::keep_one_leftover(others.empty() ? std::nullopt : std::optional(others.back()), revisions, parts.out);
}

void forget_candidate(Parts& parts) {
  parts.transfer.forget();
  parts.attempt.end_pause();
  parts.attempt.forget_packs();
  parts.attempt.note_staged(false);
  parts.revisions.forget_candidate();
  parts.permission.clear_pause(parts.out);
}

}  // namespace instar::revision

#include "core/revision/permission.hpp"

#include "core/base/assert.hpp"
#include "core/revision/windows.hpp"

namespace instar::revision {
namespace {

// For people on the device: the operator knows, nothing is reported.
constexpr std::string_view kWaitsForGate = "waits for a gate that its policy allows";
constexpr std::string_view kWaitsForResume = "waits while its rollout is paused";

}  // namespace

Permission::Permission(PermissionState state, bool metered, std::uint64_t last_report)
    : state_(std::move(state)), metered_(metered), asked_report_(last_report) {
  if (!is_waiting()) state_.waits.clear();
}

Blocker Permission::blocker(const wire::Manifest& manifest, const ManifestId& hash, Stage stage, WallMs wall) const {
  const auto& policy = manifest.policy;
  if (owner_.hold) return {"held by the device's owner", ""};
  if (is_brought(hash)) return {};
  const bool allowed = owner_.allow_any || owner_.allowed == manifest.release || owner_.allowed == hash.short_hex();
  if (policy.consent && !allowed)
    return {"waits for the consent of the device's owner (instar-device allow " + manifest.release + ")", ""};
  const bool is_download = stage != Stage::change;
  if (is_download && policy.unmetered_only && metered_) return {"waits for a link that is not metered", ""};
  if (policy.windows.empty() || (policy.download_any_time && is_download)) return {};
  if (is_window_open(policy.windows, wall, local_.utc_offset_s)) return {};
  const bool is_kept = local_.clock == wire::ClockState::synchronized;
  return {"waits for its maintenance window", "; it is " + weekday_text(wall, local_.utc_offset_s) +
                                                  " by this device's clock" +
                                                  (is_kept ? "" : ", which is not synchronized")};
}

bool Permission::has_turn(const ManifestId& hash, std::uint32_t attempt) const noexcept {
  return state_.start_rollout == hash.prefix64() && state_.start_attempt == attempt;
}

bool Permission::may_start(const wire::Manifest& manifest, const ManifestId& hash, std::uint32_t attempt, Pace pace,
                           const Blocker& times, Outbox& out) {
  auto blocked = blocker(manifest, hash, Stage::start, out.now().wall);
  if (!owner_.hold && !times.empty()) blocked = times;
  const bool asks = blocked.empty() && pace == Pace::by_turns && !has_turn(hash, attempt) && !is_brought(hash);
  if (blocked.empty() && !asks) {
    if (waits_for(hash)) {
      state_.waits_manifest = {};
      note_waits("", out);
    }
    return true;
  }
  if (asks) blocked = {"waits for its turn", ""};
  const bool is_known = waits_for(hash) && state_.waits_attempt == attempt && state_.waits_asks == asks &&
                        blocked.is_said_by(state_.waits);
  if (is_known) return false;
  auto text = blocked.text();
  if (!waits_for(hash)) give_up_waiting(Code::stale, "superseded by release " + manifest.release, out);
  state_.waits_manifest = hash;
  state_.waits_attempt = attempt;
  state_.waits_asks = asks;
  note_waits(text, out);
  out.persist();
  out.log(LogLevel::notice, "release " + manifest.release + " " + text);
  wire::Report waiting;
  waiting.rollout = hash;
  waiting.attempt = attempt;
  waiting.step = wire::Step::waiting;
  waiting.reason = std::move(text);
  waiting.asks_start = asks;
  out.report(std::move(waiting));
  asked_report_ = out.reports().last_report;
  return false;
}

void Permission::note_waits(const std::string& text, Outbox& out) {
  if (state_.waits == text) return;
  state_.waits = text;
  out.persist();
}

void Permission::note_pause(const std::string& text, const Revisions& revisions, Outbox& out) {
  if (!is_waiting() || revisions.is_candidate(state_.waits_manifest)) note_waits(text, out);
}

void Permission::clear_pause(Outbox& out) {
  pause_ = {};
  note_waits("", out);
}

bool Permission::take_turn(const wire::Ack& ack) noexcept {
  // A turn that was given before the device asked last belongs to a question that was given up: the broker does not
  // count on it any more.
  if (ack.sequence < asked_report_) return false;
  if (ack.start_rollout == 0) return false;
  // Only what was asked for, and is still wanted: the broker counts a turn that was given up as over.
  const bool asked = state_.waits_asks && state_.waits_manifest.prefix64() == ack.start_rollout &&
                     state_.waits_attempt == ack.start_attempt;
  if (!asked || (state_.start_rollout == ack.start_rollout && state_.start_attempt == ack.start_attempt)) return false;
  state_.start_rollout = ack.start_rollout;
  state_.start_attempt = ack.start_attempt;
  return true;
}

std::uint32_t Permission::stop_waiting(Outbox& out) {
  if (state_.start_rollout == state_.waits_manifest.prefix64()) state_.start_rollout = 0;
  state_.waits_manifest = {};
  state_.waits_asks = false;
  note_waits("", out);
  out.persist();
  return state_.waits_attempt;
}

void Permission::give_up_waiting(Code code, const std::string& reason, Outbox& out) {
  if (!is_waiting()) return;
  wire::Report ending;
  ending.rollout = state_.waits_manifest;
  ending.attempt = stop_waiting(out);
  ending.step = wire::Step::failed;
  ending.code = code;
  ending.reason = reason + " before it began";
  out.report(std::move(ending));
}

void Permission::forget_candidate(const ManifestId& hash) noexcept {
  if (waits_for(hash)) state_.waits_manifest = {};
  if (state_.start_rollout == hash.prefix64()) state_.start_rollout = 0;
}

bool Permission::may_go_on(Stage stage, Phase phase, const Revisions& revisions, const Gates& gates,
                           const Attempt& attempt, Outbox& out) {
  INSTAR_ASSERT(revisions.candidate() && revisions.candidate_manifest());
  const auto& hash = revisions.candidate()->info.manifest;
  if (gates.is_broken(hash)) {
    note_pause(std::string(kWaitsForGate), revisions, out);
    return false;
  }
  if (gates.state_of(hash).value_or(wire::GateState::open) != wire::GateState::open) {
    note_pause(std::string(kWaitsForResume), revisions, out);
    return false;
  }
  const auto& manifest = *revisions.candidate_manifest();
  const auto blocked = blocker(manifest, hash, stage, out.now().wall);
  const auto text = blocked.text();
  if (blocked.what == pause_.what) {
    if (state_.waits == kWaitsForGate || state_.waits == kWaitsForResume) note_pause(text, revisions, out);
    return blocked.empty();
  }
  pause_ = blocked;
  note_pause(text, revisions, out);
  out.log(LogLevel::notice, "release " + manifest.release + (text.empty() ? " goes on" : " " + text));
  out.report(
      attempt.report(revisions.candidate(), text.empty() ? step_of(phase) : wire::Step::waiting, Code::ok, text));
  return pause_.empty();
}

std::optional<MonotonicMs> Permission::window_deadline(const wire::Manifest* offered, const Revisions& revisions,
                                                       Now now) const {
  const auto* manifest = is_waiting() ? offered : nullptr;
  if (manifest == nullptr && revisions.candidate_manifest() && !pause_.empty())
    manifest = &*revisions.candidate_manifest();
  if (manifest == nullptr) return std::nullopt;
  const auto wait = ms_until_window(manifest->policy.windows, now.wall, local_.utc_offset_s);
  if (!wait || *wait == 0) return std::nullopt;
  return now.monotonic + *wait;
}

void Permission::assert_invariants() const {
  INSTAR_ASSERT(!is_waiting() || state_.waits_attempt > 0);
}

}  // namespace instar::revision

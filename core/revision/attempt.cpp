#include "core/revision/attempt.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/revision/pack_choice.hpp"

namespace instar::revision {
namespace {

// Fetched bytes that a power cut may leave uncounted: the state file is written once for so many.
constexpr std::uint64_t kCountBytes = 1024 * 1024;

}  // namespace

wire::Step step_of(Phase phase) noexcept {
  switch (phase) {
    case Phase::idle: return wire::Step::idle;
    case Phase::waiting: return wire::Step::waiting;
    case Phase::fetching: return wire::Step::fetching;
    case Phase::staging: return wire::Step::staging;
    case Phase::trying:
    case Phase::rolling_back: return wire::Step::trying;
    case Phase::committing: return wire::Step::committed;
  }
  return wire::Step::idle;
}

void Attempt::begin(const ManifestId& hash, const wire::Manifest& manifest, const std::vector<PackChoice>& choices,
                    std::uint32_t retry_epoch, const History& history) {
  state_.number = history.attempts(hash) + 1;
  state_.first = state_.number;
  state_.retry_epoch = retry_epoch;
  state_.packs.clear();
  state_.bytes_full = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    state_.packs.push_back(choices[i].pack);
    state_.bytes_full += full_bytes(manifest.artifacts[i]);
  }
  if (const auto kind = kind_of_largest(manifest, state_.packs)) state_.pack_kind = static_cast<std::uint8_t>(*kind);
  state_.bytes_planned = state_.bytes_fetched = state_.bytes_spent = state_.bytes_before = 0;
  state_.fallback_reason.clear();
  state_.planned_exact = state_.staging_reported = false;
}

void Attempt::next() {
  ++state_.number;
  state_.bytes_before += state_.bytes_fetched;
  state_.bytes_planned = state_.bytes_fetched = state_.bytes_spent = 0;
  state_.planned_exact = state_.staging_reported = false;
}

void Attempt::skip_next() {
  ++state_.number;
  state_.bytes_planned = state_.bytes_fetched = state_.bytes_spent = 0;
}

void Attempt::go_back(const Outcome* own, std::uint32_t retry_epoch) {
  state_.number = state_.first = own == nullptr ? 1 : own->attempt;
  state_.retry_epoch = retry_epoch;
  state_.bytes_planned = state_.bytes_fetched = state_.bytes_full = state_.bytes_spent = state_.bytes_before = 0;
  state_.packs.clear();
}

bool Attempt::attempts_left(const wire::Policy& policy) const noexcept {
  return state_.number - state_.first + 1 < std::max<std::uint32_t>(policy.attempts_max, 1);
}

void Attempt::pause_until(MonotonicMs time) noexcept {
  retry_at_ = time;
  retry_due_ = false;
}

void Attempt::end_pause() noexcept {
  retry_at_.reset();
  retry_due_ = false;
}

void Attempt::tick(MonotonicMs now) noexcept {
  if (!retry_at_ || now < *retry_at_) return;
  retry_at_.reset();
  retry_due_ = true;
}

void Attempt::fall_back_to(std::size_t index, const wire::Pack& pack, bool everything, std::string reason,
                           const wire::Manifest& manifest) {
  INSTAR_ASSERT(index < state_.packs.size());
  state_.fallback_reason = std::move(reason);
  state_.packs[index] = pack.id;
  if (everything) {
    if (const auto kind = kind_of_largest(manifest, state_.packs)) state_.pack_kind = static_cast<std::uint8_t>(*kind);
  }
  state_.bytes_spent = state_.bytes_fetched;
  state_.bytes_planned = 0;
  state_.planned_exact = false;
}

Attempt::Planned Attempt::plan(const Plan& plan, std::uint64_t budget) {
  const auto planned = plan.bytes + state_.bytes_spent;
  if (state_.planned_exact) {
    // What a power cut left uncounted is at least what has become durable.
    if (plan.left < state_.bytes_planned)
      state_.bytes_fetched = std::max(state_.bytes_fetched, state_.bytes_planned - plan.left);
    return Planned::known;
  }
  if (budget != 0 && state_.bytes_before + planned > budget) return Planned::over_budget;
  if (!plan.exact && is_announced()) return Planned::known;
  const bool is_news = !is_announced() || planned != state_.bytes_planned;
  state_.bytes_planned = planned;
  state_.planned_exact = plan.exact;
  return is_news ? Planned::news : Planned::noted;
}

std::string Attempt::plan_reason(bool exact) const {
  auto reason = state_.fallback_reason;
  if (!reason.empty()) reason += ", " + std::to_string(state_.bytes_planned - state_.bytes_spent) + " bytes more";
  if (!exact) reason += (reason.empty() ? "" : "; ") + std::string("an estimate, until the head of the pack is there");
  return reason;
}

std::string Attempt::over_budget_reason(const Plan& plan, std::uint64_t budget) const {
  return "this takes " + std::to_string(plan.bytes + state_.bytes_spent) + " bytes" +
         (state_.bytes_before == 0 ? "" : " after " + std::to_string(state_.bytes_before) + " of earlier attempts") +
         ", the release's budget for a device is " + std::to_string(budget);
}

bool Attempt::count(std::uint64_t bytes) noexcept {
  state_.bytes_fetched += bytes;
  return state_.bytes_fetched - bytes_persisted_ >= kCountBytes;
}

wire::Report Attempt::report(const std::optional<RevisionRecord>& candidate, wire::Step step, Code code,
                             std::string reason) const {
  INSTAR_ASSERT(candidate.has_value());
  wire::Report report;
  report.rollout = candidate->info.manifest;
  report.attempt = state_.number;
  report.step = step;
  report.code = code;
  report.reason = std::move(reason);
  report.bytes_planned = state_.bytes_planned;
  report.bytes_fetched = state_.bytes_fetched;
  report.bytes_full = state_.bytes_full;
  report.pack_kind = static_cast<artifact::PackKind>(state_.pack_kind);
  return report;
}

Outcome Attempt::outcome(const std::optional<RevisionRecord>& candidate, wire::Step step, Code code) const {
  INSTAR_ASSERT(candidate.has_value());
  return {candidate->info.manifest, candidate->info.sequence, state_.number, state_.retry_epoch, step, code};
}

void Attempt::assert_invariants() const {
  INSTAR_ASSERT(state_.first <= state_.number);
  INSTAR_ASSERT(!(retry_at_ && retry_due_));
}

}  // namespace instar::revision

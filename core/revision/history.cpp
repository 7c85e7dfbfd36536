#include "core/revision/history.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/base/text.hpp"

namespace instar::revision {
namespace {

template <typename T>
void keep_newest(std::vector<T>& items) {
  if (items.size() > limits::kFailedReleasesMax)
    items.erase(items.begin(), items.end() - static_cast<std::ptrdiff_t>(limits::kFailedReleasesMax));
}

}  // namespace

History::History(HistoryState state, const RevisionsState& held) : state_(std::move(state)) {
  const auto is_highest = [&](const std::optional<RevisionRecord>& record) {
    return record && record->info.sequence == state_.highest_sequence;
  };
  const bool is_known =
      is_highest(held.current) || is_highest(held.previous) || is_highest(held.candidate) ||
      std::ranges::find(state_.outcomes, state_.highest_sequence, &Outcome::sequence) != state_.outcomes.end();
  has_lost_highest_ = !is_known && state_.highest_sequence != 0;
}

bool History::is_new(std::uint64_t sequence) const noexcept {
  return sequence > state_.highest_sequence || (has_lost_highest_ && sequence == state_.highest_sequence);
}

const Outcome* History::find(const ManifestId& manifest) const noexcept {
  const auto found = std::ranges::find(state_.outcomes, manifest, &Outcome::manifest);
  return found == state_.outcomes.end() ? nullptr : &*found;
}

const Outcome* History::last() const noexcept {
  return state_.outcomes.empty() ? nullptr : &state_.outcomes.back();
}

bool History::has_failed(const ManifestId& manifest) const noexcept {
  const auto* outcome = find(manifest);
  return outcome != nullptr && outcome->step != wire::Step::committed;
}

std::uint32_t History::attempts(const ManifestId& manifest) const noexcept {
  const auto* outcome = find(manifest);
  return outcome == nullptr ? 0 : outcome->attempt;
}

std::uint32_t History::retry_epoch(const ManifestId& manifest) const noexcept {
  const auto* outcome = find(manifest);
  return outcome == nullptr ? 0 : outcome->retry_epoch;
}

void History::record(Outcome outcome) {
  std::erase_if(state_.outcomes, [&](const Outcome& before) { return before.manifest == outcome.manifest; });
  for (auto& before : state_.outcomes) before.reason.clear();
  if (outcome.step == wire::Step::committed) state_.refusal.clear();
  outcome.reason = instar::clean_text(outcome.reason, limits::kTextBytesMax);
  state_.outcomes.push_back(std::move(outcome));
  keep_newest(state_.outcomes);
}

void History::note_refusal(const std::string& reason) {
  state_.refusal = instar::clean_text(reason, limits::kTextBytesMax);
}

bool History::refuse_once(const Hash256& digest) {
  if (std::ranges::find(state_.refused, digest) != state_.refused.end()) return false;
  state_.refused.push_back(digest);
  keep_newest(state_.refused);
  return true;
}

bool History::may_begin(const wire::Manifest& manifest, const ManifestId& hash) const noexcept {
  const auto* outcome = find(hash);
  if (outcome == nullptr) {
    const auto highest = state_.highest_sequence;
    return is_new(manifest.sequence) && manifest.sequence - highest <= limits::kSequenceStepMax;
  }
  return outcome->step != wire::Step::committed && manifest.sequence >= state_.highest_sequence;
}

Status History::check_sequence(const wire::Manifest& manifest) const {
  const auto highest = state_.highest_sequence;
  const std::string what = "release " + manifest.release + " has sequence " + std::to_string(manifest.sequence) + ", ";
  if (!is_new(manifest.sequence)) {
    return fail(Code::stale,
                what + "this device has obeyed " + std::to_string(highest) + " already: publish it with a higher one");
  }
  if (manifest.sequence - highest <= limits::kSequenceStepMax) return {};
  return fail(Code::refused, what + "which is more than " + std::to_string(limits::kSequenceStepMax) +
                                 " above the highest that this device has obeyed, " + std::to_string(highest) +
                                 ": publish it with one that is nearer");
}

void History::obey(std::uint64_t sequence) noexcept {
  if (sequence >= state_.highest_sequence) has_lost_highest_ = false;
  state_.highest_sequence = std::max(state_.highest_sequence, sequence);
}

void History::assert_invariants() const {
  INSTAR_ASSERT(state_.outcomes.size() <= limits::kFailedReleasesMax);
  INSTAR_ASSERT(state_.refused.size() <= limits::kFailedReleasesMax);
  for (auto one = state_.outcomes.begin(); one != state_.outcomes.end(); ++one)
    INSTAR_ASSERT(std::find_if(one + 1, state_.outcomes.end(), [&](const Outcome& other) {
                    return other.manifest == one->manifest;
                  }) == state_.outcomes.end());
}

}  // namespace instar::revision

// What this device has dealt with: how releases ended here, how far it has obeyed, and what it has said once and does
// not say again. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/error.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/revision/device_state.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// All changes must be persisted.
class History {
 public:
  explicit History(HistoryState state) : state_(std::move(state)) {}
  // With what is on this device. When neither that nor what is remembered is of the highest sequence, the state was
  // lost and the sequence is the anchor's: the release of just that sequence may be taken once more.
  History(HistoryState state, const RevisionsState& held);

  // Null: this release has not ended here.
  [[nodiscard]] const Outcome* find(const ManifestId& manifest) const noexcept;
  // The newest; null: none.
  [[nodiscard]] const Outcome* last() const noexcept;
  // It ended in any other way than by a commit.
  [[nodiscard]] bool has_failed(const ManifestId& manifest) const noexcept;
  // The number of the last attempt, 0: there was none.
  [[nodiscard]] std::uint32_t attempts(const ManifestId& manifest) const noexcept;
  [[nodiscard]] std::uint32_t retry_epoch(const ManifestId& manifest) const noexcept;
  // In place of what was recorded of that release. The oldest goes when there are too many, and the reasons of all
  // before.
  void record(Outcome outcome);
  // For people: why something was refused that was not even tried.
  void note_refusal(const std::string& reason);

  // False: it was refused before. Otherwise it counts as refused from now on.
  [[nodiscard]] bool refuse_once(const Hash256& digest);
  // The signers have changed: what was refused is looked at again.
  void forget_refused() { state_.refused.clear(); }

  // Sequences only rise: a release that has not been tried here must be newer than all that this device has obeyed; one
  // that failed may be tried again while nothing newer was obeyed.
  [[nodiscard]] bool may_begin(const wire::Manifest& manifest, const ManifestId& hash) const noexcept;
  // Why a release that has not been tried here cannot be one that comes after those of before: stale (its sequence is
  // not above the highest obeyed), refused (it is too far above it: limits::kSequenceStepMax).
  [[nodiscard]] Status check_sequence(const wire::Manifest& manifest) const;
  void obey(std::uint64_t sequence) noexcept;
  // The release keys were replaced: sequences start over, from `sequence`, the highest of what is here and signed by
  // keys that are in force.
  void start_over(std::uint64_t sequence) noexcept {
    state_.highest_sequence = sequence;
    has_lost_highest_ = false;
  }

  [[nodiscard]] const HistoryState& state() const noexcept { return state_; }
  // One outcome a release; lists within their bounds.
  void assert_invariants() const;

 private:
  // It may be one that is taken for the first time.
  [[nodiscard]] bool is_new(std::uint64_t sequence) const noexcept;

  HistoryState state_;
  bool has_lost_highest_ = false;
};

}  // namespace instar::revision

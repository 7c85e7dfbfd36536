// The revisions on this device: which one runs, which one ran before, which one is on its way, which one came with the
// device, and what ended attempts have left. Numbers are never used twice. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/revision/device_state.hpp"
#include "core/revision/effects.hpp"
#include "core/revision/history.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// A release as a revision of this device.
struct Release {
  RevisionRecord record;
  Bytes envelope;
  wire::Manifest manifest;
};

// The manifest of an envelope from the device's own file, which vouches for it: no signature is checked again.
[[nodiscard]] std::optional<wire::Manifest> manifest_in(const Bytes& envelope);

// All changes must be persisted.
class Revisions {
 public:
  // `factory`: the revision that is never removed, if one was provided, with its envelope.
  Revisions(RevisionsState state, std::optional<RevisionRecord> factory, Bytes factory_manifest);

  [[nodiscard]] const std::optional<RevisionRecord>& current() const noexcept { return state_.current; }
  [[nodiscard]] const std::optional<RevisionRecord>& previous() const noexcept { return state_.previous; }
  [[nodiscard]] const std::optional<RevisionRecord>& candidate() const noexcept { return state_.candidate; }
  // nullopt as well when the envelope in the device's file cannot be read.
  [[nodiscard]] const std::optional<wire::Manifest>& current_manifest() const noexcept { return current_; }
  [[nodiscard]] const std::optional<wire::Manifest>& candidate_manifest() const noexcept { return candidate_; }
  // 0: nothing runs.
  [[nodiscard]] std::uint32_t current_number() const noexcept { return state_.current ? state_.current->number : 0; }
  [[nodiscard]] bool is_candidate(std::uint32_t number) const noexcept;
  [[nodiscard]] bool is_candidate(const ManifestId& manifest) const noexcept;
  [[nodiscard]] bool is_current(const ManifestId& manifest) const noexcept;
  // Current, previous or candidate.
  [[nodiscard]] bool holds(const ManifestId& manifest) const noexcept;
  // Of the current or the candidate revision; null: neither is of that release.
  [[nodiscard]] const wire::Manifest* manifest_of(const ManifestId& manifest) const noexcept;
  [[nodiscard]] bool previous_is_factory() const noexcept { return is_factory(state_.previous); }
  // Something that would run with the candidate is not what runs now.
  [[nodiscard]] bool candidate_differs() const;
  // What chosen packs may build on: the artifacts of the current, the previous and the factory revision, …
  [[nodiscard]] std::vector<ArtifactId> artifacts() const;
  // … and what the previous one alone has.
  [[nodiscard]] bool only_previous_has(const ArtifactId& artifact) const noexcept;
  // Revisions whose files may be used for the candidate.
  [[nodiscard]] std::vector<std::uint32_t> bases() const;

  // --- the candidate
  void take_candidate(const ManifestId& hash, const Bytes& envelope, const wire::Manifest& manifest);
  // A fresh number, for a folder of its own.
  void renumber_candidate();
  // Its folder stays until somebody asks for its removal.
  void forget_candidate();
  // The candidate becomes the current revision, and the current one the previous.
  void commit();

  // --- ways back
  // The revision before, unless it is gone, or has failed here: then why.
  [[nodiscard]] Result<Release> release_before(const History& history) const;
  // The factory revision, unless there is none, it runs, or it has failed here.
  [[nodiscard]] std::optional<Release> factory_release(const History& history) const;
  // What runs becomes the candidate (that is taken back), `before` the current revision. There is no previous one then.
  void go_back(Release before);
  // The current revision cannot be started: `factory` takes its place, the candidate stays what it is.
  void fall_to_factory(Release factory);
  // For room: its folder is to be removed by the caller.
  std::uint32_t give_up_previous();

  // --- leftovers
  // Neither the current, the previous, the candidate nor the factory revision, and not on its way out: oldest first.
  [[nodiscard]] std::vector<std::uint32_t> disposable() const;
  // It counts as gone from now on.
  [[nodiscard]] RemoveRevision remove(std::uint32_t number);
  // What the last call removed is gone by now: effects are carried out before the next event comes. Until then the
  // number stays in the list, as a crash before the folder is gone must not forget it.
  void forget_removed();

  [[nodiscard]] PointCurrent point_current() const;
  [[nodiscard]] const RevisionsState& state() const noexcept { return state_; }
  // Each number is used once and below the next; a manifest stands beside each record, and beside nothing else.
  void assert_invariants() const;

 private:
  [[nodiscard]] bool is_factory(const std::optional<RevisionRecord>& record) const noexcept;

  RevisionsState state_;
  std::optional<RevisionRecord> factory_;
  Bytes factory_manifest_;
  std::optional<wire::Manifest> current_;
  std::optional<wire::Manifest> candidate_;
  std::vector<std::uint32_t> removing_;  // in this call
};

}  // namespace instar::revision

// Which release to go for: of all that are on offer, the one with the highest sequence that a gate lets this device
// take. For each change of what is on offer or allowed: which parts are asked, in which order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/revision/blocker.hpp"
#include "core/revision/fetching.hpp"
#include "core/revision/parts.hpp"

namespace instar::revision {

// Has no state of its own.
class Choosing {
 public:
  Choosing(Parts& parts, Fetching& fetching) noexcept : parts_(parts), fetching_(fetching) {}

  // Begins the best release on offer, if it is better than what is under way, or the candidate's next attempt, if that
  // is due.
  void consider();
  // The manifest or the gate of that release has come: a gate that breaks its manifest's policy is not obeyed, which is
  // reported once.
  void vet_gate(const ManifestId& hash);
  // The same for all that are on offer, and the candidate: other keys may approve now.
  void vet_gates();
  // The same of what times say: one that has expired is not obeyed, which is reported once for each clock that says so.
  // It stays on offer: what these clocks say may change.
  void vet_age(const ManifestId& hash);
  // Gives up waiting for a release that has expired, whose rollout was ended, or that is not offered any more for
  // `reason` (empty: it may only not have been received yet).
  void check_waiting(const std::string& reason);
  // The candidate's rollout was ended, and there is still time.
  void stop_if_ended();
  // When the gate of what is waited for does not lie ahead of the clock any more.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;

 private:
  [[nodiscard]] std::shared_ptr<const ReceivedManifest> best_offer() const;
  [[nodiscard]] bool is_admitted(const wire::Manifest& manifest, const ManifestId& hash) const;
  // Once more, and only when that was asked for since.
  [[nodiscard]] bool is_repeated(const ManifestId& hash, const Outcome* outcome) const noexcept;
  [[nodiscard]] bool may_start(const wire::Manifest& manifest, const ManifestId& hash);
  // What times put in the way of its next attempt: those of the root document, of its gate.
  [[nodiscard]] Blocker times_blocker(const wire::Manifest& manifest, const ManifestId& hash) const;
  // What the owner brings has no gate: it counts as of the last attempt.
  [[nodiscard]] std::uint32_t retry_epoch(const ManifestId& hash) const noexcept;
  // From idle, or in place of an older candidate. Refuses what is not possible here.
  void begin(const ReceivedManifest& received);
  // Nothing that the device or its link lacks makes the release impossible here: the packs to use.
  [[nodiscard]] Result<std::vector<PackChoice>> plan(const ReceivedManifest& received) const;
  // A release that is rightly signed and admitted, but not possible here.
  void refuse(const ReceivedManifest& received, const Error& error);
  void supersede_candidate(const std::string& release);

  Parts& parts_;
  Fetching& fetching_;
};

}  // namespace instar::revision

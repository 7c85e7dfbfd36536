// Whether a release may be started, fetched or switched to now: the owner's instruction, the link, maintenance windows,
// pauses, turns; and what is waited for, which is reported. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/time.hpp"
#include "core/revision/attempt.hpp"
#include "core/revision/blocker.hpp"
#include "core/revision/device_state.hpp"
#include "core/revision/events.hpp"
#include "core/revision/gates.hpp"
#include "core/revision/outbox.hpp"
#include "core/revision/revisions.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

class Permission {
 public:
  // What of a release is asked about. A download may go on outside of the maintenance windows, where its policy says
  // so; a change may not.
  enum class Stage : std::uint8_t { start, fetch, change };
  // Whether an attempt needs the broker's turn to start.
  enum class Pace : std::uint8_t { free, by_turns };

  // `last_report`: its sequence. Which report asked for a turn is not kept: what comes in answer to the hello counts.
  Permission(PermissionState state, bool metered, std::uint64_t last_report);

  void obey(const OwnerInstruction& owner) { owner_ = owner; }
  void set_local_time(const LocalTime& local) noexcept { local_ = local; }
  // By the owner, in a file: such a release needs no gate, turn, window, consent or byte budget.
  [[nodiscard]] bool is_brought(const ManifestId& hash) const noexcept {
    return !hash.is_zero() && owner_.install == hash;
  }
  // What was brought is begun once: what fails is not begun again for the same instruction.
  void note_begun(const ManifestId& hash) noexcept { brought_begun_ = brought_begun_ || is_brought(hash); }
  [[nodiscard]] bool is_brought_begun() const noexcept { return brought_begun_; }

  // What stands in the way: of the owner, the link, the windows. These go by the device's own clock alone, `wall`.
  [[nodiscard]] Blocker blocker(const wire::Manifest& manifest, const ManifestId& hash, Stage stage, WallMs wall) const;

  // --- the next attempt at a release that is admitted and possible here
  // False: it waits, and for what is reported once. `times`: what stands in the way beside that, and counts after the
  // owner's hold.
  [[nodiscard]] bool may_start(const wire::Manifest& manifest, const ManifestId& hash, std::uint32_t attempt, Pace pace,
                               const Blocker& times, Outbox& out);
  // The broker gives a turn. True: it is what is waited for; consider the release again.
  [[nodiscard]] bool take_turn(const wire::Ack& ack) noexcept;
  [[nodiscard]] bool is_waiting() const noexcept { return !state_.waits_manifest.is_zero(); }
  [[nodiscard]] bool waits_for(const ManifestId& hash) const noexcept { return state_.waits_manifest == hash; }
  // Forgets the attempt that was to come, and its turn. Its number.
  std::uint32_t stop_waiting(Outbox& out);
  // Tells the broker that the attempt that was to come will not; nothing, if none was announced.
  void give_up_waiting(Code code, const std::string& reason, Outbox& out);
  // The candidate's next attempt will not begin: what it waited for, and the turn that it had, are void.
  void forget_candidate(const ManifestId& hash) noexcept;

  // --- the candidate under way
  // Without a gate received since the start it goes on: it was admitted when it began. A change is reported.
  [[nodiscard]] bool may_go_on(Stage stage, Phase phase, const Revisions& revisions, const Gates& gates,
                               const Attempt& attempt, Outbox& out);
  // Forgets what stood in the way of the attempt under way.
  void clear_pause(Outbox& out);

  // When a maintenance window opens for what is waited for. `offered`: its manifest, null: not known.
  [[nodiscard]] std::optional<MonotonicMs> window_deadline(const wire::Manifest* offered, const Revisions& revisions,
                                                           Now now) const;

  [[nodiscard]] const PermissionState& state() const noexcept { return state_; }
  // A turn is asked for by an attempt that waits, and what is waited for is said in words.
  void assert_invariants() const;

 private:
  [[nodiscard]] bool has_turn(const ManifestId& hash, std::uint32_t attempt) const noexcept;
  void note_waits(const std::string& text, Outbox& out);
  // The same of the candidate, unless a newer release is waited for: that one is what is said.
  void note_pause(const std::string& text, const Revisions& revisions, Outbox& out);

  PermissionState state_;
  bool metered_;
  OwnerInstruction owner_;
  bool brought_begun_ = false;
  LocalTime local_;
  std::uint64_t asked_report_;  // sequence of the report that asked for a turn last
  Blocker pause_;               // what the attempt under way waits for, as it was last said
};

}  // namespace instar::revision

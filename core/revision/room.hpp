// Room on the device's disk: what ended attempts have left goes when a release needs it, or the containers do. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/revision/outbox.hpp"
#include "core/revision/revisions.hpp"

namespace instar::revision {

class Room {
 public:
  // Bytes free for the device, 0: not known yet.
  [[nodiscard]] std::uint64_t free_bytes() const noexcept { return free_bytes_; }
  // `files`: that can be made. True: a release waited for this, and is to be looked at again.
  [[nodiscard]] bool note_free(std::uint64_t bytes, std::uint64_t files = UINT64_MAX) noexcept;
  // Less is free than the containers may count on: leftovers go as soon as nothing is under way.
  [[nodiscard]] bool is_short() const noexcept;

  // Of the disposable revisions all but this one go.
  static void keep_one_leftover(std::optional<std::uint32_t> kept, Revisions& revisions, Outbox& out);
  // Another attempt begins: leftovers may be trimmed again.
  void begin_attempt() noexcept { trimmed_ = false; }
  // `release` asks for more room than there is. True: leftovers are on their way out for it, and the release is to be
  // looked at again when there is more room; false: there is nothing to remove.
  [[nodiscard]] bool makes_room_first(const std::string& release, Revisions& revisions, Outbox& out);
  // The candidate found no room. First leftovers lose what the candidate does not share with them; after that they go
  // as a whole, and last the previous revision, if `previous_may_go`. Never the current or the factory revision.
  // True: something goes, the stager may try again.
  [[nodiscard]] bool make_room(bool previous_may_go, Revisions& revisions, Outbox& out);

  // Nothing is waited for before anything is known of the disk.
  void assert_invariants() const;

 private:
  std::uint64_t free_bytes_ = 0;
  std::uint64_t free_files_ = UINT64_MAX;
  bool trimmed_ = false;  // what the candidate has no use for is gone already
  bool awaited_ = false;  // leftovers are on their way out for a release
};

}  // namespace instar::revision

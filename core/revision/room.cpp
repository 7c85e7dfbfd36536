#include "core/revision/room.hpp"

#include <utility>

#include "core/base/assert.hpp"

namespace instar::revision {
namespace {

// Flash that the containers may count on: with less than this free, what ended attempts have left goes at once.
constexpr std::uint64_t kContainersFreeBytes = std::uint64_t{2} << 20;
constexpr std::uint64_t kContainersFreeFiles = 256;

void remove(std::uint32_t number, Revisions& revisions, Outbox& out) {
  out.emit(revisions.remove(number));
  out.persist();
}

}  // namespace

bool Room::note_free(std::uint64_t bytes, std::uint64_t files) noexcept {
  free_bytes_ = bytes;
  free_files_ = files;
  return std::exchange(awaited_, false);
}

bool Room::is_short() const noexcept {
  return free_bytes_ < kContainersFreeBytes || free_files_ < kContainersFreeFiles;
}

void Room::keep_one_leftover(std::optional<std::uint32_t> kept, Revisions& revisions, Outbox& out) {
  for (const auto number : revisions.disposable()) {
    if (number != kept) remove(number, revisions, out);
  }
}

bool Room::makes_room_first(const std::string& release, Revisions& revisions, Outbox& out) {
  if (awaited_) return true;
  if (revisions.disposable().empty()) return false;
  keep_one_leftover(std::nullopt, revisions, out);
  awaited_ = true;
  out.log(LogLevel::notice, "release " + release + " needs room: what earlier attempts have left is removed first");
  return true;
}

bool Room::make_room(bool previous_may_go, Revisions& revisions, Outbox& out) {
  INSTAR_ASSERT(revisions.candidate_manifest().has_value());
  auto numbers = revisions.disposable();
  if (!numbers.empty() && !std::exchange(trimmed_, true)) {
    TrimRevision trim;
    for (const auto& artifact : revisions.candidate_manifest()->artifacts) trim.keep.push_back(artifact.id);
    for (const auto number : numbers) {
      trim.revision = number;
      out.emit(trim);
    }
    return true;
  }
  if (numbers.empty() && previous_may_go && revisions.previous() && !revisions.previous_is_factory()) {
    numbers.push_back(revisions.give_up_previous());
    if (revisions.current()) out.emit(revisions.point_current());
  }
  for (const auto number : numbers) remove(number, revisions, out);
  return !numbers.empty();
}

void Room::assert_invariants() const {
  INSTAR_ASSERT(!awaited_ || free_bytes_ != 0);
}

}  // namespace instar::revision

#include "device-client/disk_watch.hpp"

#include "core/base/limits.hpp"

namespace instar::device {
namespace {

constexpr std::uint64_t kRoomAgain = 4;  // times what is short

}  // namespace

bool is_full(const files::Space& space) noexcept {
  return space.bytes_free < limits::kShortBytes || space.inodes_free < limits::kShortInodes;
}

std::string mib_text(std::uint64_t bytes) {
  constexpr std::uint64_t kMib = 1024 * 1024;
  return std::to_string(bytes / kMib) + "." + std::to_string(bytes % kMib * 10 / kMib) + " MiB";
}

bool DiskWatch::look(const files::Space& space, bool is_reserve_whole, const std::function<std::string()>& largest) {
  if (is_short()) {
    const bool is_over = is_reserve_whole && space.bytes_free >= kRoomAgain * limits::kShortBytes &&
                         space.inodes_free >= kRoomAgain * limits::kShortInodes;
    if (is_over) trouble_.clear();
    return is_over;
  }
  if (!is_full(space)) return false;
  const bool has_bytes = space.bytes_free >= limits::kShortBytes;
  trouble_ = has_bytes
                 ? "no space: no more than " + std::to_string(space.inodes_free) + " files can be made on the disk"
                 : "no space: " + mib_text(space.bytes_free) + " of " + mib_text(space.bytes) + " are free on the disk";
  if (const auto who = largest(); !who.empty()) trouble_ += "; " + who;
  return true;
}

}  // namespace instar::device

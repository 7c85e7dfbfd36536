// Whether the device's disk has room for what must be written, as a sentence that stays the same while it holds.
#pragma once

#include <functional>
#include <string>

#include "files/files.hpp"

namespace instar::device {

class DiskWatch {
 public:
  // `largest` is asked when the disk becomes full: what takes most of it, as a clause, empty: not known. True: the
  // sentence has changed.
  [[nodiscard]] bool look(const files::Space& space, bool is_reserve_whole,
                          const std::function<std::string()>& largest);
  // Empty: there is room.
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
  [[nodiscard]] bool is_short() const noexcept { return !trouble_.empty(); }

 private:
  std::string trouble_;
};

// So little is free, in bytes or files, that the device is degraded.
[[nodiscard]] bool is_full(const files::Space& space) noexcept;
// "12.3 MiB"
[[nodiscard]] std::string mib_text(std::uint64_t bytes);

}  // namespace instar::device

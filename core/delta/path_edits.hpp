// An index delta writes a path as a change of another path, which maker and reader compute in the same way.
// docs/formats/index-delta.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.hpp"

namespace instar::delta {

[[nodiscard]] std::string_view name_of(std::string_view path) noexcept;    // the last component
[[nodiscard]] std::string_view parent_of(std::string_view path) noexcept;  // "" for what is in the root folder

// Makes one text from another: the last `kept_end` bytes stay, `text` takes the place of the `replaced` bytes before
// them, and the rest stays.
struct Edit {
  std::uint64_t kept_end = 0;
  std::uint64_t replaced = 0;
  std::string text;

  [[nodiscard]] static Edit between(std::string_view from, std::string_view to);
  // Errors: malformed (`from` is too short).
  [[nodiscard]] Result<std::string> apply(std::string_view from) const;
  // About how many bytes it takes to write it.
  [[nodiscard]] std::size_t cost() const noexcept {
    return text.size() + (replaced > 127 ? 1 : 0) + (kept_end > 127 ? 1 : 0);
  }
};

// The renamed folders around one place of the base, and where their content goes. Memory: two paths, and 16 bytes for
// each level.
class Renames {
 public:
  // Goes on to a path of the base, in index order; folders that it is not in are left.
  void go_to(std::string_view base_path);
  // The current folder is now called `new_path`. The parent of that is its parent's new path.
  void open(std::string_view base_path, std::string_view new_path);
  // A path of the base as a path of the new tree, by the folders that are open; unchanged if it is in none of them.
  [[nodiscard]] std::string map(std::string_view base_path) const;

 private:
  std::vector<std::pair<std::size_t, std::size_t>> open_;  // lengths, outermost first, of prefixes of the two paths
  std::string base_path_;
  std::string new_path_;
};

}  // namespace instar::delta

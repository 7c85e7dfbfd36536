// How an index delta says paths: as changes of other paths, which its maker and its reader reckon alike.
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

// One text made of another: its last `kept_end` bytes stay, the `replaced` ones before them give way to `text`, the
// rest stays.
struct Edit {
  std::uint64_t kept_end = 0;
  std::uint64_t replaced = 0;
  std::string text;

  [[nodiscard]] static Edit between(std::string_view from, std::string_view to);
  // Errors: malformed (`from` is too short).
  [[nodiscard]] Result<std::string> apply(std::string_view from) const;
  // What it takes to write it, roughly: bytes.
  [[nodiscard]] std::size_t cost() const noexcept {
    return text.size() + (replaced > 127 ? 1 : 0) + (kept_end > 127 ? 1 : 0);
  }
};

// Renamed folders that are open at one place of the base: where their content goes. Memory: two paths, 16 bytes a
// level.
class Renames {
 public:
  // Goes on to a path of the base, in index order; folders that it is not in are left.
  void go_to(std::string_view base_path);
  // The folder that was gone to is now called `new_path`; its parent's new path is the parent of that.
  void open(std::string_view base_path, std::string_view new_path);
  // A path of the base as a path of the new tree, by the folders that are open; unchanged if it is in none of them.
  [[nodiscard]] std::string map(std::string_view base_path) const;

 private:
  std::vector<std::pair<std::size_t, std::size_t>> open_;  // lengths, outermost first, of prefixes of the two paths
  std::string base_path_;
  std::string new_path_;
};

}  // namespace instar::delta

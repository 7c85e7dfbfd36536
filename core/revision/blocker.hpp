// What stands in the way of a release, in words.
#pragma once

#include <string>
#include <string_view>

namespace instar::revision {

// `what` names it, and stays the same while it stands there; `more` may change with each look, as a time of day does.
struct Blocker {
  std::string what;  // empty: nothing
  std::string more;
  [[nodiscard]] bool empty() const noexcept { return what.empty(); }
  [[nodiscard]] std::string text() const { return what + more; }
  // `said` is an earlier text of this one.
  [[nodiscard]] bool is_said_by(std::string_view said) const noexcept {
    return what.empty() ? said.empty() : said.starts_with(what);
  }
};

}  // namespace instar::revision

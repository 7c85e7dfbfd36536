#include "core/delta/path_edits.hpp"

#include <algorithm>

#include "core/artifact/entry_fields.hpp"
#include "core/base/assert.hpp"

namespace instar::delta {
namespace {

bool lies_in(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path[folder.size()] == '/' && path.starts_with(folder);
}

}  // namespace

std::string_view name_of(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view parent_of(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

Edit Edit::between(std::string_view from, std::string_view to) {
  const std::size_t front = artifact::shared_bytes(from, to);
  const std::size_t most = std::min(from.size(), to.size()) - front;
  std::size_t back = 0;
  while (back < most && from[from.size() - 1 - back] == to[to.size() - 1 - back]) ++back;
  return {.kept_end = back,
          .replaced = from.size() - front - back,
          .text = std::string(to.substr(front, to.size() - front - back))};
}

Result<std::string> Edit::apply(std::string_view from) const {
  if (kept_end > from.size() || replaced > from.size() - kept_end) {
    return fail(Code::malformed, "the index delta changes more of \"" + std::string(from) + "\" than there is");
  }
  const std::size_t front = from.size() - static_cast<std::size_t>(kept_end + replaced);
  return std::string(from.substr(0, front)) + text +
         std::string(from.substr(from.size() - static_cast<std::size_t>(kept_end)));
}

void Renames::go_to(std::string_view base_path) {
  while (!open_.empty() && !lies_in(base_path, base_path_)) {
    open_.pop_back();
    base_path_.resize(open_.empty() ? 0 : open_.back().first);
    new_path_.resize(open_.empty() ? 0 : open_.back().second);
  }
}

void Renames::open(std::string_view base_path, std::string_view new_path) {
  INSTAR_ASSERT(!base_path.empty() && !new_path.empty());
  INSTAR_ASSERT(open_.empty() || (lies_in(base_path, base_path_) && lies_in(new_path, new_path_)));
  base_path_ = base_path;
  new_path_ = new_path;
  open_.emplace_back(base_path.size(), new_path.size());
}

std::string Renames::map(std::string_view base_path) const {
  for (auto folder = open_.rbegin(); folder != open_.rend(); ++folder) {
    const auto [base_bytes, new_bytes] = *folder;
    if (lies_in(base_path, std::string_view(base_path_).substr(0, base_bytes))) {
      return new_path_.substr(0, new_bytes) + std::string(base_path.substr(base_bytes));
    }
  }
  return std::string(base_path);
}

}  // namespace instar::delta

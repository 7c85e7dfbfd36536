#include "device-client/staging/running_trees.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "core/base/bytes.hpp"

namespace instar::device {

using files::StagingTree;

namespace {

constexpr std::size_t kCompareBytes = 64 * 1024;

Result<bool> has_same_content(int one, int other, const std::string& shown) {
  Bytes left(kCompareBytes);
  Bytes right(kCompareBytes);
  for (std::uint64_t at = 0;; at += kCompareBytes) {
    INSTAR_TRY(const std::size_t got, files::read_at(one, left, at, shown));
    INSTAR_TRY(const std::size_t other_got, files::read_at(other, right, at, shown));
    if (!std::ranges::equal(std::span(left).first(got), std::span(right).first(other_got))) return false;
    if (got < kCompareBytes) return true;
  }
}

bool is_later(const struct stat& one, const struct stat& other) noexcept {
  return one.st_mtim.tv_sec > other.st_mtim.tv_sec;
}

}  // namespace

void RunningTrees::open(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (auto tree = StagingTree::open(path)) trees_.push_back(std::move(*tree));
  }
}

Result<bool> RunningTrees::allow_link(const std::string& path, const StagingTree& source,
                                      const std::string& source_path) const {
  INSTAR_TRY(const files::Fd file, source.open_file(source_path, false));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return files::os_error("looking at", source.shown(source_path), errno);
  bool allowed = true;
  for (const StagingTree& tree : trees_) {
    const auto running = tree.open_file(path, false);
    struct stat other {};
    if (!running || ::fstat(running->get(), &other) != 0) continue;
    if (other.st_ino == status.st_ino && other.st_dev == status.st_dev) return true;
    if (is_later(status, other)) continue;
    if (other.st_size == status.st_size) {
      INSTAR_TRY(const bool same, has_same_content(file.get(), running->get(), tree.shown(path)));
      if (same) return true;
    }
    allowed = false;
  }
  return allowed;
}

}  // namespace instar::device

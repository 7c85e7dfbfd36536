#include "device-client/staging/sweep.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "core/trust/digest.hpp"
#include "device-client/staging/hashing.hpp"

namespace instar::device {

Result<std::unique_ptr<StagingSweep>> StagingSweep::open(StagingTree& tree, const std::string& index,
                                                         artifact::IndexRules rules) {
  std::unique_ptr<StagingSweep> sweep(new StagingSweep(tree));
  INSTAR_TRY(sweep->index_, IndexStream::open(index, rules));
  sweep->folders_.emplace_back();
  return sweep;
}

Result<bool> StagingSweep::sweep(std::uint32_t entries) {
  for (; entries > 0; --entries) {
    if (index_) {
      INSTAR_TRY(const artifact::Entry* entry, index_->next());
      if (entry != nullptr) {
        named_.push_back(path_key(entry->path));
        continue;
      }
      index_.reset();
      std::ranges::sort(named_);
    }
    if (folders_.empty()) return true;
    const std::string folder = std::move(folders_.back());
    folders_.pop_back();
    INSTAR_CHECK(sweep_folder(folder));
  }
  return false;
}

bool StagingSweep::is_named(const std::string& path) const {
  return std::ranges::binary_search(named_, path_key(path));
}

Status StagingSweep::sweep_folder(const std::string& folder) {
  INSTAR_TRY(files::Fd fd, tree_.open_folder(folder));
  DIR* dir = ::fdopendir(fd.get());
  if (dir == nullptr) return files::os_error("listing", tree_.shown(folder), errno);
  static_cast<void>(fd.release());
  std::vector<std::string> others;
  while (const dirent* item = ::readdir(dir)) {
    const std::string_view name = item->d_name;
    if (name == "." || name == "..") continue;
    std::string path = folder.empty() ? std::string(name) : folder + "/" + std::string(name);
    struct stat status {};
    if (!is_named(path)) {
      others.push_back(std::move(path));
    } else if (::fstatat(::dirfd(dir), item->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
      folders_.push_back(std::move(path));
    }
  }
  ::closedir(dir);
  for (const std::string& path : others) INSTAR_CHECK(tree_.remove(path));
  return {};
}

}  // namespace instar::device

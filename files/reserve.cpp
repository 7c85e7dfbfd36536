#include "files/reserve.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/limits.hpp"
#include "files/posix.hpp"

namespace instar::files {
namespace {

constexpr std::uint64_t kReservePageBytes = 4096;
// How many files one call makes: other work of the device does not wait long.
constexpr std::size_t kRefillFiles = 16;

std::string reserve_name(char kind, std::size_t number) {
  return kind + std::to_string(number);
}

}  // namespace

Reserve::Reserve(std::string folder, const Space& disk)
    : folder_(std::move(folder)), counts_inodes_(disk.inodes_free != UINT64_MAX) {
  const auto wanted =
      std::clamp(disk.bytes / limits::kReserveShare, limits::kReserveBytesMin, limits::kReserveBytesMax);
  file_bytes_ = wanted / limits::kReserveFiles / kReservePageBytes * kReservePageBytes;
  look();
}

std::uint64_t Reserve::bytes_whole() const noexcept {
  return file_bytes_ * limits::kReserveFiles;
}

std::optional<Space> Reserve::lent() const noexcept {
  if (!is_lent_) return std::nullopt;
  Space space;
  space.bytes_free = bytes() / 4 * 3;
  space.inodes_free = inodes() / 4 * 3;
  return space;
}

std::size_t Reserve::count() const noexcept {
  return limits::kReserveFiles + (counts_inodes_ ? limits::kReserveInodes : 0);
}

// A file that a crash left half made has no size that counts, and is made again.
void Reserve::look() {
  blocks_.clear();
  inodes_.clear();
  const OpenFolder dir(::opendir(folder_.c_str()));
  if (dir == nullptr) return;
  while (const dirent* item = ::readdir(dir.get())) {
    const std::string name = item->d_name;
    struct stat status {};
    if (::lstat(path(name).c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if (name[0] == 'b' && static_cast<std::uint64_t>(status.st_size) == file_bytes_) blocks_.push_back(name);
    if (name[0] == 'i') inodes_.push_back(name);
  }
}

Status Reserve::make(const std::string& name, std::uint64_t bytes) const {
  INSTAR_TRY(const Fd file, open_file(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  INSTAR_TRY(const auto content, random_bytes(static_cast<std::size_t>(bytes)));
  INSTAR_CHECK(write_all(file.get(), content, path(name)));
  return bytes == 0 ? Status() : sync_fd(file.get(), path(name));
}

bool Reserve::refill() {
  if (is_whole()) return false;
  const auto before = free_space(folder_.substr(0, folder_.rfind('/')));
  const auto missing_bytes = bytes_whole() - bytes();
  const auto missing_inodes = count() - inodes();
  if (!before || before->bytes_free < missing_bytes + bytes_whole() || before->inodes_free < missing_inodes + count())
    return false;
  if (!make_folders(folder_, 0700)) return false;
  std::size_t left = kRefillFiles;
  const auto fill = [&](char kind, std::size_t wanted, std::uint64_t bytes, std::vector<std::string>& names) {
    for (std::size_t i = 0; i < wanted && left > 0; ++i) {
      auto name = reserve_name(kind, i);
      if (std::ranges::find(names, name) != names.end()) continue;
      if (!make(name, bytes)) {
        ::unlink(path(name).c_str());
        return false;
      }
      names.push_back(std::move(name));
      --left;
    }
    return true;
  };
  const bool is_good = fill('b', limits::kReserveFiles, file_bytes_, blocks_) &&
                       (!counts_inodes_ || fill('i', limits::kReserveInodes, 0, inodes_));
  static_cast<void>(sync_folder(folder_));
  return is_good && !is_whole();
}

bool Reserve::drop(std::vector<std::string>& names, std::size_t whole) const {
  if (names.size() <= (keeps_quarter_ ? whole / 4 : 0)) return false;
  // XFS frees the blocks of a file that is removed a while later, and those of one that is cut at once.
  const bool is_cut = ::truncate(path(names.back()).c_str(), 0) == 0;
  static_cast<void>(is_cut);  // a full disk may refuse that too
  ::unlink(path(names.back()).c_str());
  names.pop_back();
  return true;
}

bool Reserve::release(std::uint64_t bytes) {
  bool any = drop(inodes_, limits::kReserveInodes);
  for (std::uint64_t freed = 0; freed < std::max<std::uint64_t>(bytes, 1) && drop(blocks_, limits::kReserveFiles);
       freed += file_bytes_)
    any = true;
  return any;
}

void Reserve::release_inodes(std::uint32_t inodes) {
  while (inodes-- > 0 && drop(inodes_, limits::kReserveInodes)) {
  }
}

}  // namespace instar::files

#include "device-client/lxc/start_room.hpp"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

#include "core/base/bytes.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

// A log, the work folder of an overlay, mount points of volumes, texts of the host.
constexpr int kTriedFiles = 8;
constexpr std::size_t kTriedBytes = 4096;

bool lacks_room(const std::string& folder) {
  const auto tried = folder + "/tried";
  const Bytes block(kTriedBytes);
  bool is_made = files::make_folders(tried).has_value();
  for (int number = 0; is_made && number < kTriedFiles; ++number)
    is_made = files::write_file_atomic(tried + "/" + std::to_string(number), block).has_value();
  static_cast<void>(files::remove_tree(tried));
  return !is_made;
}

bool can_only_be_read(const std::string& path) {
  struct statvfs status {};
  return ::statvfs(path.c_str(), &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
}

}  // namespace

bool is_for_want_of_room(const std::string& reason, const std::string& folder) {
  const auto says = [&](int error) { return reason.find(std::strerror(error)) != std::string::npos; };
  return says(ENOSPC) || says(EDQUOT) || lacks_room(folder);
}

bool is_read_only_overlay(pid_t first, const std::string& lxcpath) {
  return can_only_be_read("/proc/" + std::to_string(first) + "/root") && !can_only_be_read(lxcpath);
}

}  // namespace instar::device

#include "device-client/containers/layers.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::device {
namespace {

namespace fs = std::filesystem;

#ifndef SYS_quotactl_fd
constexpr long kQuotactlFd = 443;
#else
constexpr long kQuotactlFd = SYS_quotactl_fd;
#endif

// 24 bits for the name, 4 for the revision: another revision of the same container may be on the disk as well.
std::uint32_t project_of(const std::string& name, std::uint32_t revision) {
  const auto hash = trust::digest(as_bytes(name)).prefix64();
  return 0x1000'0000U | (static_cast<std::uint32_t>(hash & 0xff'ffffU) << 4U) | (revision & 0xfU);
}

// The block device of the file system that `folder` is on, as its mount names it. Empty: none.
std::string device_of(const std::string& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return "";
  const auto wanted = std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
  std::FILE* const file = std::fopen("/proc/self/mountinfo", "re");
  if (file == nullptr) return "";
  std::string found;
  char* line = nullptr;
  std::size_t room = 0;
  // "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext4 /dev/root rw,errors=continue"
  while (found.empty() && ::getline(&line, &room, file) > 0) {
    char numbers[32] = {};
    char source[256] = {};
    const std::string_view text = line;
    const auto end = text.find(" - ");
    if (std::sscanf(line, "%*d %*d %31s", numbers) != 1 || wanted != numbers || end == std::string_view::npos) continue;
    if (std::sscanf(line + end + 3, "%*s %255s", source) == 1) found = source;
  }
  std::free(line);
  std::fclose(file);
  return found.starts_with('/') ? found : "";
}

bool has_no_quota(int error_number) {
  return error_number == ESRCH || error_number == ENOSYS || error_number == EOPNOTSUPP || error_number == ENOTBLK ||
         error_number == EINVAL || error_number == ENODEV || error_number == ENOTTY || error_number == EPERM;
}

// The files that an interrupted start has left below it get the project too: what is written into them counts.
Status join(const std::string& path, std::uint32_t project) {
  INSTAR_TRY(const auto folder, files::open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  fsxattr attributes{};
  if (::ioctl(folder.get(), FS_IOC_FSGETXATTR, &attributes) != 0) return files::os_error("looking at", path, errno);
  if (attributes.fsx_projid == project && (attributes.fsx_xflags & FS_XFLAG_PROJINHERIT) != 0) return {};
  attributes.fsx_projid = project;
  attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (::ioctl(folder.get(), FS_IOC_FSSETXATTR, &attributes) != 0)
    return files::os_error("giving a project to", path, errno);
  return {};
}

// Errors: unsupported (the file system does not count by project), io.
Status set_quota(const files::Fd& folder, const std::string& path, std::uint32_t project, const LayerBound& bound) {
  constexpr std::uint64_t kQuotaBlockBytes = 1024;
  if_dqblk limits{};
  limits.dqb_bhardlimit = bound.bytes / kQuotaBlockBytes;
  limits.dqb_ihardlimit = bound.files;
  limits.dqb_valid = QIF_LIMITS;
  const auto command = QCMD(Q_SETQUOTA, PRJQUOTA);
  if (::syscall(kQuotactlFd, folder.get(), command, project, &limits) == 0) return {};
  int error_number = errno;
  if (error_number == ENOSYS) {  // before Linux 5.14
    const auto device = device_of(path);
    if (device.empty()) return fail(Code::unsupported, path + " is on no device");
    if (::syscall(SYS_quotactl, command, device.c_str(), project, &limits) == 0) return {};
    error_number = errno;
  }
  if (has_no_quota(error_number)) return fail(Code::unsupported, path + ": no project quotas");
  return files::os_error("bounding", path, error_number);
}

}  // namespace

LayerSize size_of_layer(const std::string& folder) {
  LayerSize size;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    struct stat status {};
    if (::lstat(it->path().c_str(), &status) != 0) continue;
    size.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    if (++size.files == limits::kLayerEntriesMax) break;
  }
  return size;
}

Result<bool> bound_layer(const std::string& folder, const std::string& name, std::uint32_t revision,
                         const LayerBound& bound) {
  INSTAR_TRY(const auto opened, files::open_file(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  INSTAR_TRY(const auto disk, files::free_space(folder));
  LayerBound wanted = bound;
  if (wanted.bytes == 0) wanted.bytes = disk.bytes / 8 * 7;
  if (wanted.files == 0) wanted.files = disk.inodes / 8 * 7;
  const auto project = project_of(name, revision);
  if (const auto set = set_quota(opened, folder, project, wanted); !set) {
    if (set.error().code == Code::unsupported) return false;
    return fail(set.error());
  }
  INSTAR_CHECK(join(folder, project));
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (fs::is_directory(it->symlink_status(error))) INSTAR_CHECK(join(it->path().string(), project));
  return true;
}

}  // namespace instar::device

#include "device-client/lxc/volume_mounts.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif

#include "files/posix.hpp"

namespace instar::device {
namespace {

constexpr int kFolderFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::string shown(const ContainerVolume& volume) {
  return "volume '" + volume.name + "' at " + volume.path;
}

tl::unexpected<Error> volume_error(const ContainerVolume& volume, const std::string& what, int error) {
  return fail(Code::io, shown(volume) + ": " + what + ": " + std::strerror(error));
}

// Opens `path`, relative to `root`, of which `component` in `parent` is the end. Returns -1 and errno when any part of
// it is a link or no folder. `parent` was opened in the same way, so that a kernel without openat2() (before 5.6) has
// only the last component to look at.
int open_inside(int root, const std::string& path, int parent, const std::string& component) {
#ifdef RESOLVE_IN_ROOT
  open_how how{};
  how.flags = kFolderFlags;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const auto fd = static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
  // An older container engine around this device says EPERM to system calls that it does not know.
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
#else
  static_cast<void>(root);
  static_cast<void>(path);
#endif
  return ::openat(parent, component.c_str(), kFolderFlags);
}

// Why a component could not be opened as a folder.
tl::unexpected<Error> component_error(const ContainerVolume& volume, const std::string& path, int parent,
                                      const std::string& component, int error) {
  struct stat status {};
  const bool known = ::fstatat(parent, component.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (error == ELOOP || (known && S_ISLNK(status.st_mode))) {
    return fail(Code::refused, shown(volume) + " passes a link: /" + path +
                                   " in the container's files is one, and a volume is never mounted through it; give "
                                   "the volume the path of the folder itself in the release");
  }
  if (error == ENOTDIR) {
    return fail(Code::refused,
                shown(volume) + " passes a file: /" + path +
                    " in the container's files is no folder; give the volume another path in the release");
  }
  return volume_error(volume, "cannot open /" + path + " in the container's files", error);
}

// A descriptor instead of a path: what was checked is what is used.
std::string path_of(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

Status mount_volume(int root, const ContainerVolume& volume) {
  const files::Fd source(::open(volume.source.c_str(), kFolderFlags));
  if (source.get() < 0) {
    const int error = errno;
    return fail(error == ENOENT ? Code::not_found : Code::io,
                shown(volume) + ": cannot open " + volume.source + ": " + std::strerror(error));
  }
  INSTAR_TRY(const int opened, make_mount_point(root, volume));
  const files::Fd point(opened);
  if (::mount(path_of(source.get()).c_str(), path_of(point.get()).c_str(), nullptr, MS_BIND, nullptr) != 0)
    return volume_error(volume, "cannot mount " + volume.source, errno);
  return {};
}

}  // namespace

Result<int> make_mount_point(int root, const ContainerVolume& volume) {
  files::Fd at(::fcntl(root, F_DUPFD_CLOEXEC, 0));
  if (at.get() < 0) return volume_error(volume, "cannot open the container's root", errno);
  const std::string path = volume.path.substr(1);
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string component = path.substr(begin, end - begin);
    const std::string reached = path.substr(0, end);
    // This makes nothing where anything is, not even where a link leads nowhere.
    if (::mkdirat(at.get(), component.c_str(), 0755) != 0 && errno != EEXIST)
      return volume_error(volume, "cannot make /" + reached + " in the container's files", errno);
    const int next = open_inside(root, reached, at.get(), component);
    if (next < 0) return component_error(volume, reached, at.get(), component, errno);
    at = files::Fd(next);
    begin = end + 1;
  }
  return at.release();
}

Status mount_volumes(const std::vector<ContainerVolume>& volumes, const std::string& root) {
  const files::Fd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (top.get() < 0) return fail(Code::io, "cannot open the container's root " + root + ": " + std::strerror(errno));
  for (const auto& volume : volumes) INSTAR_CHECK(mount_volume(top.get(), volume));
  return {};
}

}  // namespace instar::device

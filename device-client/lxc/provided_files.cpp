#include "device-client/lxc/provided_files.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::device {
namespace {

enum class Present : std::uint8_t { no, empty, ours, its_own, link, no_file };

std::string place_of(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

tl::unexpected<Error> file_error(const ContainerFile& file, const std::string& what, int error) {
  return fail(Code::io, "/etc/" + file.name + ": " + what + ": " + std::strerror(error));
}

// What the container has of that name.
Present look_at(int etc, const std::string& name) {
  struct stat status {};
  if (::fstatat(etc, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Present::no : Present::no_file;
  if (S_ISLNK(status.st_mode)) return Present::link;
  if (!S_ISREG(status.st_mode)) return Present::no_file;
  if (status.st_size == 0) return Present::empty;
  const files::Fd fd(::openat(etc, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  char begin[kCopyMark.size()];
  const ssize_t got = fd.is_open() ? ::read(fd.get(), begin, sizeof begin) : -1;
  return got > 0 && std::string_view(begin, static_cast<std::size_t>(got)) == kCopyMark ? Present::ours
                                                                                        : Present::its_own;
}

bool is_wanted(Giving giving, Present present) {
  switch (present) {
    case Present::no_file: return false;
    case Present::no:
    case Present::empty: return true;
    case Present::ours: return giving != Giving::bind_missing;
    case Present::link:
    case Present::its_own: break;
  }
  return giving == Giving::bind;
}

Status copy_file(int etc, const ContainerFile& file) {
  INSTAR_TRY(const Bytes content, files::read_file(file.source, limits::kHostNamesBytesMax));
  const files::Fd to(::openat(etc, file.name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!to.is_open()) return file_error(file, "cannot write it", errno);
  return files::write_all(to.get(), content, "/etc/" + file.name);
}

Status bind_file(int etc, int source, const ContainerFile& file, Present present) {
  // A link leads to what a service of the tree would make, such as systemd-resolved's file. It is there again with the
  // next revision.
  if (present == Present::link && ::unlinkat(etc, file.name.c_str(), 0) != 0)
    return file_error(file, "cannot replace the link", errno);
  if (present == Present::no || present == Present::link) {
    const files::Fd made(::openat(etc, file.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!made.is_open()) return file_error(file, "cannot make it", errno);
  }
  const files::Fd point(::openat(etc, file.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!point.is_open()) return file_error(file, "cannot open it", errno);
  if (::mount(place_of(source).c_str(), place_of(point.get()).c_str(), nullptr, MS_BIND, nullptr) != 0)
    return file_error(file, "cannot mount " + file.source, errno);
  // Opened once more, it is the mount and not what lies below it.
  const files::Fd mounted(::openat(etc, file.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  constexpr unsigned long kFlags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (!mounted.is_open() || ::mount(nullptr, place_of(mounted.get()).c_str(), nullptr, kFlags, nullptr) != 0) {
    const int error = errno;
    if (mounted.is_open()) ::umount2(place_of(mounted.get()).c_str(), MNT_DETACH);
    return file_error(file, "cannot mount " + file.source + " read-only", error);
  }
  return {};
}

}  // namespace

Status provide_file(int root, const ContainerFile& file) {
  const files::Fd source(::open(file.source.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!source.is_open()) {
    if (errno == ENOENT) return {};
    return file_error(file, "cannot open " + file.source, errno);
  }
  if (::fstat(source.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return {};
  if (::mkdirat(root, "etc", 0755) != 0 && errno != EEXIST) return file_error(file, "cannot make /etc", errno);
  const files::Fd etc(::openat(root, "etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!etc.is_open()) return {};  // its /etc is a link, which leads who knows where
  const Present present = look_at(etc.get(), file.name);
  if (!is_wanted(file.giving, present)) return {};
  return file.giving == Giving::copy_missing ? copy_file(etc.get(), file)
                                             : bind_file(etc.get(), source.get(), file, present);
}

std::vector<std::string> provide_files(const std::vector<ContainerFile>& files, const std::string& root) {
  std::vector<std::string> why;
  const files::Fd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top.is_open()) return {"cannot open the container's root " + root + ": " + std::strerror(errno)};
  for (const auto& file : files)
    if (const auto given = provide_file(top.get(), file); !given) why.push_back(given.error().message);
  return why;
}

}  // namespace instar::device

#include "files/posix.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "core/base/assert.hpp"

namespace instar::files {
namespace {

std::string_view advice(int error_number) {
  switch (error_number) {
    case EACCES:
    case EPERM: return "; give the user that runs this the right to it, or run as root";
    case ENOSPC: return "; free some space there";
    case EDQUOT: return "; the user's quota is spent";
    case EROFS: return "; the file system is mounted read-only";
    case EMFILE:
    case ENFILE: return "; raise the limit of open files";
    case ELOOP: return "; a symbolic link stands where none is allowed";
    case EIO: return "; the storage is failing";
    default: return "";
  }
}

std::string join(std::string_view root, std::string_view path) {
  return path.empty() ? std::string(root) : std::string(root) + "/" + std::string(path);
}

int retrying_openat(int folder, const char* name, int flags, std::uint32_t mode) {
  int fd = -1;
  do {
    fd = ::openat(folder, name, flags | O_CLOEXEC, static_cast<mode_t>(mode));
  } while (fd < 0 && (errno == EINTR || ((flags & O_CREAT) != 0 && make_room(errno, 0))));
  return fd;
}

RoomMaker& room_maker() {
  static RoomMaker maker;
  return maker;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.release();
  }
  return *this;
}

Fd::~Fd() {
  close();
}

int Fd::release() noexcept {
  return std::exchange(fd_, -1);
}

void Fd::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

tl::unexpected<Error> os_error(std::string_view doing, std::string_view path, int error_number) {
  Code code = Code::io;
  if (error_number == ENOENT) code = Code::not_found;
  if (error_number == ENOSPC || error_number == EDQUOT) code = Code::no_space;
  return fail(code, std::string(doing) + " " + std::string(path) + ": " +
                        std::generic_category().message(error_number) + std::string(advice(error_number)));
}

void set_room_maker(RoomMaker maker) {
  room_maker() = std::move(maker);
}

// What frees room may meet a full disk itself: it is not asked again for that.
bool make_room(int error_number, std::uint64_t bytes) {
  static bool asked = false;
  if ((error_number != ENOSPC && error_number != EDQUOT) || !room_maker() || asked) return false;
  asked = true;
  const bool made = room_maker()(bytes);
  asked = false;
  errno = error_number;
  return made;
}

Result<Fd> open_file(const std::string& path, int flags, std::uint32_t mode) {
  const int fd = retrying_openat(AT_FDCWD, path.c_str(), flags, mode);
  if (fd < 0) return os_error("opening", path, errno);
  return Fd(fd);
}

Result<Fd> open_below(int root, std::string_view path, int flags, std::string_view shown_root, std::uint32_t mode) {
  if (path.empty()) {
    const int fd = retrying_openat(root, ".", flags | O_NOFOLLOW, mode);
    if (fd < 0) return os_error("opening", shown_root, errno);
    return Fd(fd);
  }
  INSTAR_TRY(const Fd parent, open_parent_below(root, path, shown_root));
  const std::string name = last_component(path);
  INSTAR_ASSERT(!name.empty() && name != "." && name != "..");
  const int fd = retrying_openat(parent.get(), name.c_str(), flags | O_NOFOLLOW, mode);
  if (fd < 0) return os_error("opening", join(shown_root, path), errno);
  return Fd(fd);
}

Result<Fd> open_parent_below(int root, std::string_view path, std::string_view shown_root) {
  constexpr int kFolder = O_PATH | O_DIRECTORY | O_NOFOLLOW;
  Fd folder(retrying_openat(root, ".", kFolder, 0));
  if (!folder.is_open()) return os_error("opening", shown_root, errno);
  std::size_t start = 0;
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', start)) {
    const std::string name(path.substr(start, slash - start));
    INSTAR_ASSERT(!name.empty() && name != "." && name != "..");
    Fd next(retrying_openat(folder.get(), name.c_str(), kFolder, 0));
    if (!next.is_open()) return os_error("opening", join(shown_root, path.substr(0, slash)), errno);
    folder = std::move(next);
    start = slash + 1;
  }
  return folder;
}

std::string last_component(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

Status write_all(int fd, ByteView bytes, std::string_view path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && (errno == EINTR || make_room(errno, bytes.size()))) continue;
    if (count < 0) return os_error("writing", path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status write_all_at(int fd, ByteView bytes, std::uint64_t offset, std::string_view path) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && (errno == EINTR || make_room(errno, bytes.size()))) continue;
    if (count < 0) return os_error("writing", path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<std::size_t> read_at(int fd, std::span<std::uint8_t> out, std::uint64_t offset, std::string_view path) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return os_error("reading", path, errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

Status take_room(int fd, std::uint64_t size, std::string_view path) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return os_error("sizing", path, errno);
  return take_room_at(fd, 0, size, path);
}

Status take_room_at(int fd, std::uint64_t offset, std::uint64_t bytes, std::string_view path) {
  if (bytes == 0) return {};
  const auto take = [&] { return ::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)); };
  if (with_room(bytes, take) == 0) return {};
  if (errno == EOPNOTSUPP || errno == ENOSYS) return {};
  return os_error("taking room for", path, errno);
}

Status sync_fd(int fd, std::string_view path) {
  if (::fsync(fd) != 0) return os_error("syncing", path, errno);
  return {};
}

}  // namespace instar::files

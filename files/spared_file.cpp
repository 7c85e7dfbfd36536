#include "files/spared_file.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"

namespace instar::files {
namespace {

constexpr std::string_view kSparedMark = "INSTSPAR";
constexpr std::size_t kSparedTailBytes = 16;

Bytes tail_of(std::uint64_t content_bytes) {
  Bytes tail = to_bytes(kSparedMark);
  for (int i = 0; i < 8; ++i) tail.push_back(static_cast<std::uint8_t>(content_bytes >> (8 * i)));
  return tail;
}

// How large the spare is to be for content of that size: a quarter more, for what comes later.
std::uint64_t size_for(std::uint64_t content_bytes) {
  const auto wanted = content_bytes + content_bytes / 4 + kSparedTailBytes;
  const auto step = limits::kSparedFileBytesStep;
  return (wanted + step - 1) / step * step;
}

// Random, because a file system that compresses would give equal bytes no room of their own.
Status fill_up(int fd, std::uint64_t from, std::uint64_t to, const std::string& path) {
  while (from < to) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(to - from, 16 * 1024));
    INSTAR_TRY(const auto bytes, random_bytes(count));
    INSTAR_CHECK(write_all_at(fd, bytes, from, path));
    from += count;
  }
  return {};
}

Status write_spare(const std::string& spare, ByteView content, std::uint32_t mode) {
  INSTAR_TRY(const Fd file, open_file(spare, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return os_error("looking at", spare, errno);
  if (!S_ISREG(status.st_mode)) return fail(Code::io, spare + " is not a file");
  if ((status.st_mode & 07777U) != mode && ::fchmod(file.get(), static_cast<mode_t>(mode)) != 0)
    return os_error("setting the mode of", spare, errno);
  const auto has = static_cast<std::uint64_t>(status.st_size);
  std::uint64_t size = has;
  if (content.size() + kSparedTailBytes > has) {
    size = size_for(content.size());
    INSTAR_CHECK(fill_up(file.get(), has, size, spare));
  }
  INSTAR_CHECK(write_all_at(file.get(), content, 0, spare));
  INSTAR_CHECK(write_all_at(file.get(), tail_of(content.size()), size - kSparedTailBytes, spare));
  return sync_fd(file.get(), spare);
}

bool cannot_exchange(int error_number) {
  return error_number == EINVAL || error_number == ENOSYS || error_number == EOPNOTSUPP;
}

}  // namespace

// The folder is synced first: a process that was killed before it could do that has left a spare that is still the
// file, for all that the disk knows.
Status write_spared_file(const std::string& path, ByteView content, std::uint32_t mode) {
  const std::string spare = path + ".spare";
  const auto slash = path.rfind('/');
  const auto folder = slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  if (exists(spare)) INSTAR_CHECK(sync_folder(folder));
  INSTAR_CHECK(write_spare(spare, content, mode));
  const unsigned int how = exists(path) ? RENAME_EXCHANGE : 0;
  const auto change = [&] { return ::renameat2(AT_FDCWD, spare.c_str(), AT_FDCWD, path.c_str(), how); };
  if (with_room(0, change) != 0) {
    if (cannot_exchange(errno)) return write_file_atomic(path, content, mode);
    return os_error("exchanging " + spare + " with", path, errno);
  }
  return sync_folder(folder);
}

Result<Bytes> read_spared_file(const std::string& path, std::size_t bytes_max) {
  INSTAR_TRY(auto bytes, read_file(path, bytes_max));
  if (bytes.size() < kSparedTailBytes) return bytes;
  const auto tail = ByteView(bytes).last(kSparedTailBytes);
  if (as_text(tail.first(kSparedMark.size())) != kSparedMark) return bytes;
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < 8; ++i) size |= std::uint64_t{tail[kSparedMark.size() + i]} << (8 * i);
  if (size <= bytes.size() - kSparedTailBytes) bytes.resize(static_cast<std::size_t>(size));
  return bytes;
}

}  // namespace instar::files

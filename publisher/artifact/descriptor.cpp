#include "publisher/artifact/descriptor.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace instar::publisher {
namespace {

tl::unexpected<Error> os_error(std::string_view doing, const std::string& path) {
  const int number = errno;
  const Code code = number == ENOENT                       ? Code::not_found
                    : number == ENOSPC || number == EDQUOT ? Code::no_space
                                                           : Code::io;
  return fail(code, std::string(doing) + " " + path + ": " + std::strerror(number));
}

}  // namespace

Descriptor::Descriptor(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

Descriptor::Descriptor(Descriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Descriptor> Descriptor::open_read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return os_error("opening", path);
  return Descriptor(fd, path);
}

Result<Descriptor> Descriptor::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return os_error("creating", path);
  return Descriptor(fd, path);
}

Result<std::uint64_t> Descriptor::size() const {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return os_error("looking at", path_);
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid_argument, path_ + " is not a regular file");
  return static_cast<std::uint64_t>(info.st_size);
}

Status Descriptor::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os_error("reading", path_);
    if (got == 0)
      return fail(Code::corrupt,
                  path_ + " ends at byte " + std::to_string(offset + done) + ", in the middle of its data");
    done += static_cast<std::size_t>(got);
  }
  return {};
}

Status Descriptor::write(ByteView bytes) const {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return os_error("writing", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Status Descriptor::sync() const {
  if (::fsync(fd_) != 0) return os_error("syncing", path_);
  return {};
}

}  // namespace instar::publisher

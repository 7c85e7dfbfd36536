#include "broker-plugin/mosquitto/transfer_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/limits.hpp"

namespace instar::broker {
namespace {

[[nodiscard]] Result<int> open_to_append(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return fail(Code::io, "opening the transfer log " + path + ": " + std::strerror(errno));
  return fd;
}

}  // namespace

Result<TransferFile> TransferFile::open(const std::string& path) {
  INSTAR_TRY(const int fd, open_to_append(path));
  return TransferFile(path, fd);
}

TransferFile::TransferFile(TransferFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)),
      lost_(other.lost_) {}

TransferFile::~TransferFile() {
  if (fd_ < 0) return;
  flush();
  ::close(fd_);
}

void TransferFile::add(WallMs when, const DeviceId& device, const PackId& pack, std::uint32_t ordinal,
                       std::uint32_t offset, std::uint32_t bytes) {
  if (buffer_.size() >= limits::kTransferLogBytesMax) {
    ++lost_;
    return;
  }
  buffer_ += std::to_string(when.value) + ' ' + device.str() + ' ' + pack.hex() + ' ' + std::to_string(ordinal) + ' ' +
             std::to_string(offset) + ' ' + std::to_string(bytes) + '\n';
}

void TransferFile::flush() noexcept {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const auto written = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  buffer_.erase(0, done);
}

Status TransferFile::reopen() {
  flush();
  INSTAR_TRY(const int fd, open_to_append(path_));
  ::close(std::exchange(fd_, fd));
  return {};
}

std::uint64_t TransferFile::take_lost() noexcept {
  return std::exchange(lost_, 0);
}

}  // namespace instar::broker

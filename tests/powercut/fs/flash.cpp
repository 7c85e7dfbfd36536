#include "tests/powercut/fs/flash.hpp"

#include <fcntl.h>
#include <linux/ioctl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "files/files.hpp"

namespace instar::powercut {
namespace {

constexpr unsigned long kShutdown = _IOR('X', 125, std::uint32_t);
constexpr std::uint32_t kWithoutFlushing = 2;
// Five minutes: only a process that hangs keeps a mount busy for so long.
constexpr useconds_t kUnmountPauseUs = 10'000;
constexpr int kUnmountTries = 30'000;

// Its output, without the last newline. Errors: io.
Result<std::string> command(const std::string& line) {
  FILE* const out = ::popen((line + " 2>&1").c_str(), "r");
  if (out == nullptr) return fail(Code::io, "cannot run " + line);
  std::string text;
  char buffer[512];
  while (const auto got = std::fread(buffer, 1, sizeof buffer, out)) text.append(buffer, got);
  if (::pclose(out) != 0) return fail(Code::io, line + ": " + text);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

Status system_error(const std::string& doing) {
  return fail(Code::io, doing + ": " + std::strerror(errno));
}

}  // namespace

Result<Flash> Flash::make(const std::string& folder, int megabytes) {
  const auto image = folder + "/flash.img";
  Flash flash;
  flash.mountpoint_ = folder + "/flash";
  INSTAR_CHECK(files::make_folders(flash.mountpoint_));
  const int fd = ::open(image.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ::ftruncate(fd, off_t{megabytes} * 1024 * 1024) != 0) return fail(system_error(image).error());
  ::close(fd);
  INSTAR_TRY(const auto made, command("mkfs.ext4 -q -F " + image));
  INSTAR_TRY(flash.loop_, command("losetup -f --show " + image));
  return flash;
}

Flash::Flash(Flash&& other) noexcept
    : mountpoint_(std::exchange(other.mountpoint_, {})), loop_(std::exchange(other.loop_, {})) {}

Flash::~Flash() {
  if (loop_.empty()) return;
  ::umount2(mountpoint_.c_str(), MNT_DETACH);
  static_cast<void>(command("losetup -d " + loop_));
}

Status Flash::mount() const {
  if (::mount(loop_.c_str(), mountpoint_.c_str(), "ext4", 0, "commit=1") != 0) return system_error("mounting " + loop_);
  return {};
}

Status Flash::cut() const {
  const int fd = ::open(mountpoint_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const auto flags = kWithoutFlushing;
  const bool done = fd >= 0 && ::ioctl(fd, kShutdown, &flags) == 0;
  const auto cut = done ? Status() : system_error("shutting " + mountpoint_ + " down");
  if (fd >= 0) ::close(fd);
  return cut;
}

Status Flash::unmount() const {
  for (int i = 0; ::umount2(mountpoint_.c_str(), 0) != 0; ++i) {
    if (errno != EBUSY || i == kUnmountTries) return system_error("unmounting " + mountpoint_);
    ::usleep(kUnmountPauseUs);
  }
  return {};
}

Status Flash::check() const {
  INSTAR_TRY(const auto said, command("e2fsck -fn " + loop_));
  return {};
}

}  // namespace instar::powercut

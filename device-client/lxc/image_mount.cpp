#include "device-client/lxc/image_mount.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/limits.hpp"
#include "files/posix.hpp"

namespace instar::device {
namespace {

constexpr useconds_t kRetryWaitUs = 10'000;

struct Loop {
  std::string path;
  files::Fd device;  // keeps the loop device until it is mounted
};

tl::unexpected<Error> error_of(const std::string& what, int error, Code code = Code::io) {
  return fail(code, what + ": " + std::strerror(error));
}

loop_info64 settings_for(const std::string& file) {
  loop_info64 info{};
  info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  std::copy_n(file.begin(), std::min(file.size(), sizeof info.lo_file_name - 1), info.lo_file_name);
  return info;
}

// For kernels before 5.8, in two steps. Returns 0 or an errno.
int attach_in_steps(int loop, int image, const loop_info64& info) {
  if (::ioctl(loop, LOOP_SET_FD, image) != 0) return errno;
  int error = EAGAIN;
  for (int i = 0; i < limits::kLoopSetupTriesMax && error == EAGAIN; ++i) {
    if (i > 0) ::usleep(kRetryWaitUs);
    error = ::ioctl(loop, LOOP_SET_STATUS64, &info) == 0 ? 0 : errno;
  }
  if (error != 0) ::ioctl(loop, LOOP_CLR_FD);
  return error;
}

// Returns 0 or an errno. EBUSY: another program has the device.
int attach(int loop, int image, const loop_info64& info) {
#ifdef LOOP_CONFIGURE
  loop_config config{};
  config.fd = static_cast<__u32>(image);
  config.info = info;
  if (::ioctl(loop, LOOP_CONFIGURE, &config) == 0) return 0;
  if (errno != EINVAL && errno != ENOTTY) return errno;
#endif
  return attach_in_steps(loop, image, info);
}

Result<Loop> attach_loop(const std::string& file) {
  const files::Fd image(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!image.is_open()) {
    return error_of("cannot open the image " + file, errno, errno == ENOENT ? Code::not_found : Code::io);
  }
  const files::Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control.is_open())
    return error_of("this kernel gives no loop device for an image: /dev/loop-control", errno, Code::unsupported);
  for (int i = 0; i < limits::kLoopTriesMax; ++i) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return error_of("no loop device is free for the image " + file, errno);
    std::string path = "/dev/loop" + std::to_string(number);
    files::Fd device(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!device.is_open()) return error_of("cannot open " + path + " for the image " + file, errno);
    const int error = attach(device.get(), image.get(), settings_for(file));
    if (error == 0) return Loop{std::move(path), std::move(device)};
    if (error != EBUSY) return error_of("cannot attach the image " + file + " to " + path, error);
    ::usleep(kRetryWaitUs);
  }
  return fail(Code::io, "no loop device for the image " + file + ": somebody else took each that was free");
}

tl::unexpected<Error> mount_error(const ContainerImage& image, int error) {
  const std::string what = "cannot mount the image " + image.file + " as " + image.file_system;
  if (error == ENODEV) return error_of(what + ", which this kernel does not have", error, Code::unsupported);
  if (error != EINVAL && error != EIO && error != EUCLEAN && error != EBADMSG) return error_of(what, error);
  return error_of(
      what + ": it is damaged, or of a kind or compression that this kernel does not know (dmesg says which)", error,
      Code::corrupt);
}

}  // namespace

Status mount_image(const ContainerImage& image, const std::string& lower) {
  if (::mkdir(lower.c_str(), 0700) != 0 && errno != EEXIST) return error_of("cannot make " + lower, errno);
  INSTAR_TRY(const Loop loop, attach_loop(image.file));
  // Setuid bits stay valid (no MS_NOSUID), because only the container sees the mount.
  const unsigned long flags = MS_RDONLY | (image.devices ? 0 : MS_NODEV);
  // The journal is not replayed, because the device is read-only and the image must stay what was signed.
  const char* const options = image.file_system == "ext4" ? "noload" : nullptr;
  if (::mount(loop.path.c_str(), lower.c_str(), image.file_system.c_str(), flags, options) != 0)
    return mount_error(image, errno);
  struct stat root {};
  if (::stat(lower.c_str(), &root) != 0 || ::chmod(image.upper.c_str(), root.st_mode & 07777U) != 0 ||
      ::chown(image.upper.c_str(), root.st_uid, root.st_gid) != 0) {
    return error_of("cannot prepare " + image.upper, errno);
  }
  return {};
}

}  // namespace instar::device

#include "device-client/process/own_program.hpp"

#include <limits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace instar::device {

Result<std::string> own_program() {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0) return fail(Code::io, std::string("cannot read /proc/self/exe: ") + std::strerror(errno));
  return std::string(self, static_cast<std::size_t>(length));
}

}  // namespace instar::device

// An input as a file that exists in memory alone, for what is read by its path.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/base/bytes.hpp"
#include "files/posix.hpp"

namespace instar::fuzz {

class MemoryFile {
 public:
  explicit MemoryFile(ByteView bytes) : file_(::memfd_create("input", MFD_CLOEXEC)) {
    if (!file_.is_open() || !files::write_all(file_.get(), bytes, "input")) std::abort();
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(file_.get()); }

 private:
  files::Fd file_;
};

}  // namespace instar::fuzz

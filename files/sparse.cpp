#include "files/sparse.hpp"

#include <fcntl.h>

#include "core/artifact/holes.hpp"
#include "files/posix.hpp"

namespace instar::files {

Status write_with_holes(int fd, ByteView bytes, std::uint64_t offset, std::string_view path) {
  constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  while (!bytes.empty()) {
    const artifact::Stretch stretch = artifact::first_stretch(bytes, offset);
    if (!stretch.is_hole ||
        ::fallocate(fd, kPunch, static_cast<off_t>(offset), static_cast<off_t>(stretch.bytes)) != 0) {
      INSTAR_CHECK(write_all_at(fd, bytes.first(stretch.bytes), offset, path));
    }
    bytes = bytes.subspan(stretch.bytes);
    offset += stretch.bytes;
  }
  return {};
}

}  // namespace instar::files

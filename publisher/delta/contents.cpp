#include "publisher/delta/contents.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"
#include "core/delta/make/archive_map.hpp"
#include "files/posix.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kGzipEndBytes = 4;
// Both contents, and one part of them at a time in all tables of a comparison.
constexpr std::uint64_t kArchiveFactor = 2;

}  // namespace

Result<Bytes> TreeContents::read(const artifact::Entry& file) const {
  return read_content(tree_.tree, file);
}

std::uint64_t TreeContents::bytes_inside(const artifact::Entry& file) const {
  if (file.size < 2 * kGzipEndBytes) return file.size;
  const auto& tree = tree_.tree;
  const auto opened = files::open_below(tree.fd(), file.path, O_RDONLY | O_NONBLOCK, tree.path());
  std::array<std::uint8_t, 5> magic{};
  std::array<std::uint8_t, kGzipEndBytes> end{};
  if (!opened || !files::read_at(opened->get(), magic, 0, file.path)) return file.size;
  if (delta::may_be_archive(magic)) return file.size * kArchiveFactor;
  if (magic[0] != 0x1f || magic[1] != 0x8b) return file.size;
  if (!files::read_at(opened->get(), end, file.size - end.size(), file.path)) return file.size;
  const std::uint64_t content = end[0] | end[1] << 8 | end[2] << 16 | static_cast<std::uint64_t>(end[3]) << 24;
  return file.size + std::min<std::uint64_t>(content, limits::kGzipFindBytesMax);
}

}  // namespace instar::publisher

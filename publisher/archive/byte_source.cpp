#include "publisher/archive/byte_source.hpp"

#include <algorithm>

namespace instar::publisher {
namespace {

constexpr std::size_t kDrainBytes = 64 * 1024;

}  // namespace

Result<std::size_t> FileSource::read(std::span<std::uint8_t> out) {
  INSTAR_TRY(const std::size_t got, files::read_at(file_.get(), out, offset_, shown_));
  offset_ += got;
  return got;
}

Result<std::size_t> MemorySource::read(std::span<std::uint8_t> out) {
  const std::size_t count = std::min(out.size(), bytes_.size());
  std::ranges::copy(bytes_.first(count), out.begin());
  bytes_ = bytes_.subspan(count);
  return count;
}

Result<bool> read_to_end(ByteSource& source) {
  Bytes buffer(kDrainBytes);
  bool has_more = false;
  while (true) {
    INSTAR_TRY(const std::size_t got, source.read(buffer));
    if (got == 0) return has_more;
    const auto bytes = ByteView(buffer).first(got);
    has_more = has_more || std::ranges::any_of(bytes, [](std::uint8_t byte) { return byte != 0; });
  }
}

}  // namespace instar::publisher

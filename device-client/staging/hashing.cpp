#include "device-client/staging/hashing.hpp"

#include <algorithm>

namespace instar::device {

namespace {
constexpr std::size_t kHashReadBytes = 64 * 1024;
}  // namespace

Result<std::optional<Hash256>> FileHash::hash_some(std::uint64_t& bytes, const std::string& shown) {
  Bytes buffer(kHashReadBytes);
  while (bytes > 0) {
    INSTAR_TRY(const std::size_t got, files::read_at(file_.get(), buffer, offset_, shown));
    hasher_.update(ByteView(buffer).first(got));
    offset_ += got;
    bytes -= std::min<std::uint64_t>(bytes, got);
    if (got < buffer.size()) return hasher_.finish();
  }
  return std::nullopt;
}

std::uint64_t path_key(std::string_view path) {
  return trust::digest(as_bytes(path)).prefix64();
}

}  // namespace instar::device

#include "publisher/archive/stored_content.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/trust/digest.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"
#include "files/sparse.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kZeroBytes = 64 * 1024;
constexpr std::uint32_t kOwnMode = 0600;

void hash_zeros(trust::Hasher& hasher, std::uint64_t count) {
  static const Bytes kZeros(kZeroBytes);
  while (count > 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(count, kZeroBytes));
    hasher.update(ByteView(kZeros).first(part));
    count -= part;
  }
}

}  // namespace

StoredContent::~StoredContent() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<Bytes> StoredContent::read(std::size_t bytes_max) const {
  return files::read_file(path_, bytes_max);
}

Status StoredContent::move_to(const std::string& path) {
  if (::rename(path_.c_str(), path.c_str()) != 0) return files::os_error("renaming a file to", path, errno);
  path_.clear();
  return {};
}

Result<std::shared_ptr<StoredContent>> ContentStore::store(ArchiveReader& reader, std::uint64_t size) {
  const std::string path = folder_ + "/" + std::to_string(next_++);
  INSTAR_TRY(const files::Fd file, files::open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kOwnMode));
  trust::Hasher hasher;
  std::uint64_t done = 0;
  const auto take = [&](std::uint64_t offset, ByteView bytes) -> Status {
    hash_zeros(hasher, offset - done);
    hasher.update(bytes);
    done = offset + bytes.size();
    const bool zeros = std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
    return zeros ? Status{} : files::write_with_holes(file.get(), bytes, offset, path);
  };
  auto content = std::make_shared<StoredContent>(path, size);
  INSTAR_CHECK(reader.read_content(take));
  hash_zeros(hasher, size - done);
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) return files::os_error("sizing", path, errno);
  content->set_hash(hasher.finish());
  return content;
}

}  // namespace instar::publisher

#include "device-client/staging/chunks.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

constexpr std::string_view kCacheMagic{"INCT\x01\0\0\0", 8};
constexpr std::string_view kBitsMagic{"INBM\x01\0\0\0", 8};
constexpr std::size_t kCacheRowBytes = 44;
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kBitsAt = 40;
// Every chunk but the last has at least dedupe's minimum of 8 KiB.
constexpr std::size_t kLargestCacheBytes = 8 + (limits::kContentBytesMax / 8192 + 1) * kCacheRowBytes + kDigestBytes;

void append_number(Bytes& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint64_t read_number(ByteView bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8 | bytes[i - 1];
  return value;
}

}  // namespace

std::string chunk_cache_name(artifact::PackKind kind) {
  return "chunks-" + std::string(artifact::pack_kind_name(kind));
}

void sort_chunks(std::vector<ChunkPlace>& chunks) {
  std::ranges::sort(chunks, [](const ChunkPlace& a, const ChunkPlace& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.offset < b.offset;
  });
}

const ChunkPlace* find_chunk(const std::vector<ChunkPlace>& sorted, const Hash256& hash) noexcept {
  const auto at = std::ranges::lower_bound(sorted, hash, {}, &ChunkPlace::hash);
  return at == sorted.end() || at->hash != hash ? nullptr : &*at;
}

Status write_chunk_cache(const std::string& path, const std::vector<ChunkPlace>& sorted) {
  Bytes bytes = to_bytes(kCacheMagic);
  bytes.reserve(kCacheMagic.size() + sorted.size() * kCacheRowBytes + kDigestBytes);
  for (const ChunkPlace& chunk : sorted) {
    bytes.insert(bytes.end(), chunk.hash.bytes.begin(), chunk.hash.bytes.end());
    append_number(bytes, chunk.offset, 8);
    append_number(bytes, chunk.bytes, 4);
  }
  const Hash256 digest = trust::digest(bytes);
  bytes.insert(bytes.end(), digest.bytes.begin(), digest.bytes.end());
  return files::write_file_atomic(path, bytes, 0600);
}

Result<std::vector<ChunkPlace>> read_chunk_cache(const std::string& path) {
  INSTAR_TRY(const Bytes bytes, files::read_file(path, kLargestCacheBytes));
  const ByteView view = bytes;
  const std::size_t frame = kCacheMagic.size() + kDigestBytes;
  if (view.size() < frame || (view.size() - frame) % kCacheRowBytes != 0 ||
      as_text(view.first(kCacheMagic.size())) != kCacheMagic ||
      trust::digest(view.first(view.size() - kDigestBytes)) != *Hash256::from_bytes(view.last(kDigestBytes))) {
    return fail(Code::corrupt, path + " is broken");
  }
  std::vector<ChunkPlace> chunks;
  chunks.reserve((view.size() - frame) / kCacheRowBytes);
  for (std::size_t at = kCacheMagic.size(); at < view.size() - kDigestBytes; at += kCacheRowBytes) {
    chunks.push_back({*Hash256::from_bytes(view.subspan(at, 32)), read_number(view.subspan(at + 32, 8)),
                      static_cast<std::uint32_t>(read_number(view.subspan(at + 40, 4)))});
  }
  return chunks;
}

Result<ChunkBits> ChunkBits::read(const std::string& path, const PackId& pack, std::uint32_t count) {
  ChunkBits result;
  result.path_ = path;
  INSTAR_TRY(result.file_, files::open_file(path, O_RDWR | O_NOFOLLOW));
  const std::size_t size = kBitsAt + (count + 7) / 8;
  Bytes bytes(size + 1);
  INSTAR_TRY(const std::size_t got, files::read_at(result.file_.get(), bytes, 0, path));
  const ByteView view = bytes;
  if (got != size || as_text(view.first(8)) != kBitsMagic || *Hash256::from_bytes(view.subspan(8, 32)) != pack) {
    return fail(Code::corrupt, path + " is broken or of another pack");
  }
  result.bits_ = to_bytes(view.subspan(kBitsAt, size - kBitsAt));
  return result;
}

Result<ChunkBits> ChunkBits::open(const std::string& path, const PackId& pack, std::uint32_t count, bool at_first) {
  if (auto present = read(path, pack, count)) return present;
  Bytes bytes = to_bytes(kBitsMagic);
  bytes.insert(bytes.end(), pack.bytes.begin(), pack.bytes.end());
  bytes.resize(kBitsAt + (count + 7) / 8, at_first ? 0xff : 0);
  INSTAR_CHECK(files::write_file_atomic(path, bytes, 0600));
  return read(path, pack, count);
}

Status ChunkBits::set(std::uint32_t ordinal, bool value) {
  const std::size_t at = ordinal / 8;
  INSTAR_ASSERT(at < bits_.size());
  const auto mask = static_cast<std::uint8_t>(1U << (ordinal % 8));
  const auto byte = static_cast<std::uint8_t>(value ? bits_[at] | mask : bits_[at] & ~mask);
  if (byte == bits_[at]) return {};
  INSTAR_CHECK(files::write_all_at(file_.get(), ByteView(&byte, 1), kBitsAt + at, path_));
  bits_[at] = byte;
  return {};
}

Status ChunkBits::sync() const {
  if (::fdatasync(file_.get()) != 0) return files::os_error("syncing", path_, errno);
  return {};
}

}  // namespace instar::device

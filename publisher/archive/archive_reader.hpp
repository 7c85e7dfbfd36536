// Archives and compressed bytes, read by libarchive. Only archive_*.cpp and unpacked_source.cpp know that library.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/result.hpp"
#include "publisher/archive/byte_source.hpp"

namespace instar::publisher {

// Unpacks gzip, xz, lzma, zstd, bzip2 and lz4, by the first bytes of what comes; anything else is passed on as it is.
class UnpackedSource final : public ByteSource {
 public:
  // `packed` must outlive it. Past `bytes_max` unpacked bytes reading ends with too_large. Errors: malformed (the
  // compressed bytes are damaged or cut off), those of `packed`.
  [[nodiscard]] static Result<std::unique_ptr<UnpackedSource>> open(ByteSource& packed, std::uint64_t bytes_max);
  ~UnpackedSource() override;
  [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out) override;
  [[nodiscard]] bool was_packed() const noexcept;

 private:
  struct State;
  explicit UnpackedSource(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What an archive says of one entry.
struct ArchiveEntry {
  enum class Kind : std::uint8_t { folder, file, symlink, hardlink, char_device, block_device, fifo, socket };
  std::string path;  // as it stands there
  Kind kind = Kind::file;
  std::uint16_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t time = 0;   // seconds since 1970
  std::uint64_t size = 0;  // of a file; of a hard link, if content follows
  std::string target;      // of links
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::vector<artifact::Xattr> xattrs;  // in the archive's order; ACLs are among them
  bool acl_is_by_name = false;          // it was left out therefore, and the mode lowered
};

enum class ArchiveFormat : std::uint8_t { tar, cpio };

class ArchiveReader {
 public:
  // `source`: not compressed; it must outlive the reader.
  [[nodiscard]] static Result<std::unique_ptr<ArchiveReader>> open(ByteSource& source);
  ~ArchiveReader();
  // The next entry; false at the end. Errors: malformed (no tar or cpio, damaged, cut off), too_large (sizes that
  // nothing has), those of the source.
  [[nodiscard]] Result<bool> next(ArchiveEntry& entry);
  // The content of the entry that came last, in ascending pieces; what is between them, and behind them up to the
  // entry's size, is zero. Errors: those of next() and of `take`.
  using Take = std::function<Status(std::uint64_t offset, ByteView bytes)>;
  [[nodiscard]] Status read_content(const Take& take);
  // Known once an entry was read.
  [[nodiscard]] ArchiveFormat format() const noexcept;

 private:
  struct State;
  explicit ArchiveReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whether a file that begins like this may be an archive, or compressed. `first`: kArchiveProbeBytes are enough.
[[nodiscard]] bool looks_like_archive(ByteView first) noexcept;
inline constexpr std::size_t kArchiveProbeBytes = 512;

}  // namespace instar::publisher

// One line for each piece of a chunk that goes out, in a file that is only ever appended to:
//   unix_ms device pack ordinal offset bytes
// For accounting and for tests. It must never stop the broker: a disk that is full costs lines, which are counted and
// told.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

class TransferFile {
 public:
  // Bytes kept while the disk takes none.

  // Errors: io.
  [[nodiscard]] static Result<TransferFile> open(const std::string& path);
  TransferFile(TransferFile&& other) noexcept;
  TransferFile& operator=(TransferFile&&) = delete;
  TransferFile(const TransferFile&) = delete;
  TransferFile& operator=(const TransferFile&) = delete;
  ~TransferFile();

  void add(WallMs when, const DeviceId& device, const PackId& pack, std::uint32_t ordinal, std::uint32_t offset,
           std::uint32_t bytes);
  // Hands what was added to the kernel. Cheap when there is nothing.
  void flush() noexcept;
  // After logrotate has moved the file away. On failure the old file is kept.
  [[nodiscard]] Status reopen();
  // Lines lost since the last call.
  [[nodiscard]] std::uint64_t take_lost() noexcept;

 private:
  TransferFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_ = -1;
  std::string buffer_;
  std::uint64_t lost_ = 0;
};

}  // namespace instar::broker

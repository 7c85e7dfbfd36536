// A file with one line for each piece of a chunk that is sent. It is only ever appended to:
//   unix_ms device pack ordinal offset bytes
// It is for accounting and for tests, and must never stop the broker. When the disk is full, lines are lost, and the
// log says how many.
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
  // Bytes kept in memory while nothing can be written.

  // Errors: io.
  [[nodiscard]] static Result<TransferFile> open(const std::string& path);
  TransferFile(TransferFile&& other) noexcept;
  TransferFile& operator=(TransferFile&&) = delete;
  TransferFile(const TransferFile&) = delete;
  TransferFile& operator=(const TransferFile&) = delete;
  ~TransferFile();

  void add(WallMs when, const DeviceId& device, const PackId& pack, std::uint32_t ordinal, std::uint32_t offset,
           std::uint32_t bytes);
  // Writes the lines that were added. Cheap when there are none.
  void flush() noexcept;
  // For use after logrotate has moved the file away. On failure the old file is kept.
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

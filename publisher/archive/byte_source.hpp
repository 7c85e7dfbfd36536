// Bytes that are read once, from the first to the last.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/result.hpp"
#include "files/posix.hpp"

namespace instar::publisher {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Some bytes, at most `out.size()`; 0 only at the end. After an error it must not be used any more.
  [[nodiscard]] virtual Result<std::size_t> read(std::span<std::uint8_t> out) = 0;
};

// A file from its beginning. Errors: io.
class FileSource final : public ByteSource {
 public:
  // `shown`: its name in errors.
  FileSource(files::Fd file, std::string shown) : file_(std::move(file)), shown_(std::move(shown)) {}
  [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out) override;

 private:
  files::Fd file_;
  std::string shown_;
  std::uint64_t offset_ = 0;
};

// Bytes that are in memory already, and outlive it.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out) override;

 private:
  ByteView bytes_;
};

// Reads what is left, and returns whether any of it is other than zero.
[[nodiscard]] Result<bool> read_to_end(ByteSource& source);

}  // namespace instar::publisher

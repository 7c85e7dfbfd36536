// A file being hashed, piece by piece.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/trust/digest.hpp"
#include "files/posix.hpp"

namespace instar::device {

class FileHash {
 public:
  explicit FileHash(files::Fd file) : file_(std::move(file)) {}
  [[nodiscard]] int fd() const noexcept { return file_.get(); }
  // Bytes hashed so far: the size of the file when it has ended.
  [[nodiscard]] std::uint64_t size() const noexcept { return offset_; }
  // Hashes up to `bytes`, which it takes off; the digest when the file has ended, and then no more. Errors: io.
  [[nodiscard]] Result<std::optional<Hash256>> hash_some(std::uint64_t& bytes, const std::string& shown);

 private:
  files::Fd file_;
  trust::Hasher hasher_;
  std::uint64_t offset_ = 0;
};

}  // namespace instar::device

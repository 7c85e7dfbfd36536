// Hashes of files, piece by piece, and of paths.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "core/trust/digest.hpp"
#include "files/posix.hpp"

namespace instar::device {

class FileHash {
 public:
  explicit FileHash(files::Fd file) : file_(std::move(file)) {}
  [[nodiscard]] int fd() const noexcept { return file_.get(); }
  // Bytes hashed so far. At the end this is the size of the file.
  [[nodiscard]] std::uint64_t size() const noexcept { return offset_; }
  // Hashes up to `bytes` and subtracts what it hashed from them. Returns the digest at the end of the file, after which
  // it must not be called again. Errors: io.
  [[nodiscard]] Result<std::optional<Hash256>> hash_some(std::uint64_t& bytes, const std::string& shown);

 private:
  files::Fd file_;
  trust::Hasher hasher_;
  std::uint64_t offset_ = 0;
};

// Finds a path in a table without keeping the path.
[[nodiscard]] std::uint64_t path_key(std::string_view path);

}  // namespace instar::device

// An open file that closes itself, with whole reads and writes. Errors name the path.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::publisher {

class Descriptor {
 public:
  Descriptor() = default;
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  [[nodiscard]] static Result<Descriptor> open_read(const std::string& path);
  // Makes the file, or empties it.
  [[nodiscard]] static Result<Descriptor> create(const std::string& path);

  [[nodiscard]] Result<std::uint64_t> size() const;
  // Reads exactly `out.size()` bytes at `offset`. If the file has fewer, that is `corrupt`.
  [[nodiscard]] Status read_at(std::uint64_t offset, std::span<std::uint8_t> out) const;
  // Appends all of it.
  [[nodiscard]] Status write(ByteView bytes) const;
  [[nodiscard]] Status sync() const;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  Descriptor(int fd, std::string path);
  int fd_ = -1;
  std::string path_;
};

}  // namespace instar::publisher

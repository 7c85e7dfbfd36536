// The operations of one file, and where each old byte is in the new file.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/delta/operation.hpp"

namespace instar::delta {

// Takes 16 bytes for each operation. It is filled once for each file, then only read.
class CopyMap {
 public:
  void clear() noexcept;
  void add(const Operation& operation);
  // Piece by piece, as the control stream has them: all operations empty, then each set.
  void resize(std::size_t count);
  void set_copy_bytes(std::size_t i, std::uint32_t bytes) noexcept { copies_[i].bytes = bytes; }
  void set_now_start(std::size_t i, std::uint32_t start) noexcept { copies_[i].now_start = start; }
  void set_old_start(std::size_t i, std::uint32_t start) noexcept { copies_[i].old_start = start; }
  void set_now_bytes(std::uint32_t bytes) noexcept { now_bytes_ = bytes; }
  // After the last operation.
  void seal();

  [[nodiscard]] std::size_t size() const noexcept { return copies_.size(); }
  [[nodiscard]] Operation operation(std::size_t i) const noexcept;
  [[nodiscard]] std::uint32_t copy_bytes(std::size_t i) const noexcept { return copies_[i].bytes; }
  // Where in the new file its copy begins.
  [[nodiscard]] std::uint32_t now_start(std::size_t i) const noexcept { return copies_[i].now_start; }
  [[nodiscard]] std::uint32_t now_bytes() const noexcept { return now_bytes_; }

  // Where the byte at `old_offset` is in the new file, by the copy that covers it (the longest, if several do) or else
  // the nearest one. nullopt when there is no copy.
  [[nodiscard]] std::optional<std::int64_t> find(std::uint32_t old_offset) const noexcept;

 private:
  struct Copy {
    std::uint32_t old_start = 0;
    std::uint32_t bytes = 0;
    std::uint32_t now_start = 0;
  };
  [[nodiscard]] std::uint32_t distance(const Copy& copy, std::uint32_t old_offset) const noexcept;

  std::vector<Copy> copies_;           // in order of the new file
  std::vector<std::uint32_t> by_old_;  // those with bytes, by old_start
  std::uint32_t now_bytes_ = 0;
};

}  // namespace instar::delta

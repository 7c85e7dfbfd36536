// The small files beside a staged tree that say which chunks it holds (docs/formats/staging.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/artifact/pack.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "files/posix.hpp"

namespace instar::device {

// Where a chunk is in a content stream.
struct ChunkPlace {
  Hash256 hash;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
};

// All chunks of a complete tree, sorted by hash: `chunks-full`, `chunks-dedupe`. This is a cache, which is made again
// when it is missing or broken.
[[nodiscard]] std::string chunk_cache_name(artifact::PackKind kind);
void sort_chunks(std::vector<ChunkPlace>& chunks);
[[nodiscard]] const ChunkPlace* find_chunk(const std::vector<ChunkPlace>& sorted, const Hash256& hash) noexcept;
[[nodiscard]] Status write_chunk_cache(const std::string& path, const std::vector<ChunkPlace>& sorted);
// Errors: not_found, corrupt, io.
[[nodiscard]] Result<std::vector<ChunkPlace>> read_chunk_cache(const std::string& path);

// One bit for each body chunk of one pack: `bitmap`, `written`.
class ChunkBits {
 public:
  // Opens the file. If there is none, or it is of another pack or size, makes it with all bits clear (or set).
  [[nodiscard]] static Result<ChunkBits> open(const std::string& path, const PackId& pack, std::uint32_t count,
                                              bool at_first = false);
  // Only reads the file. Errors: not_found, corrupt, io.
  [[nodiscard]] static Result<ChunkBits> read(const std::string& path, const PackId& pack, std::uint32_t count);
  [[nodiscard]] bool test(std::uint32_t ordinal) const noexcept {
    return (bits_[ordinal / 8] >> (ordinal % 8) & 1) != 0;
  }
  // Writes to the file, but does not sync it.
  [[nodiscard]] Status set(std::uint32_t ordinal, bool value);
  [[nodiscard]] Status sync() const;

 private:
  files::Fd file_;
  std::string path_;
  Bytes bits_;
};

}  // namespace instar::device

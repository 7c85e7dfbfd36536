// What a maker of recipes needs to know of a gzip file.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.hpp"

namespace instar::delta {

struct GzipBlockEnd {
  std::uint64_t content_bytes = 0;  // from the content's start
  std::uint64_t file_bits = 0;      // from the file's start
};

struct GzipParts {
  std::size_t header_bytes = 0;
  Bytes content;
  std::vector<GzipBlockEnd> block_ends;  // of the deflate blocks, but for the last one
};

// nullopt unless `file` is a valid gzip file of one member with nothing after it, whose content is at most
// `content_bytes_max`. Memory: the content, whose size in the file is not trusted, and 50 KB.
[[nodiscard]] std::optional<GzipParts> unpack_gzip(ByteView file, std::size_t content_bytes_max);

}  // namespace instar::delta

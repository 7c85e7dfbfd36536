// Compression of chunks and of manifests. Decoding is bounded by the expected size, so a bomb gives an error and takes
// no memory.
#pragma once

#include <cstdint>

#include "core/base/bytes.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"

namespace instar::artifact {

// Frozen numbers, the same as instar.fb.Codec.
enum class Codec : std::uint8_t { raw = 0, zstd = 1 };

struct EncodedChunk {
  Codec codec = Codec::raw;
  Bytes bytes;
};

// Encodes with zstd at `level`, or raw when zstd is not smaller.
[[nodiscard]] EncodedChunk encode_chunk(ByteView decoded, int level = 19);

// A chunk, as manifests and pack tables name it.
struct ChunkRef {
  ChunkHash hash;  // of the decoded bytes
  std::uint32_t encoded_bytes = 0;
  std::uint32_t decoded_bytes = 0;
  Codec codec = Codec::raw;
  friend bool operator==(const ChunkRef&, const ChunkRef&) = default;
};

// Decodes into exactly ref.decoded_bytes and checks the hash. Errors: corrupt (size, frame or hash differ; the message
// says which), too_large (a size over limits.hpp), unsupported (codec).
[[nodiscard]] Result<Bytes> decode_chunk(const ChunkRef& ref, ByteView encoded);

// Whether `bytes` begin as a zstd frame does.
[[nodiscard]] bool is_zstd_frame(ByteView bytes) noexcept;
// Decodes one frame that says its size and has nothing after it. Errors: corrupt (the message says why), too_large
// (over `bytes_max`; no memory is taken).
[[nodiscard]] Result<Bytes> decode_frame(ByteView frame, std::size_t bytes_max);

}  // namespace instar::artifact

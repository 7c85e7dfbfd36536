#include "core/artifact/codec.hpp"

#include <zstd.h>

#include <memory>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

std::string named(const ChunkRef& ref) {
  return "chunk " + ref.hash.short_hex();
}

Status check_sizes(const ChunkRef& ref, std::size_t encoded_bytes) {
  if (ref.decoded_bytes > limits::kChunkDecodedBytesMax || ref.encoded_bytes > limits::kChunkEncodedBytesMax) {
    return fail(Code::too_large, named(ref) + " claims " + std::to_string(ref.encoded_bytes) + " encoded and " +
                                     std::to_string(ref.decoded_bytes) + " decoded bytes; a chunk has at most " +
                                     std::to_string(limits::kChunkDecodedBytesMax));
  }
  if (ref.decoded_bytes == 0) return fail(Code::corrupt, named(ref) + " is empty");
  if (encoded_bytes != ref.encoded_bytes) {
    return fail(Code::corrupt, named(ref) + " has " + std::to_string(encoded_bytes) + " encoded bytes instead of " +
                                   std::to_string(ref.encoded_bytes));
  }
  return {};
}

// Decodes one frame that gives its size and has nothing after it. The size is compared before memory is taken for it.
Result<Bytes> decode_zstd(const ChunkRef& ref, ByteView encoded) {
  const unsigned long long promised = ZSTD_getFrameContentSize(encoded.data(), encoded.size());
  if (promised == ZSTD_CONTENTSIZE_ERROR) return fail(Code::corrupt, named(ref) + " is not a zstd frame");
  if (promised == ZSTD_CONTENTSIZE_UNKNOWN) return fail(Code::corrupt, named(ref) + " is a zstd frame of unknown size");
  if (promised != ref.decoded_bytes) {
    return fail(Code::corrupt, named(ref) + " would unpack to " + std::to_string(promised) + " bytes instead of " +
                                   std::to_string(ref.decoded_bytes));
  }
  const std::size_t frame_bytes = ZSTD_findFrameCompressedSize(encoded.data(), encoded.size());
  if (ZSTD_isError(frame_bytes) != 0) return fail(Code::corrupt, named(ref) + " is a broken zstd frame");
  if (frame_bytes != encoded.size()) return fail(Code::corrupt, named(ref) + " has bytes after its zstd frame");
  Bytes decoded(ref.decoded_bytes);
  const std::size_t got = ZSTD_decompress(decoded.data(), decoded.size(), encoded.data(), encoded.size());
  if (ZSTD_isError(got) != 0) {
    return fail(Code::corrupt, named(ref) + " is a broken zstd frame: " + ZSTD_getErrorName(got));
  }
  if (got != decoded.size()) {
    return fail(Code::corrupt, named(ref) + " unpacked to " + std::to_string(got) + " bytes instead of " +
                                   std::to_string(ref.decoded_bytes));
  }
  return decoded;
}

}  // namespace

EncodedChunk encode_chunk(ByteView decoded, int level) {
  INSTAR_ASSERT(!decoded.empty());
  INSTAR_ASSERT(decoded.size() <= limits::kChunkDecodedBytesMax);
  Bytes packed(ZSTD_compressBound(decoded.size()));
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  INSTAR_ASSERT(context != nullptr);
  const std::size_t size =
      ZSTD_compressCCtx(context.get(), packed.data(), packed.size(), decoded.data(), decoded.size(), level);
  INSTAR_ASSERT(ZSTD_isError(size) == 0);
  if (size >= decoded.size()) return {Codec::raw, to_bytes(decoded)};
  packed.resize(size);
  return {Codec::zstd, std::move(packed)};
}

Result<Bytes> decode_chunk(const ChunkRef& ref, ByteView encoded) {
  INSTAR_CHECK(check_sizes(ref, encoded.size()));
  Bytes decoded;
  switch (ref.codec) {
    case Codec::raw:
      if (ref.decoded_bytes != ref.encoded_bytes) {
        return fail(Code::corrupt, named(ref) + " is raw, but its two sizes differ");
      }
      decoded = to_bytes(encoded);
      break;
    case Codec::zstd: {
      INSTAR_TRY(decoded, decode_zstd(ref, encoded));
      break;
    }
    default:
      return fail(Code::unsupported, named(ref) + " has codec " + std::to_string(static_cast<int>(ref.codec)) +
                                         ", which this version does not know");
  }
  if (trust::digest(decoded) != ref.hash) return fail(Code::corrupt, named(ref) + " does not match its hash");
  return decoded;
}

}  // namespace instar::artifact

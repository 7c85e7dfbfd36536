#include "core/artifact/codec.hpp"

#include <zstd.h>

#include <algorithm>
#include <array>
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

// The size that a frame gives, compared before memory is taken for it.
Result<std::uint64_t> promised_bytes(ByteView frame) {
  const unsigned long long promised = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (promised == ZSTD_CONTENTSIZE_ERROR) return fail(Code::corrupt, "is not a zstd frame");
  if (promised == ZSTD_CONTENTSIZE_UNKNOWN) return fail(Code::corrupt, "is a zstd frame of unknown size");
  return promised;
}

// Decodes a frame that gives this size and has nothing after it.
Result<Bytes> unpack(ByteView frame, std::size_t bytes) {
  const std::size_t frame_bytes = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
  if (ZSTD_isError(frame_bytes) != 0) return fail(Code::corrupt, "is a broken zstd frame");
  if (frame_bytes != frame.size()) return fail(Code::corrupt, "has bytes after its zstd frame");
  Bytes decoded(bytes);
  const std::size_t got = ZSTD_decompress(decoded.data(), decoded.size(), frame.data(), frame.size());
  if (ZSTD_isError(got) != 0)
    return fail(Code::corrupt, std::string("is a broken zstd frame: ") + ZSTD_getErrorName(got));
  if (got != bytes)
    return fail(Code::corrupt, "unpacked to " + std::to_string(got) + " bytes instead of " + std::to_string(bytes));
  return decoded;
}

Result<Bytes> decode_zstd(const ChunkRef& ref, ByteView encoded) {
  INSTAR_TRY(const auto promised, promised_bytes(encoded));
  if (promised != ref.decoded_bytes)
    return fail(Code::corrupt, "would unpack to " + std::to_string(promised) + " bytes instead of " +
                                   std::to_string(ref.decoded_bytes));
  return unpack(encoded, ref.decoded_bytes);
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
      auto unpacked = decode_zstd(ref, encoded);
      if (!unpacked) return fail(unpacked.error().code, named(ref) + " " + unpacked.error().message);
      decoded = std::move(*unpacked);
      break;
    }
    default:
      return fail(Code::unsupported, named(ref) + " has codec " + std::to_string(static_cast<int>(ref.codec)) +
                                         ", which this version does not know");
  }
  if (trust::digest(decoded) != ref.hash) return fail(Code::corrupt, named(ref) + " does not match its hash");
  return decoded;
}

bool is_zstd_frame(ByteView bytes) noexcept {
  constexpr std::array<std::uint8_t, 4> kMagic = {0x28, 0xb5, 0x2f, 0xfd};  // RFC 8878, 3.1.1
  return bytes.size() >= kMagic.size() && std::ranges::equal(bytes.first(kMagic.size()), kMagic);
}

Result<Bytes> decode_frame(ByteView frame, std::size_t bytes_max) {
  INSTAR_TRY(const auto promised, promised_bytes(frame));
  if (promised > bytes_max)
    return fail(Code::too_large, "would unpack to " + std::to_string(promised) + " bytes; at most " +
                                     std::to_string(bytes_max) + " may be");
  return unpack(frame, static_cast<std::size_t>(promised));
}

}  // namespace instar::artifact

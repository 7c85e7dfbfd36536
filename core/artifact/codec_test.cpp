#include "core/artifact/codec.hpp"

#include <gtest/gtest.h>
#include <zstd.h>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"

namespace instar::artifact {
namespace {

Bytes text_bytes(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>("instar moults "[i % 14] + (i / 999) % 3);
  return bytes;
}

Bytes noise(std::size_t size) {
  Bytes bytes(size);
  std::uint64_t state = 42;
  for (auto& byte : bytes) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<std::uint8_t>(state >> 56);
  }
  return bytes;
}

ChunkRef ref_of(ByteView decoded, const EncodedChunk& encoded) {
  return {ChunkHash(trust::digest(decoded)), static_cast<std::uint32_t>(encoded.bytes.size()),
          static_cast<std::uint32_t>(decoded.size()), encoded.codec};
}

Code verdict(const ChunkRef& ref, ByteView encoded) {
  const auto decoded = decode_chunk(ref, encoded);
  return decoded ? Code::ok : decoded.error().code;
}

TEST(Codec, DecodesWhatWasEncoded) {
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{100}, std::size_t{70'000}, limits::kChunkDecodedBytesMax}) {
    for (const Bytes& bytes : {text_bytes(size), noise(size)}) {
      const EncodedChunk encoded = encode_chunk(bytes, 3);
      const auto decoded = decode_chunk(ref_of(bytes, encoded), encoded.bytes);
      ASSERT_TRUE(decoded) << decoded.error().message;
      EXPECT_EQ(*decoded, bytes);
      EXPECT_LE(encoded.bytes.size(), bytes.size());
    }
  }
}

TEST(Codec, ChoosesRawWhenNothingIsGained) {
  EXPECT_EQ(encode_chunk(noise(1000)).codec, Codec::raw);
  EXPECT_EQ(encode_chunk(text_bytes(1000)).codec, Codec::zstd);
}

TEST(Codec, EncodesTheSameBytesInTheSameWay) {
  const Bytes bytes = text_bytes(200'000);
  EXPECT_EQ(encode_chunk(bytes).bytes, encode_chunk(bytes).bytes);
}

TEST(Codec, RefusesAWrongHash) {
  const Bytes bytes = text_bytes(1000);
  const EncodedChunk encoded = encode_chunk(bytes);
  ChunkRef ref = ref_of(bytes, encoded);
  ref.hash.bytes[31] ^= 1;
  EXPECT_EQ(verdict(ref, encoded.bytes), Code::corrupt);
}

TEST(Codec, RefusesEveryFlippedByte) {
  for (const Bytes& bytes : {text_bytes(500), noise(100)}) {
    const EncodedChunk encoded = encode_chunk(bytes);
    const ChunkRef ref = ref_of(bytes, encoded);
    for (std::size_t at = 0; at < encoded.bytes.size(); ++at) {
      Bytes broken = encoded.bytes;
      broken[at] ^= 0x10;
      const auto decoded = decode_chunk(ref, broken);
      // zstd frames have reserved bits: a flip may leave the content as it was, but never change it.
      if (decoded) {
        EXPECT_EQ(*decoded, bytes) << at;
      } else {
        EXPECT_EQ(decoded.error().code, Code::corrupt) << at;
      }
    }
  }
}

TEST(Codec, RefusesEveryTruncation) {
  const Bytes bytes = text_bytes(500);
  const EncodedChunk encoded = encode_chunk(bytes);
  for (std::size_t size = 0; size < encoded.bytes.size(); ++size) {
    ChunkRef ref = ref_of(bytes, encoded);
    EXPECT_EQ(verdict(ref, ByteView(encoded.bytes).first(size)), Code::corrupt);
    ref.encoded_bytes = static_cast<std::uint32_t>(size);
    EXPECT_EQ(verdict(ref, ByteView(encoded.bytes).first(size)), Code::corrupt);
  }
}

TEST(Codec, RefusesBytesAfterTheFrame) {
  const Bytes bytes = text_bytes(500);
  EncodedChunk encoded = encode_chunk(bytes);
  encoded.bytes.push_back(0);
  EXPECT_EQ(verdict(ref_of(bytes, encoded), encoded.bytes), Code::corrupt);
  encoded.bytes.pop_back();
  const Bytes again = encoded.bytes;
  encoded.bytes.insert(encoded.bytes.end(), again.begin(), again.end());
  EXPECT_EQ(verdict(ref_of(bytes, encoded), encoded.bytes), Code::corrupt);
}

TEST(Codec, RefusesABombThatSaysHowLargeItIs) {
  // The header of a frame that claims 4 GiB: magic, 8-byte content size, single segment.
  Bytes frame{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0};
  ChunkRef ref{ChunkHash(trust::digest(frame)), static_cast<std::uint32_t>(frame.size()), 1000, Codec::zstd};
  EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), std::uint64_t{1} << 32);
  EXPECT_EQ(verdict(ref, frame), Code::corrupt);
  ref.decoded_bytes = 0xffffffff;
  EXPECT_EQ(verdict(ref, frame), Code::too_large);
}

TEST(Codec, RefusesABombThatClaimsToBeSmall) {
  const Bytes zeros(64 * 1024 * 1024);
  Bytes frame(ZSTD_compressBound(zeros.size()));
  frame.resize(ZSTD_compress(frame.data(), frame.size(), zeros.data(), zeros.size(), 1));
  // The true size stands in 4 bytes after magic and descriptor; say 1000 instead.
  ASSERT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), zeros.size());
  ASSERT_EQ(frame[4] >> 6, 2);
  const std::size_t at = (frame[4] & 0x20) != 0 ? 5 : 6;
  frame[at] = 0xe8;
  frame[at + 1] = 3;
  frame[at + 2] = frame[at + 3] = 0;
  ASSERT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), 1000U);
  const ChunkRef ref{ChunkHash(trust::digest(zeros)), static_cast<std::uint32_t>(frame.size()), 1000, Codec::zstd};
  EXPECT_EQ(verdict(ref, frame), Code::corrupt);
}

TEST(Codec, RefusesAFrameThatDoesNotSayItsSize) {
  const Bytes bytes = text_bytes(1000);
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  Bytes frame(ZSTD_compressBound(bytes.size()));
  frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), bytes.data(), bytes.size()));
  ZSTD_freeCCtx(context);
  const ChunkRef ref{ChunkHash(trust::digest(bytes)), static_cast<std::uint32_t>(frame.size()), 1000, Codec::zstd};
  EXPECT_EQ(verdict(ref, frame), Code::corrupt);
}

TEST(Codec, RefusesEmptyChunksAndOddSizes) {
  ChunkRef ref{ChunkHash(trust::digest({})), 0, 0, Codec::raw};
  EXPECT_EQ(verdict(ref, {}), Code::corrupt);
  const Bytes bytes = text_bytes(10);
  ref = {ChunkHash(trust::digest(bytes)), 10, 9, Codec::raw};
  EXPECT_EQ(verdict(ref, bytes), Code::corrupt);
  ref = {ChunkHash(trust::digest(bytes)), 9, 9, Codec::raw};
  EXPECT_EQ(verdict(ref, bytes), Code::corrupt);
}

TEST(Codec, RefusesSizesOverTheBounds) {
  const Bytes bytes(limits::kChunkEncodedBytesMax + 1);
  EXPECT_EQ(
      verdict({ChunkHash(trust::digest(bytes)), static_cast<std::uint32_t>(bytes.size()), 1000, Codec::zstd}, bytes),
      Code::too_large);
  EXPECT_EQ(verdict({ChunkHash(trust::digest(bytes)), 1000, limits::kChunkDecodedBytesMax + 1, Codec::zstd},
                    ByteView(bytes).first(1000)),
            Code::too_large);
}

TEST(Codec, RefusesAnUnknownCodec) {
  const Bytes bytes = text_bytes(10);
  EXPECT_EQ(verdict({ChunkHash(trust::digest(bytes)), 10, 10, static_cast<Codec>(2)}, bytes), Code::unsupported);
}

TEST(Codec, DecodesAFrameThatIsNoChunkWithinABound) {
  const Bytes bytes = text_bytes(1000);
  auto frame = encode_chunk(bytes).bytes;
  ASSERT_TRUE(is_zstd_frame(frame));
  EXPECT_FALSE(is_zstd_frame(bytes));
  EXPECT_FALSE(is_zstd_frame(ByteView(frame).first(3)));
  EXPECT_EQ(decode_frame(frame, 1000).value(), bytes);
  EXPECT_EQ(decode_frame(frame, 999).error().code, Code::too_large);
  for (std::size_t size = 0; size < frame.size(); ++size)
    EXPECT_EQ(decode_frame(ByteView(frame).first(size), 1000).error().code, Code::corrupt) << size;
  frame.push_back(0);
  EXPECT_EQ(decode_frame(frame, 1000).error().code, Code::corrupt);
}

}  // namespace
}  // namespace instar::artifact

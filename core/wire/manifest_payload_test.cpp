#include <gtest/gtest.h>

#include "core/artifact/codec.hpp"
#include "core/base/limits.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/testing/examples.hpp"

namespace instar::wire {
namespace {

TEST(ManifestPayload, IsSmallerAndSaysTheSame) {
  const auto manifest = examples::manifest();
  const auto payload = manifest_payload(manifest);
  EXPECT_LT(payload.size(), encode_manifest(manifest).size());
  EXPECT_EQ(encode_manifest(decode_manifest(payload).value()), encode_manifest(manifest));
}

TEST(ManifestPayload, IsReadUncompressedToo) {
  const auto manifest = examples::manifest();
  EXPECT_EQ(decode_manifest(encode_manifest(manifest)).value().release, manifest.release);
}

TEST(ManifestPayload, ThatIsBrokenOrTooLargeIsRefused) {
  const auto payload = manifest_payload(examples::manifest());
  for (std::size_t size = 0; size < payload.size(); ++size) {
    const auto decoded = decode_manifest(ByteView(payload).first(size));
    ASSERT_FALSE(decoded.has_value()) << size;
    EXPECT_EQ(decoded.error().code, Code::malformed) << size;
    EXPECT_TRUE(decoded.error().message.starts_with("manifest: ")) << decoded.error().message;
  }
  const auto bomb = artifact::encode_chunk(Bytes(limits::kMessageBytesMax + 1)).bytes;
  ASSERT_LT(bomb.size(), 1'000U);
  EXPECT_EQ(decode_manifest(bomb).error().code, Code::too_large);
}

TEST(ManifestPayload, IsCompressedOnceAtMost) {
  // A frame of a frame: what a compressor does not make smaller it keeps, so the inner one is stretched.
  auto stretched = manifest_payload(examples::manifest());
  stretched.resize(10'000);
  const auto outer = artifact::encode_chunk(stretched).bytes;
  ASSERT_TRUE(artifact::is_zstd_frame(outer));
  EXPECT_FALSE(decode_manifest(outer).has_value());
}

}  // namespace
}  // namespace instar::wire

#include <zstd.h>

#include "core/delta/block_codec.hpp"

namespace instar::delta {
namespace {

tl::unexpected<Error> no_zstd_memory() {
  return fail(Code::unavailable, "no memory for zstd");
}

class ZstdDecoder final : public BlockDecoder {
 public:
  ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }

  Result<std::size_t> decode(ByteView block, std::span<std::uint8_t> out) override {
    if (context_ == nullptr && (context_ = ZSTD_createDCtx()) == nullptr) return no_zstd_memory();
    const std::size_t got = ZSTD_decompressDCtx(context_, out.data(), out.size(), block.data(), block.size());
    if (ZSTD_isError(got) != 0) return fail(Code::corrupt, "a block is no sound zstd frame of its size");
    return got;
  }

 private:
  ZSTD_DCtx* context_ = nullptr;
};

class ZstdEncoder final : public BlockEncoder {
 public:
  explicit ZstdEncoder(const BlockSpec& spec) : level_(spec.level) {}
  ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }

  Result<std::size_t> encode(ByteView content, std::span<std::uint8_t> out) override {
    if (context_ == nullptr && (context_ = ZSTD_createCCtx()) == nullptr) return no_zstd_memory();
    const std::size_t got = ZSTD_compressCCtx(context_, out.data(), out.size(), content.data(), content.size(), level_);
    return ZSTD_isError(got) != 0 ? std::size_t{0} : got;
  }

 private:
  int level_;
  ZSTD_CCtx* context_ = nullptr;
};

}  // namespace

std::unique_ptr<BlockDecoder> make_zstd_decoder() {
  return std::make_unique<ZstdDecoder>();
}

std::unique_ptr<BlockEncoder> make_zstd_encoder(const BlockSpec& spec) {
  return std::make_unique<ZstdEncoder>(spec);
}

}  // namespace instar::delta

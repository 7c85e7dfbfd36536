#include <zlib.h>

#include <algorithm>

#include "core/delta/block_stream.hpp"
#include "core/delta/gzip_stream.hpp"

namespace instar::delta {
namespace {

tl::unexpected<Error> no_inflate_memory() {
  return fail(Code::unavailable, "no memory for zlib");
}

class DeflateDecoder final : public BlockStreamDecoder {
 public:
  ~DeflateDecoder() override { inflateEnd(&stream_); }  // takes a stream that was never set up

  Status begin() override {
    constexpr int kRaw = -15;
    if ((ready_ ? inflateReset(&stream_) : inflateInit2(&stream_, kRaw)) != Z_OK) return no_inflate_memory();
    ready_ = true;
    return {};
  }

  Result<bool> decode(ByteView& packed, std::span<std::uint8_t>& out) override {
    stream_.next_in = const_cast<Bytef*>(packed.data());
    stream_.avail_in = static_cast<uInt>(std::min<std::size_t>(packed.size(), kAtOnce));
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size(), kAtOnce));
    const int outcome = inflate(&stream_, Z_NO_FLUSH);
    packed = packed.subspan(static_cast<std::size_t>(stream_.next_in - packed.data()));
    out = out.subspan(static_cast<std::size_t>(stream_.next_out - out.data()));
    if (outcome == Z_STREAM_END) return true;
    // Z_BUF_ERROR: there was nothing to do.
    if (outcome == Z_OK || outcome == Z_BUF_ERROR) return false;
    if (outcome == Z_MEM_ERROR) return no_inflate_memory();
    return fail(Code::corrupt, "a block is no sound deflate stream");
  }

 private:
  static constexpr std::size_t kAtOnce = 1U << 30;
  z_stream stream_{};
  bool ready_ = false;
};

class DeflateEncoder final : public BlockStreamEncoder {
 public:
  DeflateEncoder(const BlockSpec& spec, Sink sink) : writer_(recipe_of(spec), std::move(sink)) {}
  Status write(ByteView content) override { return writer_.write(content); }
  Status finish() override { return writer_.finish(); }

 private:
  static GzipRecipe recipe_of(const BlockSpec& spec) {
    GzipRecipe recipe;
    recipe.level = spec.level;
    recipe.window_bits = spec.window_bits;
    return recipe;
  }
  GzipWriter writer_;
};

}  // namespace

std::unique_ptr<BlockStreamDecoder> make_deflate_decoder() {
  return std::make_unique<DeflateDecoder>();
}

std::unique_ptr<BlockStreamEncoder> make_deflate_encoder(const BlockSpec& spec, BlockStreamEncoder::Sink sink) {
  return std::make_unique<DeflateEncoder>(spec, std::move(sink));
}

}  // namespace instar::delta

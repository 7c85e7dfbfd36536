#include <zlib.h>

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/delta/block_codec.hpp"

namespace instar::delta {
namespace {

tl::unexpected<Error> no_zlib_memory() {
  return fail(Code::unavailable, "no memory for zlib");
}

class ZlibDecoder final : public BlockDecoder {
 public:
  ~ZlibDecoder() override { inflateEnd(&stream_); }  // takes a stream that was never set up

  Result<std::size_t> decode(ByteView block, std::span<std::uint8_t> out) override {
    if ((ready_ ? inflateReset(&stream_) : inflateInit(&stream_)) != Z_OK) return no_zlib_memory();
    ready_ = true;
    stream_.next_in = const_cast<Bytef*>(block.data());
    stream_.avail_in = static_cast<uInt>(block.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    const int outcome = inflate(&stream_, Z_FINISH);
    if (outcome == Z_MEM_ERROR) return no_zlib_memory();
    if (outcome != Z_STREAM_END || stream_.avail_in != 0)
      return fail(Code::corrupt, "a block is no sound zlib stream of its size");
    return out.size() - stream_.avail_out;
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

class ZlibEncoder final : public BlockEncoder {
 public:
  explicit ZlibEncoder(const BlockSpec& spec) : spec_(spec) {}
  ~ZlibEncoder() override { deflateEnd(&stream_); }

  Result<std::size_t> encode(ByteView content, std::span<std::uint8_t> out) override {
    constexpr int kMemoryLevel = 8;
    const int begun =
        ready_ ? deflateReset(&stream_)
               : deflateInit2(&stream_, spec_.level, Z_DEFLATED, spec_.window_bits, kMemoryLevel, Z_DEFAULT_STRATEGY);
    if (begun != Z_OK) return no_zlib_memory();
    ready_ = true;
    stream_.next_in = const_cast<Bytef*>(content.data());
    stream_.avail_in = static_cast<uInt>(content.size());
    stream_.next_out = out.data();
    stream_.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream_, Z_FINISH) != Z_STREAM_END) return std::size_t{0};
    return out.size() - stream_.avail_out;
  }

 private:
  BlockSpec spec_;
  z_stream stream_{};
  bool ready_ = false;
};

}  // namespace

std::unique_ptr<BlockDecoder> make_zlib_decoder() {
  return std::make_unique<ZlibDecoder>();
}

std::unique_ptr<BlockEncoder> make_zlib_encoder(const BlockSpec& spec) {
  return std::make_unique<ZlibEncoder>(spec);
}

}  // namespace instar::delta

#include <lz4.h>
#include <lz4hc.h>

#include <algorithm>

#include "core/delta/block_codec.hpp"

namespace instar::delta {
namespace {

class Lz4Decoder final : public BlockDecoder {
 public:
  Result<std::size_t> decode(ByteView block, std::span<std::uint8_t> out) override {
    const int got =
        LZ4_decompress_safe(reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(out.data()),
                            static_cast<int>(block.size()), static_cast<int>(out.size()));
    if (got < 0) return fail(Code::corrupt, "a block is no sound lz4 block of its size");
    return static_cast<std::size_t>(got);
  }
};

class Lz4Encoder final : public BlockEncoder {
 public:
  explicit Lz4Encoder(const BlockSpec& spec) : level_(spec.level) {
    state_.resize(static_cast<std::size_t>(level_ == 0 ? LZ4_sizeofState() : LZ4_sizeofStateHC()));
  }

  Result<std::size_t> encode(ByteView content, std::span<std::uint8_t> out) override {
    const auto* const from = reinterpret_cast<const char*>(content.data());
    auto* const to = reinterpret_cast<char*>(out.data());
    const int bytes = static_cast<int>(content.size());
    const int most = static_cast<int>(out.size());
    const int got = level_ == 0 ? LZ4_compress_fast_extState(state_.data(), from, to, bytes, most, 1)
                                : LZ4_compress_HC_extStateHC(state_.data(), from, to, bytes, most, level_);
    return static_cast<std::size_t>(std::max(got, 0));
  }

 private:
  int level_;
  Bytes state_;  // malloc's alignment is enough for it
};

}  // namespace

std::unique_ptr<BlockDecoder> make_lz4_decoder() {
  return std::make_unique<Lz4Decoder>();
}

std::unique_ptr<BlockEncoder> make_lz4_encoder(const BlockSpec& spec) {
  return std::make_unique<Lz4Encoder>(spec);
}

}  // namespace instar::delta

#include <lzma.h>

#include <algorithm>
#include <array>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/block_codec.hpp"

namespace instar::delta {
namespace {

tl::unexpected<Error> no_lzma_memory() {
  return fail(Code::unavailable, "no memory for liblzma");
}

class XzDecoder final : public BlockDecoder {
 public:
  Result<std::size_t> decode(ByteView block, std::span<std::uint8_t> out) override {
    std::uint64_t memory_max = limits::kBlockXzMemoryMax;
    std::size_t in_at = 0;
    std::size_t out_at = 0;
    const lzma_ret outcome = lzma_stream_buffer_decode(&memory_max, 0, nullptr, block.data(), &in_at, block.size(),
                                                       out.data(), &out_at, out.size());
    if (outcome == LZMA_MEM_ERROR) return no_lzma_memory();
    if (outcome != LZMA_OK || in_at != block.size())
      return fail(Code::corrupt, "a block is no sound xz stream of its size");
    return out_at;
  }
};

class XzEncoder final : public BlockEncoder {
 public:
  explicit XzEncoder(const BlockSpec& spec) : spec_(spec) {}

  Result<std::size_t> encode(ByteView content, std::span<std::uint8_t> out) override {
    lzma_options_lzma options{};
    const bool failed = lzma_lzma_preset(&options, spec_.level);
    INSTAR_ASSERT(!failed);
    options.dict_size = spec_.dictionary_bytes;
    std::array<lzma_filter, 2> filters{{{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}}};
    std::size_t made = 0;
    const lzma_ret outcome = lzma_stream_buffer_encode(filters.data(), LZMA_CHECK_CRC32, nullptr, content.data(),
                                                       content.size(), out.data(), &made, out.size());
    if (outcome == LZMA_MEM_ERROR) return no_lzma_memory();
    return outcome == LZMA_OK ? made : std::size_t{0};
  }

 private:
  BlockSpec spec_;
};

}  // namespace

std::unique_ptr<BlockDecoder> make_xz_decoder() {
  return std::make_unique<XzDecoder>();
}

std::unique_ptr<BlockEncoder> make_xz_encoder(const BlockSpec& spec) {
  return std::make_unique<XzEncoder>(spec);
}

}  // namespace instar::delta

#include <lzma.h>

#include <array>

#include "core/base/assert.hpp"
#include "core/delta/block_stream.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kMadeBytes = 8 * 1024;

tl::unexpected<Error> no_lzma2_memory() {
  return fail(Code::unavailable, "no memory for liblzma");
}

using Lzma2Filters = std::array<lzma_filter, 2>;

Lzma2Filters lzma2_filters(lzma_options_lzma& options, std::uint32_t level, std::uint32_t dictionary_bytes) {
  const bool failed = lzma_lzma_preset(&options, level);
  INSTAR_ASSERT(!failed);
  options.dict_size = dictionary_bytes;
  return {{{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}}};
}

class Lzma2Decoder final : public BlockStreamDecoder {
 public:
  explicit Lzma2Decoder(std::uint32_t dictionary_bytes) : dictionary_bytes_(dictionary_bytes) {}
  ~Lzma2Decoder() override { lzma_end(&stream_); }

  Status begin() override {
    lzma_options_lzma options{};
    const auto filters = lzma2_filters(options, LZMA_PRESET_DEFAULT, dictionary_bytes_);
    return lzma_raw_decoder(&stream_, filters.data()) == LZMA_OK ? Status{} : no_lzma2_memory();
  }

  Result<bool> decode(ByteView& packed, std::span<std::uint8_t>& out) override {
    stream_.next_in = packed.data();
    stream_.avail_in = packed.size();
    stream_.next_out = out.data();
    stream_.avail_out = out.size();
    const lzma_ret outcome = lzma_code(&stream_, LZMA_RUN);
    packed = packed.last(stream_.avail_in);
    out = out.last(stream_.avail_out);
    if (outcome == LZMA_STREAM_END) return true;
    if (outcome == LZMA_OK || outcome == LZMA_BUF_ERROR) return false;
    if (outcome == LZMA_MEM_ERROR) return no_lzma2_memory();
    return fail(Code::corrupt, "a block is no sound LZMA2 stream");
  }

 private:
  std::uint32_t dictionary_bytes_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

class Lzma2Encoder final : public BlockStreamEncoder {
 public:
  Lzma2Encoder(const BlockSpec& spec, Sink sink) : spec_(spec), sink_(std::move(sink)) {}
  ~Lzma2Encoder() override { lzma_end(&stream_); }

  Status write(ByteView content) override {
    INSTAR_CHECK(start());
    stream_.next_in = content.data();
    stream_.avail_in = content.size();
    while (stream_.avail_in > 0) INSTAR_CHECK(encode_some(LZMA_RUN).map([](bool) {}));
    return {};
  }

  Status finish() override {
    INSTAR_CHECK(start());
    while (true) {
      INSTAR_TRY(const bool ended, encode_some(LZMA_FINISH));
      if (ended) return {};
    }
  }

 private:
  Status start() {
    if (started_) return {};
    lzma_options_lzma options{};
    const auto filters = lzma2_filters(options, spec_.level, spec_.dictionary_bytes);
    if (lzma_raw_encoder(&stream_, filters.data()) != LZMA_OK) return no_lzma2_memory();
    started_ = true;
    return {};
  }

  Result<bool> encode_some(lzma_action action) {
    stream_.next_out = made_.data();
    stream_.avail_out = made_.size();
    const lzma_ret outcome = lzma_code(&stream_, action);
    if (outcome == LZMA_MEM_ERROR) return no_lzma2_memory();
    INSTAR_ASSERT(outcome == LZMA_OK || outcome == LZMA_STREAM_END);
    const std::size_t made = made_.size() - stream_.avail_out;
    if (made > 0) INSTAR_CHECK(sink_(ByteView(made_).first(made)));
    return outcome == LZMA_STREAM_END;
  }

  BlockSpec spec_;
  Sink sink_;
  bool started_ = false;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  std::array<std::uint8_t, kMadeBytes> made_;
};

}  // namespace

std::unique_ptr<BlockStreamDecoder> make_lzma2_decoder(std::uint32_t dictionary_bytes) {
  return std::make_unique<Lzma2Decoder>(dictionary_bytes);
}

std::unique_ptr<BlockStreamEncoder> make_lzma2_encoder(const BlockSpec& spec, BlockStreamEncoder::Sink sink) {
  return std::make_unique<Lzma2Encoder>(spec, std::move(sink));
}

}  // namespace instar::delta

#include "core/delta/lzma_decoder.hpp"

#include <lzma.h>

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"

namespace instar::delta {
namespace {
constexpr std::size_t kInputBytes = 4096;
constexpr std::size_t kSkipBytes = 4096;
}  // namespace

class LzmaDecoder::Impl {
 public:
  Impl(const StreamInfo& info, ReadAt body, std::uint64_t offset)
      : body_(std::move(body)), offset_(offset), encoded_left_(info.encoded_bytes), decoded_left_(info.decoded_bytes) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { lzma_end(&stream_); }

  Status begin(const StreamInfo& info) {
    lzma_options_lzma options{};
    options.dict_size = info.window_bytes;
    options.lc = info.literal_context_bits;
    options.lp = info.literal_position_bits;
    options.pb = info.position_bits;
    const std::array<lzma_filter, 2> filters{{{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}}};
    const lzma_ret done = lzma_raw_decoder(&stream_, filters.data());
    if (done == LZMA_OK) return {};
    return fail(done == LZMA_MEM_ERROR ? Code::unsupported : Code::malformed,
                "a stream of the delta cannot be decoded: LZMA settings " + std::to_string(static_cast<int>(done)));
  }

  Status read(std::span<std::uint8_t> out) {
    if (out.size() > decoded_left_) return fail(Code::corrupt, "a stream of the delta ends too early");
    decoded_left_ -= out.size();
    stream_.next_out = out.data();
    stream_.avail_out = out.size();
    while (stream_.avail_out > 0) {
      if (stream_.avail_in == 0) INSTAR_CHECK(refill());
      const lzma_ret done = lzma_code(&stream_, LZMA_RUN);
      if (done == LZMA_STREAM_END && stream_.avail_out == 0) break;
      if (done != LZMA_OK) return fail(Code::corrupt, "a stream of the delta is broken");
    }
    return {};
  }

  [[nodiscard]] std::uint64_t left() const noexcept { return decoded_left_; }

 private:
  Status refill() {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(input_.size(), encoded_left_));
    if (want == 0) return fail(Code::corrupt, "a stream of the delta ends too early");
    INSTAR_TRY(const std::size_t got, body_(offset_, std::span(input_).first(want)));
    if (got != want) return fail(Code::corrupt, "the body of the delta is shorter than its head says");
    offset_ += got;
    encoded_left_ -= got;
    stream_.next_in = input_.data();
    stream_.avail_in = got;
    return {};
  }

  ReadAt body_;
  std::uint64_t offset_;
  std::uint64_t encoded_left_;
  std::uint64_t decoded_left_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  std::array<std::uint8_t, kInputBytes> input_{};
};

LzmaDecoder::LzmaDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LzmaDecoder::~LzmaDecoder() = default;

Result<std::unique_ptr<LzmaDecoder>> LzmaDecoder::open(const StreamInfo& info, ReadAt body, std::uint64_t offset) {
  if (info.window_bytes > limits::kDeltaWindowBytesMax) {
    return fail(Code::too_large, "a stream of the delta needs a window of " + std::to_string(info.window_bytes) +
                                     " bytes; at most " + std::to_string(limits::kDeltaWindowBytesMax) +
                                     " are allowed");
  }
  auto impl = std::make_unique<Impl>(info, std::move(body), offset);
  if (info.decoded_bytes > 0) INSTAR_CHECK(impl->begin(info));
  return std::unique_ptr<LzmaDecoder>(new LzmaDecoder(std::move(impl)));
}

Status LzmaDecoder::read(std::span<std::uint8_t> out) {
  return impl_->read(out);
}

Status LzmaDecoder::skip(std::uint64_t bytes) {
  std::array<std::uint8_t, kSkipBytes> passed{};
  while (bytes > 0) {
    const auto part = std::span(passed).first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, passed.size())));
    INSTAR_CHECK(impl_->read(part));
    bytes -= part.size();
  }
  return {};
}

std::uint64_t LzmaDecoder::left() const noexcept {
  return impl_->left();
}

}  // namespace instar::delta

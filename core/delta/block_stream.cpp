#include "core/delta/block_stream.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kPackedReadBytes = 8 * 1024;
constexpr std::size_t kPassedBytes = 4 * 1024;

}  // namespace

std::unique_ptr<BlockStreamDecoder> BlockStreamDecoder::make(BlockMethod method, std::uint32_t dictionary_bytes) {
  INSTAR_ASSERT(is_stream(method));
  return method == BlockMethod::deflate ? make_deflate_decoder() : make_lzma2_decoder(dictionary_bytes);
}

std::unique_ptr<BlockStreamEncoder> BlockStreamEncoder::make(const BlockSpec& spec, Sink sink) {
  INSTAR_ASSERT(is_sound(spec) && is_stream(spec.method));
  return spec.method == BlockMethod::deflate ? make_deflate_encoder(spec, std::move(sink))
                                             : make_lzma2_encoder(spec, std::move(sink));
}

BlockStreamReader::BlockStreamReader(BlockMethod method, std::uint32_t dictionary_bytes, ReadAt read)
    : read_(std::move(read)), decoder_(BlockStreamDecoder::make(method, dictionary_bytes)) {}

Status BlockStreamReader::begin(const Place& place) {
  begun_ = false;
  INSTAR_CHECK(decoder_->begin());
  begun_ = true;
  place_ = place;
  taken_ = 0;
  position_ = 0;
  waiting_ = {};
  input_.resize(kPackedReadBytes);
  passed_.resize(kPassedBytes);
  return {};
}

Status BlockStreamReader::refill() {
  const auto some = std::span(input_).first(std::min<std::size_t>(input_.size(), place_.bytes - taken_));
  INSTAR_TRY(const std::size_t got, read_(place_.from + taken_, some));
  if (got != some.size()) return fail(Code::corrupt, "a file of the base is shorter than it was");
  taken_ += static_cast<std::uint32_t>(got);
  waiting_ = some;
  return {};
}

Status BlockStreamReader::fill(std::span<std::uint8_t> out) {
  position_ += out.size();
  while (!out.empty()) {
    if (waiting_.empty() && taken_ < place_.bytes) INSTAR_CHECK(refill());
    const std::size_t before = waiting_.size() + out.size();
    INSTAR_TRY(const bool ended, decoder_->decode(waiting_, out));
    if (out.empty()) break;
    if (ended || waiting_.size() + out.size() == before)
      return fail(Code::corrupt, "a block of the base has less content than it had");
  }
  return {};
}

Status BlockStreamReader::read(const Place& place, std::uint64_t offset, std::span<std::uint8_t> out) {
  const bool goes_on = begun_ && place.from == place_.from && place.bytes == place_.bytes && offset >= position_;
  if (!goes_on) INSTAR_CHECK(begin(place));
  // Whatever goes wrong, the next read begins at the start.
  begun_ = false;
  while (position_ < offset) {
    const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(passed_.size(), offset - position_));
    INSTAR_CHECK(fill(std::span(passed_).first(some)));
  }
  INSTAR_CHECK(fill(out));
  begun_ = true;
  return {};
}

}  // namespace instar::delta

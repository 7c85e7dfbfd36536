#include "core/delta/block_table.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::delta {

Status BlockTable::add(const BlockStretch& stretch) {
  if (stretch.unpacked_bytes == 0 || bytes_ + stretch.bytes > limits::kDeltaFileBytesMax ||
      unpacked_ + stretch.unpacked_bytes > limits::kBlockUnpackedBytesMax) {
    return fail(Code::malformed, "a block of the delta's base is empty, or outside of it");
  }
  rows_.push_back({unpacked_, static_cast<std::uint32_t>(bytes_), stretch.bytes});
  bytes_ += stretch.bytes;
  unpacked_ += stretch.unpacked_bytes;
  return {};
}

std::size_t BlockTable::find(std::uint64_t unpacked) const noexcept {
  INSTAR_ASSERT(unpacked < unpacked_);
  const auto after = std::ranges::upper_bound(rows_, unpacked, {}, &Row::unpacked);
  return static_cast<std::size_t>(after - rows_.begin()) - 1;
}

BlockReader::BlockReader(const BlockTable& table, BlockMethod method, ReadAt read, std::uint32_t block_bytes,
                         std::uint32_t dictionary_bytes)
    : table_(table), read_(std::move(read)), block_bytes_(block_bytes), kept_(kept_blocks(block_bytes)) {
  if (!is_stream(method)) {
    decoder_ = BlockDecoder::make(method);
    return;
  }
  streams_ = std::make_unique<BlockStreamReader>(method, dictionary_bytes, read_);
  large_ = std::make_unique<BlockStreamReader>(method, dictionary_bytes, read_);
}

Status BlockReader::read_plain(std::uint64_t place, std::span<std::uint8_t> out) {
  INSTAR_TRY(const std::size_t got, read_(place, out));
  if (got == out.size()) return {};
  return fail(Code::corrupt, "a file of the base is shorter than it was");
}

Result<const Bytes*> BlockReader::unpack(std::size_t row) {
  Kept* oldest = &kept_.front();
  for (Kept& kept : kept_) {
    if (kept.used != 0 && kept.row == row) {
      kept.used = ++clock_;
      return &kept.bytes;
    }
    if (kept.used < oldest->used) oldest = &kept;
  }
  oldest->used = 0;
  INSTAR_CHECK(unpack_to(row, oldest->bytes));
  oldest->row = row;
  oldest->used = ++clock_;
  return &oldest->bytes;
}

Status BlockReader::unpack_to(std::size_t row, Bytes& out) {
  const BlockStretch stretch = table_.stretch(row);
  const std::uint64_t place = table_.row(row).place;
  out.resize(stretch.unpacked_bytes);
  if (streams_) return streams_->read({place, stretch.bytes}, 0, out);
  packed_.resize(stretch.bytes);
  INSTAR_CHECK(read_plain(place, packed_));
  INSTAR_TRY(const std::size_t got, decoder_->decode(packed_, out));
  if (got != out.size()) return fail(Code::corrupt, "a block of the base has another size than it had");
  return {};
}

Status BlockReader::read(std::uint64_t unpacked, std::span<std::uint8_t> out) {
  if (unpacked > table_.unpacked_bytes() || out.size() > table_.unpacked_bytes() - unpacked)
    return fail(Code::corrupt, "a file of the delta copies from outside of its base");
  while (!out.empty()) {
    const std::size_t row = table_.find(unpacked);
    const BlockStretch stretch = table_.stretch(row);
    const auto from = static_cast<std::size_t>(unpacked - table_.row(row).unpacked);
    const auto part = out.first(std::min<std::size_t>(out.size(), stretch.unpacked_bytes - from));
    if (stretch.bytes == 0) {
      std::ranges::fill(part, std::uint8_t{0});
    } else if (stretch.bytes == stretch.unpacked_bytes) {
      INSTAR_CHECK(read_plain(std::uint64_t{table_.row(row).place} + from, part));
    } else if (stretch.unpacked_bytes > block_bytes_) {
      INSTAR_ASSERT(large_ != nullptr);
      INSTAR_CHECK(large_->read({table_.row(row).place, stretch.bytes}, from, part));
    } else {
      INSTAR_TRY(const Bytes* const bytes, unpack(row));
      std::copy_n(bytes->begin() + static_cast<std::ptrdiff_t>(from), part.size(), part.begin());
    }
    unpacked += part.size();
    out = out.subspan(part.size());
  }
  return {};
}

ExtentView::ExtentView(BlockReader& reader, std::vector<BlockExtent> extents)
    : reader_(reader), extents_(std::move(extents)) {
  starts_.reserve(extents_.size());
  for (const BlockExtent& extent : extents_) {
    starts_.push_back(bytes_);
    bytes_ += extent.bytes;
  }
}

Result<std::size_t> ExtentView::read(std::uint64_t offset, std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  while (filled < out.size() && offset < bytes_) {
    const auto after = std::ranges::upper_bound(starts_, offset);
    const auto at = static_cast<std::size_t>(after - starts_.begin()) - 1;
    const std::uint64_t from = offset - starts_[at];
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - filled, extents_[at].bytes - from));
    INSTAR_CHECK(reader_.read(extents_[at].unpacked + from, out.subspan(filled, count)));
    filled += count;
    offset += count;
  }
  return filled;
}

}  // namespace instar::delta

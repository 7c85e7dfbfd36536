#include "core/delta/make/image_map.hpp"

#include <algorithm>

namespace instar::delta {

std::uint64_t ImageFile::bytes() const noexcept {
  std::uint64_t all = 0;
  for (const ImageRun& run : runs) all += run.bytes;
  return all;
}

Result<Bytes> unpack_runs(ByteView image, const ImageMap& map, const std::vector<ImageRun>& runs) {
  const auto decoder = BlockDecoder::make(map.method);
  Bytes out;
  Bytes unpacked;
  for (const ImageRun& run : runs) {
    if (run.block == ImageRun::kHole) {
      out.resize(out.size() + run.bytes);
      continue;
    }
    const ImageBlock& block = map.blocks[run.block];
    ByteView content = image.subspan(block.place, block.bytes);
    if (!block.is_plain()) {
      unpacked.resize(block.unpacked_bytes);
      INSTAR_TRY(const std::size_t got, decoder->decode(content, unpacked));
      if (got != unpacked.size()) return fail(Code::corrupt, "a block of the image has another size than it should");
      content = unpacked;
    }
    const ByteView part = content.subspan(run.offset, run.bytes);
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

}  // namespace instar::delta

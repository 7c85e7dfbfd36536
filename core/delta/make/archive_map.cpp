#include "core/delta/make/archive_map.hpp"

#include "core/base/limits.hpp"
#include "core/delta/block_stream.hpp"

namespace instar::delta {
namespace {

constexpr std::string_view kXzStart("\3757zXZ");

}  // namespace

bool may_be_archive(ByteView start) noexcept {
  constexpr std::size_t kZipEndBytes = 22;
  const std::string_view text = as_text(start);
  if (text.starts_with("PK\x03\x04") || text.starts_with(kXzStart)) return true;
  // Something else may stand before a zip archive, such as a script that starts it.
  return text.size() >= kZipEndBytes && text.substr(text.size() - kZipEndBytes).starts_with("PK\x05\x06");
}

std::optional<ArchiveMap> map_archive(ByteView file) {
  if (file.size() > limits::kDeltaFileBytesMax) return std::nullopt;
  return as_text(file).starts_with(kXzStart) ? map_xz(file) : map_zip(file);
}

std::optional<Bytes> unpack_stream(const ArchiveMap& map, ByteView packed, std::size_t content_bytes) {
  const auto decoder = BlockStreamDecoder::make(map.method, map.dictionary_bytes);
  if (!decoder->begin()) return std::nullopt;
  // One byte more: a decoder sees the end only where there is room.
  Bytes content(content_bytes + 1);
  std::span<std::uint8_t> out(content);
  while (true) {
    const std::size_t before = packed.size() + out.size();
    const auto ended = decoder->decode(packed, out);
    if (!ended || (!*ended && packed.size() + out.size() == before)) return std::nullopt;
    if (*ended) break;
  }
  if (!packed.empty() || out.size() != 1) return std::nullopt;
  content.pop_back();
  return content;
}

}  // namespace instar::delta

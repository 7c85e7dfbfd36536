#include "core/delta/make/gzip_unpack.hpp"

#include <zlib.h>

#include <memory>

#include "core/base/limits.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kLeastBytes = 18;      // an empty header and trailer around nothing
constexpr std::size_t kDeflateRatio = 1032;  // bytes that one byte of deflate can stand for
constexpr int kGzipWrapped = 15 + 16;
constexpr int kStopped = 128;  // in data_type: inflate came back at the end of the header or of a block
constexpr int kInLastBlock = 64;

// The content's size modulo 2^32, as the file says.
std::size_t claimed_bytes(ByteView file) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) size |= std::size_t{file[file.size() - 4 + i]} << (8 * i);
  return size;
}

std::uint64_t bits_read(const z_stream& stream) {
  return std::uint64_t{stream.total_in} * 8 - static_cast<unsigned>(stream.data_type & 7);
}

// Inflates to the end, noting where it stopped on the way. True when the stream, its checksum and its size are sound.
bool inflate_all(z_stream& stream, GzipParts& parts) {
  bool in_header = true;
  for (;;) {
    const int outcome = inflate(&stream, Z_BLOCK);
    if (outcome == Z_STREAM_END) return true;
    if (outcome != Z_OK || (stream.data_type & kStopped) == 0) return false;
    if (in_header) {
      parts.header_bytes = stream.total_in;
      in_header = false;
    } else if ((stream.data_type & kInLastBlock) == 0) {
      parts.block_ends.push_back({stream.total_out, bits_read(stream)});
    }
  }
}

}  // namespace

std::optional<GzipParts> unpack_gzip(ByteView file, std::size_t content_bytes_max) {
  if (file.size() < kLeastBytes || file.size() > limits::kContentBytesMax - 1 || file[0] != 0x1f || file[1] != 0x8b)
    return std::nullopt;
  const std::size_t claimed = claimed_bytes(file);
  if (claimed > content_bytes_max || claimed / kDeflateRatio > file.size()) return std::nullopt;

  z_stream stream{};
  if (inflateInit2(&stream, kGzipWrapped) != Z_OK) return std::nullopt;
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> ender(&stream, &inflateEnd);
  GzipParts parts;
  parts.content.resize(claimed + 1);  // zlib wants a place to write to, even if nothing comes
  stream.next_in = const_cast<Bytef*>(file.data());
  stream.avail_in = static_cast<uInt>(file.size());
  stream.next_out = parts.content.data();
  stream.avail_out = static_cast<uInt>(parts.content.size());
  if (!inflate_all(stream, parts) || stream.avail_in != 0 || stream.total_out != claimed) return std::nullopt;
  parts.content.resize(claimed);
  return parts;
}

}  // namespace instar::delta

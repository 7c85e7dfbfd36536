// .xz: blocks, each behind a header, as the .xz file format 1.2 describes them. What stands between the LZMA2 streams
// (headers, checksums, the index) is none of our business.
#include <array>

#include "core/base/limits.hpp"
#include "core/delta/make/archive_map.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kXzStreamHeaderBytes = 12;
constexpr std::uint8_t kXzFilterLzma2 = 0x21;
constexpr std::array<std::uint8_t, 16> kXzCheckBytes{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64};

class XzMapper {
 public:
  explicit XzMapper(ByteView file) : file_(file) {}

  std::optional<ArchiveMap> run() {
    map_.method = BlockMethod::lzma2;
    if (!as_text(file_).starts_with(std::string_view("\xfd"
                                                     "7zXZ\0",
                                                     6)) ||
        file_.size() < kXzStreamHeaderBytes)
      return std::nullopt;
    const std::size_t check_bytes = kXzCheckBytes[file_[7] & 0x0fU];
    std::size_t at = kXzStreamHeaderBytes;
    while (const auto end = read_block(at)) at = (*end + 3) / 4 * 4 + check_bytes;
    if (map_.files.empty()) return std::nullopt;
    return std::move(map_);
  }

 private:
  // The block whose header is at `at`; returns where its stream ends.
  std::optional<std::size_t> read_block(std::size_t at) {
    if (at >= file_.size() || file_[at] == 0) return std::nullopt;  // the index
    const std::size_t header_bytes = (std::size_t{file_[at]} + 1) * 4;
    if (header_bytes > file_.size() - at) return std::nullopt;
    const auto dictionary = read_dictionary(file_.subspan(at, header_bytes));
    if (!dictionary || *dictionary > limits::kBlockBytesMax) return std::nullopt;
    if (!map_.files.empty() && *dictionary != map_.dictionary_bytes) return std::nullopt;
    map_.dictionary_bytes = *dictionary;
    return read_stream(at + header_bytes);
  }

  // Of a block with LZMA2 alone.
  static std::optional<std::uint32_t> read_dictionary(ByteView header) {
    const std::uint8_t flags = header[1];
    if ((flags & 0x3fU) != 0) return std::nullopt;
    std::size_t at = 2;
    for (const unsigned size_flag : {0x40U, 0x80U}) {
      if ((flags & size_flag) == 0) continue;
      while (at < header.size() && (header[at] & 0x80U) != 0) ++at;
      ++at;
    }
    if (header.size() < at + 3 || header[at] != kXzFilterLzma2 || header[at + 1] != 1) return std::nullopt;
    const std::uint8_t bits = header[at + 2];
    if (bits > 30) return std::nullopt;  // much too large
    return (2U | (bits & 1U)) << (bits / 2 + 11);
  }

  // LZMA2 is made of chunks that say how large they are.
  std::optional<std::size_t> read_stream(std::size_t start) {
    std::size_t at = start;
    std::size_t content_bytes = 0;
    while (at < file_.size() && file_[at] != 0) {
      const std::uint8_t control = file_[at];
      if (file_.size() - at < 6 || (control > 2 && control < 0x80)) return std::nullopt;
      const auto pair = [&](std::size_t from) { return std::size_t{file_[from]} << 8 | file_[from + 1]; };
      if (control < 0x80) {
        content_bytes += pair(at + 1) + 1;
        at += 3 + pair(at + 1) + 1;
      } else {
        content_bytes += (std::size_t{control & 0x1fU} << 16) + pair(at + 1) + 1;
        at += (control >= 0xc0 ? 6U : 5U) + pair(at + 3) + 1;
      }
      if (content_bytes + content_bytes_ > limits::kGzipFindBytesMax) return std::nullopt;
    }
    if (at >= file_.size()) return std::nullopt;
    const std::size_t end = at + 1;
    if (content_bytes == 0 || content_bytes == end - start) return std::nullopt;
    auto content = unpack_stream(map_, file_.subspan(start, end - start), content_bytes);
    if (!content) return std::nullopt;
    content_bytes_ += content_bytes;
    map_.files.push_back({"#" + std::to_string(map_.files.size()), static_cast<std::uint32_t>(start),
                          static_cast<std::uint32_t>(end - start), std::move(*content)});
    return end;
  }

  ByteView file_;
  ArchiveMap map_;
  std::size_t content_bytes_ = 0;
};

}  // namespace

std::optional<ArchiveMap> map_xz(ByteView file) {
  return XzMapper(file).run();
}

}  // namespace instar::delta

// zip, by its central directory, as PKWARE's APPNOTE.TXT describes it.
#include <algorithm>

#include "core/base/limits.hpp"
#include "core/delta/little_endian.hpp"
#include "core/delta/make/archive_map.hpp"

namespace instar::delta {
namespace {

constexpr std::uint32_t kZipLocal = 0x04034b50;
constexpr std::uint32_t kZipRow = 0x02014b50;
constexpr std::uint32_t kZipEnd = 0x06054b50;
constexpr std::size_t kZipLocalBytes = 30;
constexpr std::size_t kZipRowBytes = 46;
constexpr std::size_t kZipEndRecordBytes = 22;
constexpr std::size_t kZipCommentBytes = 0xffff;  // the longest comment
constexpr std::uint16_t kZipStored = 0;
constexpr std::uint16_t kZipDeflated = 8;
constexpr std::uint16_t kZipEncrypted = 1;
constexpr std::size_t kZipDeflateRatio = 1032;  // bytes that one byte of deflate can stand for

// What the central directory says of one inner file.
struct ZipRow {
  std::uint16_t method = 0;
  std::uint32_t bytes = 0;
  std::uint32_t content_bytes = 0;
  std::size_t place = 0;  // of the data, in the archive
  std::string name;
};

class ZipMapper {
 public:
  explicit ZipMapper(ByteView file) : file_(file) {}

  std::optional<ArchiveMap> run() {
    add_archive(0, file_.size(), "");
    if (content_bytes_ > limits::kGzipFindBytesMax || map_.files.empty()) return std::nullopt;
    std::ranges::stable_sort(map_.files, {}, &InnerFile::place);
    std::uint64_t reached = 0;
    std::erase_if(map_.files, [&](const InnerFile& inner) {
      if (inner.place < reached) return true;
      reached = std::uint64_t{inner.place} + inner.bytes;
      return false;
    });
    return std::move(map_);
  }

 private:
  // The end record of `archive`, behind which there is a comment only.
  static std::optional<std::size_t> find_end(ByteView archive) {
    if (archive.size() < kZipEndRecordBytes) return std::nullopt;
    const std::size_t last = archive.size() - kZipEndRecordBytes;
    for (std::size_t back = 0; back <= std::min(last, kZipCommentBytes); ++back) {
      if (load32(&archive[last - back]) == kZipEnd && load16(&archive[last - back + 20]) == back) return last - back;
    }
    return std::nullopt;
  }

  // `place`: of an archive in the file. Archives in an archive are looked into once.
  void add_archive(std::size_t place, std::size_t bytes, const std::string& prefix) {
    const ByteView archive = file_.subspan(place, bytes);
    const auto end = find_end(archive);
    if (!end) return;
    const std::size_t rows_bytes = load32(&archive[*end + 12]);
    if (rows_bytes > *end) return;
    const std::size_t rows = *end - rows_bytes;
    const std::size_t stated = load32(&archive[*end + 16]);
    if (stated > rows) return;
    // What stands before the archive, such as a script that starts it, may not be counted in its places.
    const std::size_t before = rows - stated;
    for (std::size_t at = rows; at + kZipRowBytes <= *end && load32(&archive[at]) == kZipRow;) {
      const std::size_t row_bytes =
          kZipRowBytes + load16(&archive[at + 28]) + load16(&archive[at + 30]) + std::size_t{load16(&archive[at + 32])};
      if (row_bytes > *end - at || content_bytes_ > limits::kGzipFindBytesMax) return;
      auto row = read_row(archive, at, before, rows);
      at += row_bytes;
      if (!row || ++files_ > limits::kImageFilesMax) continue;
      row->name.insert(0, prefix);
      if (row->method == kZipDeflated) {
        add_deflated(place, *row);
      } else {
        add_stored(place, *row, prefix.empty());
      }
    }
  }

  void add_stored(std::size_t archive, const ZipRow& row, bool looks_inside) {
    const std::size_t place = archive + row.place;
    const ByteView content = file_.subspan(place, row.bytes);
    const std::size_t before = map_.files.size();
    if (looks_inside && as_text(content).starts_with("PK\x03\x04")) add_archive(place, row.bytes, row.name + "!");
    content_bytes_ += row.bytes;
    if (content.empty() || map_.files.size() > before || content_bytes_ > limits::kGzipFindBytesMax) return;
    map_.files.push_back({row.name, static_cast<std::uint32_t>(place), row.bytes, to_bytes(content)});
  }

  // The row at `at`, if its data is before the rows.
  static std::optional<ZipRow> read_row(ByteView archive, std::size_t at, std::size_t before, std::size_t rows) {
    ZipRow row;
    row.method = load16(&archive[at + 10]);
    row.bytes = load32(&archive[at + 20]);
    row.content_bytes = load32(&archive[at + 24]);
    const bool encrypted = (load16(&archive[at + 8]) & kZipEncrypted) != 0;
    if (encrypted || (row.method != kZipStored && row.method != kZipDeflated)) return std::nullopt;
    const std::size_t local = std::size_t{load32(&archive[at + 42])} + before;
    if (local > rows || rows - local < kZipLocalBytes || load32(&archive[local]) != kZipLocal) return std::nullopt;
    row.place = local + kZipLocalBytes + load16(&archive[local + 26]) + load16(&archive[local + 28]);
    if (row.place > rows || row.bytes > rows - row.place) return std::nullopt;
    row.name = as_text(archive.subspan(at + kZipRowBytes, load16(&archive[at + 28])));
    return row;
  }

  void add_deflated(std::size_t archive, const ZipRow& row) {
    if (row.bytes == 0 || row.content_bytes == 0 || row.content_bytes == row.bytes) return;
    if (row.content_bytes / kZipDeflateRatio > row.bytes) return;
    content_bytes_ += row.content_bytes;
    if (content_bytes_ > limits::kGzipFindBytesMax) return;
    auto content = unpack_stream(map_, file_.subspan(archive + row.place, row.bytes), row.content_bytes);
    if (!content) return;
    map_.files.push_back({row.name, static_cast<std::uint32_t>(archive + row.place), row.bytes, std::move(*content)});
  }

  ByteView file_;
  ArchiveMap map_;
  std::uint64_t content_bytes_ = 0;  // that were looked for
  std::size_t files_ = 0;
};

}  // namespace

std::optional<ArchiveMap> map_zip(ByteView file) {
  return ZipMapper(file).run();
}

}  // namespace instar::delta

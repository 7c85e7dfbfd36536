// Reads an artifact's index during staging: entry by entry, and as a table of the contents that it names.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/artifact/index.hpp"
#include "core/base/hash.hpp"
#include "core/base/result.hpp"
#include "files/posix.hpp"

namespace instar::device {

// Reads the entries of an index file, a few kilobytes at a time. Every entry has passed IndexChecker.
class IndexStream {
 public:
  // Errors: not_found, io.
  [[nodiscard]] static Result<std::unique_ptr<IndexStream>> open(const std::string& path, artifact::IndexRules rules);
  // The next entry, valid until the next call. nullptr after the last one; then id() is known.
  // Errors: io, and those of IndexReader.
  [[nodiscard]] Result<const artifact::Entry*> next();
  // The hash of the whole file.
  [[nodiscard]] const Hash256& id() const noexcept { return id_; }

 private:
  IndexStream(files::Fd file, std::string path, artifact::IndexRules rules);

  files::Fd file_;
  std::string path_;
  artifact::IndexReader reader_;
  std::deque<artifact::Entry> ready_;
  std::optional<artifact::Entry> current_;
  std::uint64_t offset_ = 0;
  bool ended_ = false;
  Hash256 id_;
};

// Mode, owner, xattrs, and the time if the index keeps it, in one number. Two files with the same number and the same
// content can be one file.
[[nodiscard]] std::uint64_t metadata_digest(const artifact::Entry& entry);
// The same number for a file on disk, whose time counts if `with_time`.
[[nodiscard]] Result<std::uint64_t> metadata_digest(int fd, const std::string& shown, bool with_time);

// One file entry with content.
struct ContentRow {
  Hash256 content;
  std::uint64_t size = 0;
  std::uint64_t metadata = 0;
  std::uint64_t offset = 0;  // in the content stream; only for the first row of a content
  std::uint64_t path_at = 0;
  std::uint16_t path_bytes = 0;
  bool first = false;  // this is the first row with this content
  bool timed = false;  // its time is part of `metadata`
};

// A part of the content stream that is in one file.
struct ContentRange {
  std::uint32_t row = 0;
  std::uint64_t file_offset = 0;
  std::uint32_t bytes = 0;
};

// All file entries of an index that have content, in index order. They are found by content and by place in the content
// stream. Memory: about 80 bytes and the path for each.
class ContentTable {
 public:
  void add(const artifact::Entry& entry);
  // To be called after the last add(). Errors: malformed (one content with two sizes).
  [[nodiscard]] Status seal();

  [[nodiscard]] std::span<const ContentRow> rows() const noexcept { return rows_; }
  [[nodiscard]] std::string path(const ContentRow& row) const { return paths_.substr(row.path_at, row.path_bytes); }
  // Rows with this content, in index order. The first of them is the one in the content stream.
  [[nodiscard]] std::span<const std::uint32_t> with_content(const Hash256& content) const;
  [[nodiscard]] std::uint64_t stream_bytes() const noexcept { return stream_bytes_; }
  // Where [offset, offset + bytes) of the content stream is. It must be inside the stream.
  [[nodiscard]] std::vector<ContentRange> ranges(std::uint64_t offset, std::uint64_t bytes) const;

 private:
  std::vector<ContentRow> rows_;
  std::vector<std::uint32_t> by_content_;  // sorted by content, then by index order
  std::vector<std::uint32_t> stream_;      // first rows, in stream order
  std::string paths_;
  std::uint64_t stream_bytes_ = 0;
};

}  // namespace instar::device

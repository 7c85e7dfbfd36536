#include "device-client/staging/index.hpp"

#include <fcntl.h>

#include <algorithm>
#include <numeric>

#include "core/artifact/entry_fields.hpp"
#include "core/base/assert.hpp"
#include "core/trust/digest.hpp"
#include "files/staging_tree.hpp"

namespace instar::device {
namespace {

constexpr std::size_t kIndexReadBytes = 8 * 1024;

}  // namespace

Result<std::unique_ptr<IndexStream>> IndexStream::open(const std::string& path, artifact::IndexRules rules) {
  INSTAR_TRY(files::Fd file, files::open_file(path, O_RDONLY | O_NOFOLLOW));
  return std::unique_ptr<IndexStream>(new IndexStream(std::move(file), path, rules));
}

IndexStream::IndexStream(files::Fd file, std::string path, artifact::IndexRules rules)
    : file_(std::move(file)),
      path_(std::move(path)),
      reader_(
          [this](const artifact::Entry& entry) -> Status {
            ready_.push_back(entry);
            return {};
          },
          rules) {}

Result<const artifact::Entry*> IndexStream::next() {
  while (ready_.empty() && !ended_) {
    Bytes buffer(kIndexReadBytes);
    INSTAR_TRY(const std::size_t got, files::read_at(file_.get(), buffer, offset_, path_));
    if (got > 0) {
      INSTAR_CHECK(reader_.feed(ByteView(buffer).first(got)));
      offset_ += got;
      continue;
    }
    INSTAR_TRY(id_, reader_.finish());
    ended_ = true;
  }
  if (ready_.empty()) return nullptr;
  current_ = std::move(ready_.front());
  ready_.pop_front();
  return &*current_;
}

std::uint64_t metadata_digest(const artifact::Entry& entry) {
  Bytes bytes;
  artifact::append_varint(bytes, entry.mode);
  artifact::append_owner(bytes, entry);
  artifact::append_xattrs(bytes, entry);
  return trust::digest(bytes).prefix64();
}

Result<std::uint64_t> metadata_digest(int fd, const std::string& shown, bool with_time) {
  INSTAR_TRY(artifact::Entry entry, files::StagingTree::read_metadata(fd, shown));
  if (!with_time) entry.time.reset();
  return metadata_digest(entry);
}

void ContentTable::add(const artifact::Entry& entry) {
  if (entry.type != artifact::EntryType::file || entry.size == 0) return;
  ContentRow row;
  row.content = entry.content;
  row.size = entry.size;
  row.metadata = metadata_digest(entry);
  row.timed = entry.time.has_value();
  row.path_at = paths_.size();
  row.path_bytes = static_cast<std::uint16_t>(entry.path.size());
  paths_ += entry.path;
  rows_.push_back(row);
}

Status ContentTable::seal() {
  by_content_.resize(rows_.size());
  std::iota(by_content_.begin(), by_content_.end(), 0U);
  std::sort(by_content_.begin(), by_content_.end(), [&](std::uint32_t a, std::uint32_t b) {
    return rows_[a].content != rows_[b].content ? rows_[a].content < rows_[b].content : a < b;
  });
  for (std::size_t i = 0; i < by_content_.size(); ++i) {
    ContentRow& row = rows_[by_content_[i]];
    row.first = i == 0 || rows_[by_content_[i - 1]].content != row.content;
    if (!row.first && rows_[by_content_[i - 1]].size != row.size) {
      return fail(Code::malformed, "the index gives two sizes for the content of \"" + path(row) + "\"");
    }
  }
  for (std::uint32_t i = 0; i < rows_.size(); ++i) {
    if (!rows_[i].first) continue;
    rows_[i].offset = stream_bytes_;
    stream_bytes_ += rows_[i].size;
    stream_.push_back(i);
  }
  return {};
}

std::span<const std::uint32_t> ContentTable::with_content(const Hash256& content) const {
  const auto [first, last] =
      std::ranges::equal_range(by_content_, content, {}, [&](std::uint32_t row) { return rows_[row].content; });
  return {first, last};
}

std::vector<ContentRange> ContentTable::ranges(std::uint64_t offset, std::uint64_t bytes) const {
  INSTAR_ASSERT(bytes <= stream_bytes_ && offset <= stream_bytes_ - bytes);
  std::vector<ContentRange> result;
  auto at = std::ranges::upper_bound(stream_, offset, {}, [&](std::uint32_t row) { return rows_[row].offset; });
  if (at != stream_.begin()) --at;
  while (bytes > 0) {
    INSTAR_ASSERT(at != stream_.end());
    const ContentRow& row = rows_[*at];
    const std::uint64_t inside = offset - row.offset;
    const std::uint64_t part = std::min(bytes, row.size - inside);
    result.push_back({*at, inside, static_cast<std::uint32_t>(part)});
    offset += part;
    bytes -= part;
    ++at;
  }
  return result;
}

}  // namespace instar::device

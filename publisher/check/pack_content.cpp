#include "publisher/check/pack_content.hpp"

#include <algorithm>

#include "core/base/limits.hpp"
#include "files/files.hpp"
#include "publisher/artifact/pack_contents.hpp"

namespace instar::publisher {
namespace {

// A program's headers, its dynamic section and its strings lie in different chunks.
constexpr std::size_t kDecodedChunksKept = 8;

}  // namespace

Result<std::vector<artifact::Entry>> read_index_of(const ArtifactFolder& folder) {
  const std::string path = folder.path + "/" + std::string(kIndexFile);
  INSTAR_TRY(const auto bytes, files::read_file(path, limits::kIndexBytesMax));
  auto entries = artifact::read_index(bytes, kReadAll);
  if (!entries) return fail(with_context(entries.error(), path));
  return entries;
}

PackContent::PackContent(const ArtifactFolder& folder, const std::vector<artifact::Entry>& entries)
    : pack_(full_pack(folder)) {
  for (const auto& file : artifact::stream_files(entries)) offsets_.emplace(file.content, file.offset);
  std::uint64_t offset = 0;
  const auto& directory = pack_.directory();
  for (std::size_t i = directory.head_count; i < directory.chunks.size(); ++i) {
    chunk_offsets_.push_back(offset);
    offset += directory.chunks[i].decoded_bytes;
  }
  chunk_offsets_.push_back(offset);
}

Result<std::pair<std::uint64_t, const Bytes*>> PackContent::chunk_at(std::uint64_t offset) {
  if (offset >= chunk_offsets_.back())
    return fail(Code::corrupt, pack_.path() + " ends before the contents that the index names: pack the tree again");
  const auto after = std::ranges::upper_bound(chunk_offsets_, offset);
  const auto number = static_cast<std::size_t>(after - chunk_offsets_.begin()) - 1;
  const auto kept = std::ranges::find(decoded_, number, [](const auto& each) { return each.first; });
  if (kept != decoded_.end()) return std::pair{chunk_offsets_[number], static_cast<const Bytes*>(&kept->second)};
  auto bytes = pack_.decode_chunk(pack_.directory().head_count + static_cast<std::uint32_t>(number));
  if (!bytes) return fail(with_context(bytes.error(), pack_.path()));
  if (decoded_.size() == kDecodedChunksKept) decoded_.pop_front();
  decoded_.emplace_back(number, std::move(*bytes));
  return std::pair{chunk_offsets_[number], static_cast<const Bytes*>(&decoded_.back().second)};
}

Result<Bytes> PackContent::read(const artifact::Entry& file, std::uint64_t offset, std::size_t size) {
  Bytes out;
  if (offset >= file.size) return out;
  const auto place = offsets_.find(file.content);
  if (place == offsets_.end())
    return fail(Code::corrupt, pack_.path() + " does not hold /" + file.path + ": pack the tree again");
  std::uint64_t left = std::min<std::uint64_t>(size, file.size - offset);
  for (std::uint64_t at = place->second + offset; left > 0;) {
    INSTAR_TRY(const auto chunk, chunk_at(at));
    const auto& bytes = *chunk.second;
    const auto begin = static_cast<std::size_t>(at - chunk.first);
    if (begin >= bytes.size())
      return fail(Code::corrupt, pack_.path() + " holds less than its directory says: pack the tree again");
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size() - begin));
    out.insert(out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(begin),
               bytes.begin() + static_cast<std::ptrdiff_t>(begin + take));
    at += take;
    left -= take;
  }
  return out;
}

}  // namespace instar::publisher

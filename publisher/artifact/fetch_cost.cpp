#include "publisher/artifact/fetch_cost.hpp"

#include <algorithm>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "core/artifact/chunker.hpp"
#include "core/artifact/holes.hpp"
#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "files/tree.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;

// Cuts a stream of bytes into chunks and keeps their hashes.
class StreamHasher {
 public:
  StreamHasher(artifact::PackKind kind, std::unordered_set<Hash256>& out)
      : chunker_(artifact::body_chunks(kind)), out_(out) {}

  void write(ByteView bytes) {
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    cut(false);
  }
  void end() { cut(true); }

 private:
  void cut(bool last) {
    std::size_t done = 0;
    while (done < pending_.size()) {
      const ByteView rest = ByteView(pending_).subspan(done);
      if (!last && rest.size() < limits::kChunkDecodedBytesMax) break;
      const std::size_t size = chunker_.next_cut(rest, last);
      out_.insert(trust::digest(rest.first(size)));
      done += size;
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
  }

  artifact::Chunker chunker_;
  std::unordered_set<Hash256>& out_;
  Bytes pending_;
};

}  // namespace

HeldTree::HeldTree(const ReadableTree& tree) : tree_(tree) {
  for (const Entry& entry : tree.entries) {
    if (entry.type == EntryType::file && entry.size > 0) contents_.insert(entry.content);
  }
}

Result<const HeldTree::Chunks*> HeldTree::chunks(artifact::PackKind kind, const Work& work) {
  const auto [at, is_new] = chunks_.try_emplace(kind);
  if (!is_new) return &at->second;
  std::unordered_map<std::string_view, const Entry*> by_path;
  for (const Entry& entry : tree_.entries) by_path.emplace(entry.path, &entry);
  const auto files = artifact::stream_files(tree_.entries);
  const auto source = files::tree_source(tree_.tree.path());
  StreamHasher hasher(kind, at->second);
  Bytes buffer(limits::kChunkDecodedBytesMax);
  for (const auto& file : files) {
    for (std::uint64_t offset = 0; offset < file.size;) {
      INSTAR_CHECK(work.go_on());
      INSTAR_TRY(const std::size_t got, source->read(*by_path.at(file.path), offset, buffer));
      if (got == 0)
        return fail(Code::corrupt, file.path + " of " + tree_.name + " became shorter meanwhile: try again");
      hasher.write(ByteView(buffer).first(got));
      offset += got;
      work.tell("looking for what the base has", file.offset + offset, files.back().offset + files.back().size);
    }
  }
  hasher.end();
  return &at->second;
}

Result<std::optional<std::uint64_t>> HeldTree::bytes_to_fetch(const PackFile& pack, const std::vector<Entry>& fresh,
                                                              const Work& work) {
  const auto& directory = pack.directory();
  if (directory.artifact == tree_.id) return 0U;
  if (directory.kind == artifact::PackKind::delta) {
    return directory.base == tree_.id ? std::optional(pack.wire_bytes()) : std::nullopt;
  }
  INSTAR_TRY(const Chunks* const held, chunks(directory.kind, work));
  const auto files = artifact::stream_files(fresh);
  artifact::ZeroChunks zeros;
  std::uint64_t bytes = directory.head_bytes();
  std::uint64_t offset = 0;
  std::size_t first = 0;
  for (std::size_t i = directory.head_count; i < directory.chunks.size(); ++i) {
    const auto& chunk = directory.chunks[i];
    const std::uint64_t end = offset + chunk.decoded_bytes;
    while (first < files.size() && files[first].offset + files[first].size <= offset) ++first;
    bool has_files = true;
    for (std::size_t at = first; at < files.size() && files[at].offset < end; ++at)
      has_files = has_files && contents_.contains(files[at].content);
    if (!has_files && !held->contains(chunk.hash) && !zeros.contains(chunk)) bytes += chunk.encoded_bytes;
    offset = end;
  }
  return bytes;
}

}  // namespace instar::publisher

// Makes packs. Head and body are two byte streams that are cut, compressed and passed on by the same code.
#include <algorithm>
#include <unordered_map>

#include "core/artifact/chunker.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::artifact {
namespace {

// Bytes read at once. More than the largest chunk would not help, since chunks are passed on one at a time.
constexpr std::size_t kReadBytes = 64 * 1024;

class StreamCutter {
 public:
  StreamCutter(ChunkerParameters parameters, bool head, int level, PackSink& sink)
      : chunker_(parameters), head_(head), level_(level), sink_(sink) {}

  Status write(ByteView bytes) {
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    return cut(false);
  }
  Status end() { return cut(true); }
  [[nodiscard]] const std::vector<ChunkRef>& chunks() const noexcept { return chunks_; }

 private:
  Status cut(bool last) {
    std::size_t done = 0;
    while (done < pending_.size()) {
      const ByteView rest = ByteView(pending_).subspan(done);
      // Looking for a cut before a whole chunk may be there would hash its start again and again.
      if (!last && rest.size() < limits::kChunkDecodedBytesMax) break;
      const std::size_t size = chunker_.next_cut(rest, last);
      if (size == 0) break;
      INSTAR_CHECK(hand_over(rest.first(size)));
      done += size;
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
    return {};
  }

  Status hand_over(ByteView decoded) {
    const std::size_t count_max = head_ ? limits::kHeadChunksMax : std::size_t{limits::kPackChunksMax};
    if (chunks_.size() == count_max) {
      return fail(Code::too_large, std::string("the pack's ") + (head_ ? "head" : "body") + " has more than " +
                                       std::to_string(count_max) + " chunks: split the tree into two containers");
    }
    const EncodedChunk encoded = encode_chunk(decoded, level_);
    const ChunkRef ref{ChunkHash(trust::digest(decoded)), static_cast<std::uint32_t>(encoded.bytes.size()),
                       static_cast<std::uint32_t>(decoded.size()), encoded.codec};
    INSTAR_CHECK(sink_.put(head_, static_cast<std::uint32_t>(chunks_.size()), ref, encoded.bytes));
    chunks_.push_back(ref);
    return {};
  }

  Chunker chunker_;
  bool head_;
  int level_;
  PackSink& sink_;
  Bytes pending_;
  std::vector<ChunkRef> chunks_;
};

// Feeds one content to `body`, and checks that it is what the index says.
Status write_content(const Entry& entry, ContentSource& source, StreamCutter& body,
                     const std::function<void(std::size_t)>& progress) {
  trust::Hasher hasher;
  Bytes buffer(kReadBytes);
  std::uint64_t offset = 0;
  while (offset < entry.size) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), entry.size - offset));
    INSTAR_TRY(const std::size_t got, source.read(entry, offset, std::span(buffer).first(want)));
    if (got != want) return fail(Code::corrupt, entry.path + " became shorter while it was being packed: pack again");
    hasher.update(ByteView(buffer).first(got));
    INSTAR_CHECK(body.write(ByteView(buffer).first(got)));
    offset += got;
    progress(got);
  }
  if (hasher.finish() != entry.content)
    return fail(Code::corrupt, entry.path + " changed while it was being packed: pack again");
  return {};
}

}  // namespace

Result<PackDirectory> make_pack(ByteView index_bytes, const std::vector<Entry>& entries, ContentSource& source,
                                PackSink& sink, const PackOptions& options) {
  if (options.kind == PackKind::delta) return fail(Code::unsupported, "delta packs are not made from one tree");
  std::unordered_map<std::string_view, const Entry*> by_path;
  for (const Entry& entry : entries) by_path.emplace(entry.path, &entry);
  const std::vector<StreamFile> files = stream_files(entries);
  std::uint64_t all = index_bytes.size();
  for (const StreamFile& file : files) all += file.size;
  if (all - index_bytes.size() > limits::kContentBytesMax) {
    return fail(Code::too_large, "the tree holds " + std::to_string(all) + " bytes; at most " +
                                     std::to_string(limits::kContentBytesMax) + " are allowed");
  }
  std::uint64_t done = 0;
  const auto progress = [&](std::size_t bytes) {
    done += bytes;
    if (options.progress) options.progress(done, all);
  };

  StreamCutter body(body_chunks(options.kind), false, options.level, sink);
  for (const StreamFile& file : files) {
    INSTAR_CHECK(write_content(*by_path.at(file.path), source, body, progress));
  }
  INSTAR_CHECK(body.end());
  StreamCutter head(kFullChunks, true, options.level, sink);
  INSTAR_CHECK(head.write(index_bytes));
  INSTAR_CHECK(head.write(encode_body_table(body.chunks())));
  INSTAR_CHECK(head.end());
  progress(index_bytes.size());

  PackDirectory directory;
  directory.kind = options.kind;
  directory.artifact = ArtifactId(trust::digest(index_bytes));
  directory.head_count = static_cast<std::uint32_t>(head.chunks().size());
  directory.chunks = head.chunks();
  directory.chunks.insert(directory.chunks.end(), body.chunks().begin(), body.chunks().end());
  return directory;
}

}  // namespace instar::artifact

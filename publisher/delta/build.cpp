#include "publisher/delta/build.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "core/artifact/codec.hpp"
#include "core/delta/delta_head.hpp"
#include "core/delta/index_delta.hpp"
#include "core/delta/make/maker.hpp"
#include "core/trust/digest.hpp"
#include "files/posix.hpp"
#include "publisher/delta/image.hpp"
#include "publisher/delta/match.hpp"

namespace instar::publisher {
namespace {

using artifact::ChunkRef;
using artifact::Entry;
using artifact::EntryType;

std::unordered_map<std::string_view, const Entry*> files_by_path(const ReadableTree& tree) {
  std::unordered_map<std::string_view, const Entry*> files;
  for (const Entry& entry : tree.entries) {
    if (entry.type == EntryType::file) files.emplace(entry.path, &entry);
  }
  return files;
}

std::vector<DeltaMatcher::Task> tasks_of(const delta::IndexDelta& index, const ReadableTree& base) {
  const auto files = files_by_path(base);
  std::vector<DeltaMatcher::Task> tasks;
  for (const auto& fresh : index.entries) {
    if (fresh.from != delta::ContentFrom::decode) continue;
    const auto place = files.find(fresh.source);
    tasks.push_back({&fresh.entry, place == files.end() ? nullptr : place->second});
  }
  return tasks;
}

// Whether both files begin as images whose insides are compared.
bool are_images(const ReadableTree& base, const ReadableTree& fresh, const DeltaMatcher::Task& task) {
  if (task.place == nullptr) return false;
  for (const auto& [tree, entry] : {std::pair{&base, task.place}, std::pair{&fresh, task.fresh}}) {
    const auto file = tree->tree.open_file(entry->path, false);
    std::array<std::uint8_t, 4> start{};
    if (!file || !files::read_at(file->get(), start, 0, entry->path) || !may_be_image(start)) return false;
  }
  return true;
}

// Returns false when the images are to be taken as any files.
Result<bool> add_images(const ReadableTree& base, const ReadableTree& fresh, const DeltaMatcher::Task& task,
                        const DeltaOptions& options, delta::DeltaMaker& maker) {
  INSTAR_TRY(const Bytes old, read_content(base.tree, *task.place));
  INSTAR_TRY(const Bytes now, read_content(fresh.tree, *task.fresh));
  return add_image(old, now, options, maker);
}

// Compares all files and returns the streams of the body.
Result<delta::DeltaMaker::Made> make_streams(const delta::IndexDelta& index, const ReadableTree& base,
                                             const ReadableTree& fresh, const DeltaOptions& options) {
  const auto tasks = tasks_of(index, base);
  std::uint64_t all = 0;
  for (const auto& task : tasks) all += task.fresh->size;
  std::uint64_t done = 0;
  std::vector<bool> images;
  std::vector<DeltaMatcher::Task> others;
  for (const auto& task : tasks) {
    images.push_back(are_images(base, fresh, task));
    if (!images.back()) others.push_back(task);
  }
  delta::DeltaMaker maker;
  const TreeContents old(base);
  const TreeContents now(fresh);
  DeltaMatcher matcher(old, now, others, options.jobs, options.match_bytes_max, options.work);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const auto& task = tasks[i];
    options.work.tell("comparing", done, all);
    done += task.fresh->size;
    INSTAR_CHECK(options.work.go_on());
    if (!images[i]) {
      INSTAR_TRY(const auto matched, matcher.next());
      maker.add(matched);
      continue;
    }
    INSTAR_TRY(const bool added, add_images(base, fresh, task, options, maker));
    if (added) continue;
    DeltaMatcher as_file(old, now, {task}, 1, options.match_bytes_max, options.work);
    INSTAR_TRY(const auto matched, as_file.next());
    maker.add(matched);
  }
  options.work.tell("comparing", done, all);
  return maker.finish();
}

// Cuts the body into raw chunks and returns their hashes.
Status put_body(ByteView body, artifact::PackSink& sink, std::vector<ChunkRef>& chunks) {
  while (!body.empty()) {
    const auto piece = body.first(std::min<std::size_t>(body.size(), limits::kDeltaChunkBytes));
    const auto bytes = static_cast<std::uint32_t>(piece.size());
    const ChunkRef ref{ChunkHash(trust::digest(piece)), bytes, bytes, artifact::Codec::raw};
    if (chunks.size() == limits::kPackChunksMax) return fail(Code::too_large, "the delta has too many chunks");
    INSTAR_CHECK(sink.put(false, static_cast<std::uint32_t>(chunks.size()), ref, piece));
    chunks.push_back(ref);
    body = body.subspan(piece.size());
  }
  return {};
}

Status put_head(ByteView head, int level, artifact::PackSink& sink, std::vector<ChunkRef>& chunks) {
  while (!head.empty()) {
    const auto piece = head.first(std::min<std::size_t>(head.size(), limits::kChunkDecodedBytesMax));
    const auto encoded = artifact::encode_chunk(piece, level);
    const ChunkRef ref{ChunkHash(trust::digest(piece)), static_cast<std::uint32_t>(encoded.bytes.size()),
                       static_cast<std::uint32_t>(piece.size()), encoded.codec};
    if (chunks.size() == limits::kHeadChunksMax) return fail(Code::too_large, "the delta's head has too many chunks");
    INSTAR_CHECK(sink.put(true, static_cast<std::uint32_t>(chunks.size()), ref, encoded.bytes));
    chunks.push_back(ref);
    head = head.subspan(piece.size());
  }
  return {};
}

}  // namespace

Result<artifact::PackDirectory> make_delta_pack(const ReadableTree& base, const ReadableTree& fresh,
                                                artifact::PackSink& sink, const DeltaOptions& options) {
  INSTAR_TRY(const auto index, delta::make_index_delta(base.entries, fresh.entries));
  INSTAR_TRY(auto made, make_streams(index, base, fresh, options));
  std::vector<ChunkRef> body;
  INSTAR_CHECK(put_body(made.body, sink, body));
  made.header.entry_count = static_cast<std::uint32_t>(fresh.entries.size());
  made.header.index_delta_bytes = static_cast<std::uint32_t>(index.bytes.size());
  std::vector<ChunkHash> hashes;
  for (const ChunkRef& ref : body) hashes.push_back(ref.hash);
  artifact::PackDirectory directory;
  directory.kind = artifact::PackKind::delta;
  directory.artifact = fresh.id;
  directory.base = base.id;
  INSTAR_CHECK(
      put_head(delta::encode_delta_head(made.header, index.bytes, hashes), options.level, sink, directory.chunks));
  directory.head_count = static_cast<std::uint32_t>(directory.chunks.size());
  directory.chunks.insert(directory.chunks.end(), body.begin(), body.end());
  return directory;
}

std::string delta_file_name(const ArtifactId& base) {
  return "delta-" + base.short_hex() + ".pack";
}

Result<PackFile> write_delta_pack(const ReadableTree& base, const ReadableTree& fresh, const std::string& folder,
                                  const DeltaOptions& options) {
  const std::string path = folder + "/" + delta_file_name(base.id);
  INSTAR_TRY(auto writer, PackFileWriter::create(path));
  INSTAR_TRY(const auto directory, make_delta_pack(base, fresh, writer, options));
  INSTAR_CHECK(writer.finish(directory));
  return PackFile::open(path);
}

}  // namespace instar::publisher

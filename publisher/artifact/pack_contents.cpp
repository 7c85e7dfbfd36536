#include "publisher/artifact/pack_contents.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/trust/digest.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;

// Writes the content stream to the files that it consists of.
class StreamWriter {
 public:
  StreamWriter(const std::vector<artifact::StreamFile>& files, TreeBuilder& builder)
      : files_(files), builder_(builder) {}

  Status write(ByteView bytes) {
    while (!bytes.empty()) {
      if (next_ == files_.size()) return fail(Code::corrupt, "the body is longer than the files of the index");
      const auto& file = files_[next_];
      if (done_ == 0) INSTAR_CHECK(builder_.begin_file(file.path));
      const auto part = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), file.size - done_)));
      INSTAR_CHECK(builder_.write(part));
      bytes = bytes.subspan(part.size());
      done_ += part.size();
      if (done_ < file.size) continue;
      INSTAR_TRY(const auto content, builder_.end_file());
      if (content.hash != file.content)
        return fail(Code::corrupt, "the content of " + file.path + " does not match the index");
      ++next_;
      done_ = 0;
    }
    return {};
  }

  [[nodiscard]] Status end() const {
    if (next_ == files_.size()) return {};
    return fail(Code::corrupt, "the body ends before the content of " + files_[next_].path);
  }

 private:
  const std::vector<artifact::StreamFile>& files_;
  TreeBuilder& builder_;
  std::size_t next_ = 0;
  std::uint64_t done_ = 0;
};

// Copies files whose content an earlier file has.
Status copy_repeated(const std::vector<Entry>& entries, const std::vector<artifact::StreamFile>& files,
                     TreeBuilder& builder) {
  std::unordered_map<Hash256, const std::string*> first;
  for (const auto& file : files) first.emplace(file.content, &file.path);
  for (const Entry& entry : entries) {
    if (entry.type != EntryType::file || entry.size == 0 || *first.at(entry.content) == entry.path) continue;
    INSTAR_TRY(const auto content, builder.copy_file(entry.path, builder.tree(), *first.at(entry.content)));
    if (content.hash != entry.content)
      return fail(Code::corrupt, entry.path + " changed while the tree was being written");
  }
  return {};
}

}  // namespace

Result<ArtifactId> index_id(const std::vector<Entry>& entries) {
  artifact::IndexWriter writer([](ByteView) -> Status { return {}; }, kReadAll);
  for (const Entry& entry : entries) INSTAR_CHECK(writer.append(entry));
  return writer.finish();
}

Result<Bytes> read_head(const PackFile& pack) {
  Bytes head;
  for (std::uint32_t ordinal = 0; ordinal < pack.directory().head_count; ++ordinal) {
    INSTAR_TRY(const auto decoded, pack.decode_chunk(ordinal));
    head.insert(head.end(), decoded.begin(), decoded.end());
  }
  return head;
}

Result<std::vector<Entry>> read_index_in(const PackFile& pack) {
  const auto& directory = pack.directory();
  INSTAR_TRY(const Bytes head, read_head(pack));
  // The head ends with the table of the body's chunks, which the directory names too. All before the table is the
  // index.
  const Bytes table =
      artifact::encode_body_table({directory.chunks.begin() + directory.head_count, directory.chunks.end()});
  if (head.size() < table.size() || !std::ranges::equal(ByteView(head).last(table.size()), table)) {
    return fail(Code::corrupt, pack.path() + ": the body table in the head differs from the directory");
  }
  const ByteView index = ByteView(head).first(head.size() - table.size());
  if (trust::digest(index) != directory.artifact)
    return fail(Code::corrupt, pack.path() + ": the head holds the index of another artifact");
  auto entries = artifact::read_index(index, kReadAll);
  if (!entries) return fail(with_context(entries.error(), pack.path()));
  return entries;
}

Result<std::vector<Entry>> rebuild_whole(const PackFile& pack, TreeBuilder& builder, const Work& work) {
  INSTAR_TRY(auto entries, read_index_in(pack));
  for (const Entry& entry : entries) INSTAR_CHECK(builder.add(entry));
  const auto files = artifact::stream_files(entries);
  const std::uint64_t all = files.empty() ? 0 : files.back().offset + files.back().size;
  std::uint64_t done = 0;
  StreamWriter stream(files, builder);
  for (std::uint32_t ordinal = pack.directory().head_count; ordinal < pack.directory().chunks.size(); ++ordinal) {
    INSTAR_CHECK(work.go_on());
    INSTAR_TRY(const auto decoded, pack.decode_chunk(ordinal));
    auto status = stream.write(decoded);
    if (!status) return fail(with_context(status.error(), pack.path()));
    done += decoded.size();
    work.tell("unpacking", done, all);
  }
  auto status = stream.end();
  if (!status) return fail(with_context(status.error(), pack.path()));
  INSTAR_CHECK(copy_repeated(entries, files, builder));
  return entries;
}

}  // namespace instar::publisher

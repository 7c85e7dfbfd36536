#include "publisher/artifact/delta_pack.hpp"

#include <algorithm>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "core/delta/decoder.hpp"
#include "core/delta/index_delta.hpp"

namespace instar::publisher {
namespace {

using artifact::Entry;
using artifact::EntryType;
using delta::ContentFrom;
using delta::NewEntry;

constexpr std::uint64_t kDecodeBytes = 1024 * 1024;

delta::ReadAt reader_of(ByteView bytes) {
  return [bytes](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    if (offset >= bytes.size()) return 0U;
    const auto part = bytes.subspan(static_cast<std::size_t>(offset));
    const std::size_t count = std::min(part.size(), out.size());
    std::copy_n(part.begin(), count, out.begin());
    return count;
  };
}

using ByPath = std::unordered_map<std::string_view, const Entry*>;

class Rebuilder {
 public:
  Rebuilder(const PackFile& pack, const ReadableTree& base, TreeBuilder* builder, const Work& work)
      : pack_(pack), base_(base), builder_(builder), work_(work) {
    for (const Entry& entry : base.entries) {
      if (entry.type == EntryType::file) base_files_.emplace(entry.path, &entry);
    }
  }

  Result<std::vector<Entry>> run() {
    INSTAR_TRY(const auto contents, read_delta(pack_));
    header_ = contents.parts.header;
    INSTAR_TRY(decoder_, delta::Decoder::open(header_, [this](std::uint64_t offset, std::span<std::uint8_t> out) {
                 return pack_.read_body(offset, out);
               }));
    std::size_t base_at = 0;
    const auto next_base = [&]() -> Result<const Entry*> {
      return base_at < base_.entries.size() ? &base_.entries[base_at++] : nullptr;
    };
    const auto delta_bytes =
        ByteView(contents.head)
            .subspan(static_cast<std::size_t>(contents.parts.index_delta_offset), header_.index_delta_bytes);
    std::uint64_t delta_at = 0;
    delta::IndexDeltaReader reader(
        next_base,
        [&, read = reader_of(delta_bytes)](std::span<std::uint8_t> out) -> Result<std::size_t> {
          INSTAR_TRY(const std::size_t got, read(delta_at, out));
          delta_at += got;
          return got;
        },
        kReadAll);
    entries_.reserve(header_.entry_count);
    while (true) {
      INSTAR_TRY(const NewEntry* const fresh, reader.next());
      if (fresh == nullptr) break;
      if (entries_.size() == header_.entry_count)
        return fail(Code::malformed, "there are more entries than its header says");
      INSTAR_CHECK(take(*fresh));
    }
    INSTAR_TRY(const auto more, decoder_->next_file());
    if (more) return fail(Code::malformed, "its streams hold more files than its index");
    INSTAR_TRY(const auto id, index_id(entries_));
    if (id != pack_.directory().artifact)
      return fail(Code::corrupt, "what it makes of " + base_.name + " is not its artifact");
    return std::move(entries_);
  }

 private:
  Status take(const NewEntry& fresh) {
    Entry entry = fresh.entry;
    if (builder_ != nullptr) INSTAR_CHECK(builder_->add(entry));
    switch (fresh.from) {
      case ContentFrom::none: break;
      case ContentFrom::base: INSTAR_CHECK(copy_from_base(entry, entry.path)); break;
      case ContentFrom::base_path: INSTAR_CHECK(copy_from_base(entry, fresh.source)); break;
      case ContentFrom::earlier: INSTAR_CHECK(copy_earlier(entry, fresh.source)); break;
      case ContentFrom::decode: INSTAR_CHECK(decode(entry, fresh.source)); break;
    }
    if (entry.type == EntryType::file) places_.emplace(entry.path, entries_.size());
    entries_.push_back(std::move(entry));
    return {};
  }

  Result<const Entry*> base_file(const std::string& path) const {
    const auto found = base_files_.find(path);
    if (found == base_files_.end())
      return fail(Code::corrupt, "it copies \"" + path + "\", which is no file of " + base_.name);
    return found->second;
  }

  Status copy(Entry& entry, const Entry& from, const files::StagingTree* tree) {
    entry.size = from.size;
    entry.content = from.content;
    if (builder_ == nullptr) return {};
    INSTAR_CHECK(work_.go_on());
    INSTAR_TRY(const auto content, builder_->copy_file(entry.path, *tree, from.path));
    if (content.hash == entry.content) return {};
    return fail(Code::corrupt, tree->shown(from.path) + " is not what it was when the tree was read");
  }

  Status copy_from_base(Entry& entry, const std::string& path) {
    INSTAR_TRY(const Entry* const from, base_file(path));
    return copy(entry, *from, &base_.tree);
  }

  Status copy_earlier(Entry& entry, const std::string& path) {
    const auto found = places_.find(path);
    if (found == places_.end())
      return fail(Code::corrupt, "it copies \"" + path + "\", which is no file of the new tree");
    const Entry from = entries_[found->second];
    return copy(entry, from, builder_ == nullptr ? nullptr : &builder_->tree());
  }

  Status decode(Entry& entry, const std::string& source) {
    INSTAR_TRY(const auto start, decoder_->next_file());
    if (!start) return fail(Code::corrupt, "its streams end before \"" + entry.path + "\"");
    files::Fd file;
    delta::Base old;
    if (start->base != delta::BaseKind::none) {
      INSTAR_TRY(const Entry* const from, base_file(start->base == delta::BaseKind::path ? start->base_path : source));
      INSTAR_TRY(file, base_.tree.open_file(from->path, false));
      old.size = from->size;
      old.read = [&file, shown = base_.tree.shown(from->path)](std::uint64_t offset, std::span<std::uint8_t> out) {
        return files::read_at(file.get(), out, offset, shown);
      };
    }
    if (builder_ != nullptr) INSTAR_CHECK(builder_->begin_file(entry.path));
    trust::Hasher hasher;
    std::uint64_t size = 0;
    const auto write = [&](ByteView bytes) -> Status {
      size += bytes.size();
      if (builder_ != nullptr) return builder_->write(bytes);
      hasher.update(bytes);
      return {};
    };
    for (bool ended = false; !ended;) {
      INSTAR_CHECK(work_.go_on());
      INSTAR_TRY(ended, decoder_->decode(old, write, kDecodeBytes));
      work_.tell("unpacking", done_ + size, header_.file_bytes);
    }
    done_ += size;
    TreeBuilder::Content content{size, {}};
    if (builder_ != nullptr) {
      INSTAR_TRY(content, builder_->end_file());
    } else {
      content.hash = hasher.finish();
    }
    entry.size = content.size;
    entry.content = content.hash;
    return {};
  }

  const PackFile& pack_;
  const ReadableTree& base_;
  TreeBuilder* builder_;
  const Work& work_;
  ByPath base_files_;
  delta::DeltaHeader header_;
  std::unique_ptr<delta::Decoder> decoder_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> places_;  // path of a file → its index
  std::uint64_t done_ = 0;
};

Status check_body(const PackFile& pack, const delta::DeltaHead& parts) {
  const auto& directory = pack.directory();
  const auto body = std::span(directory.chunks).subspan(directory.head_count);
  const bool same = std::ranges::equal(body, parts.body, {}, &artifact::ChunkRef::hash) &&
                    directory.body_bytes() == parts.header.body_bytes();
  const bool raw = std::ranges::all_of(body, [](const auto& chunk) { return chunk.codec == artifact::Codec::raw; });
  if (!same || !raw) return fail(Code::corrupt, "the body in its head differs from its directory");
  return {};
}

}  // namespace

Result<DeltaContents> read_delta(const PackFile& pack) {
  INSTAR_TRY(Bytes head, read_head(pack));
  auto parts = delta::read_delta_head(reader_of(head), head.size());
  if (!parts) return fail(with_context(parts.error(), pack.path()));
  auto status = check_body(pack, *parts);
  if (!status) return fail(with_context(status.error(), pack.path()));
  return DeltaContents{std::move(head), std::move(*parts)};
}

std::uint8_t format_of(const PackFile& pack) {
  if (pack.directory().kind != artifact::PackKind::delta) return artifact::kPackFormat;
  const auto contents = read_delta(pack);
  return contents ? contents->parts.header.format() : artifact::kPackFormat;
}

Result<std::vector<Entry>> rebuild_delta(const PackFile& pack, const ReadableTree& base, TreeBuilder* builder,
                                         const Work& work) {
  if (base.id != pack.directory().base) {
    return fail(Code::invalid_argument, pack.path() + " is a delta against artifact " +
                                            pack.directory().base.short_hex() + "; " + base.name + " is artifact " +
                                            base.id.short_hex());
  }
  INSTAR_CHECK(pack.verify([&](std::uint32_t, ByteView) { return work.go_on(); }));
  auto entries = Rebuilder(pack, base, builder, work).run();
  if (!entries && entries.error().code != Code::unavailable) return fail(with_context(entries.error(), pack.path()));
  return entries;
}

}  // namespace instar::publisher

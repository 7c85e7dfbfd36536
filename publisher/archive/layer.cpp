#include "publisher/archive/layer.hpp"

#include <algorithm>
#include <utility>

#include "core/artifact/acl.hpp"
#include "publisher/archive/archive_reader.hpp"

namespace instar::publisher {
namespace {

using artifact::EntryType;
using Kind = ArchiveEntry::Kind;

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kWhiteoutMeta = ".wh..wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::int64_t kTimeEnd = std::int64_t{1} << 32;

class LayerReader {
 public:
  LayerReader(const LayerOptions& options, ArchiveRoom& room, ContentStore& store, MergedTree& tree, LayerNotes& notes)
      : options_(options), room_(room), store_(store), tree_(tree), notes_(notes) {}

  Status take(ArchiveReader& reader, ArchiveEntry& entry) {
    if (room_.entries == 0) {
      return fail(Code::too_large,
                  "it has more than " + std::to_string(limits::kArchiveEntriesMax) + " entries in all layers");
    }
    --room_.entries;
    if (entry.size > room_.bytes) {
      return fail(Code::too_large, "with it the files have more than " + std::to_string(limits::kArchiveBytesMax) +
                                       " bytes in all layers");
    }
    room_.bytes -= entry.size;
    INSTAR_TRY(const std::string path, tree_path(entry.path));
    INSTAR_TRY(const bool is_whiteout, take_whiteout(path));
    if (is_whiteout) return {};
    if (entry.kind == Kind::hardlink) return take_hardlink(reader, entry, path);
    if (is_left_out(entry, path)) return {};
    INSTAR_TRY(auto item, item_of(entry, path));
    if (entry.kind == Kind::file) {
      INSTAR_TRY(item->content, store_.store(reader, entry.size));
    }
    return tree_.add(path, std::move(item));
  }

 private:
  Result<bool> take_whiteout(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash);
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (!name.starts_with(kWhiteout)) return false;
    if (!options_.has_whiteouts) {
      return fail(Code::refused,
                  "it marks a deleted file: the archive is one layer of a container image. Give the whole "
                  "image, as docker save or podman save write it");
    }
    if (name == kOpaque) {
      INSTAR_CHECK(tree_.make_opaque(folder));
      return true;
    }
    if (name.starts_with(kWhiteoutMeta)) return true;  // of aufs itself
    const std::string gone = name.substr(kWhiteout.size());
    if (gone.empty() || gone == "." || gone == "..") return fail(Code::malformed, "it deletes nothing that has a name");
    INSTAR_CHECK(tree_.whiteout(folder.empty() ? gone : folder + "/" + gone));
    return true;
  }

  Status take_hardlink(ArchiveReader& reader, const ArchiveEntry& entry, const std::string& path) {
    INSTAR_TRY(const std::string target, tree_path(entry.target));
    INSTAR_CHECK(tree_.link(path, target));
    if (entry.size == 0) return {};
    // In cpio the content comes with the last of the names.
    MergedItem* const item = tree_.find(path);
    if (item == nullptr || item->entry.type != EntryType::file)
      return fail(Code::malformed, "it is a hard link with content, to something that is no file");
    INSTAR_TRY(item->content, store_.store(reader, entry.size));
    return {};
  }

  // Whether nothing of it goes into the tree; it is noted then.
  bool is_left_out(const ArchiveEntry& entry, const std::string& path) {
    const bool is_special =
        entry.kind == Kind::char_device || entry.kind == Kind::block_device || entry.kind == Kind::fifo;
    if (entry.kind == Kind::socket) notes_.sockets_left_out.add(path);
    const bool is_hidden = is_special && !options_.devices_allowed && path.starts_with("dev/");
    if (is_hidden) notes_.devices_left_out.add(path);
    return entry.kind == Kind::socket || is_hidden;
  }

  Result<std::shared_ptr<MergedItem>> item_of(ArchiveEntry& from, const std::string& path) {
    auto item = std::make_shared<MergedItem>();
    artifact::Entry& entry = item->entry;
    entry.uid = from.uid;
    entry.gid = from.gid;
    if (from.kind != Kind::symlink) entry.mode = from.mode;
    switch (from.kind) {
      case Kind::folder: entry.type = EntryType::directory; break;
      case Kind::symlink: entry.type = EntryType::symlink; break;
      case Kind::char_device: entry.type = EntryType::char_device; break;
      case Kind::block_device: entry.type = EntryType::block_device; break;
      case Kind::fifo: entry.type = EntryType::fifo; break;
      default: entry.type = EntryType::file;
    }
    entry.target = std::move(from.target);
    entry.device_major = from.device_major;
    entry.device_minor = from.device_minor;
    const bool is_plain = entry.type == EntryType::directory || entry.type == EntryType::file;
    if (!is_plain && entry.type != EntryType::symlink && !options_.devices_allowed) {
      return fail(Code::refused,
                  "it is a device node or fifo: leave it out (LXC makes the usual ones), or allow devices explicitly");
    }
    if (from.acl_is_by_name) notes_.acls_by_name.add(path);
    if (is_plain) INSTAR_CHECK(keep_xattrs(from, path, entry));
    if (!is_plain && entry.type != EntryType::symlink) lower_mode(from, path, entry);
    if (is_plain && options_.keep_times) {
      if (from.time < 0 || from.time >= kTimeEnd)
        return fail(Code::refused, "it has a time before 1970 or after 2106, which cannot be kept");
      entry.time = static_cast<std::uint32_t>(from.time);
    }
    return item;
  }

  Status keep_xattrs(ArchiveEntry& from, const std::string& path, artifact::Entry& entry) {
    for (auto& xattr : from.xattrs) {
      if (!artifact::is_tree_xattr(xattr.name)) {
        notes_.tree.xattrs_not_kept[shown_name(xattr.name)].add(path);
        continue;
      }
      std::erase_if(entry.xattrs, [&](const artifact::Xattr& one) { return one.name == xattr.name; });
      entry.xattrs.push_back(std::move(xattr));
    }
    std::ranges::sort(entry.xattrs, {}, &artifact::Xattr::name);
    return {};
  }

  // A device node or fifo cannot carry an ACL.
  void lower_mode(const ArchiveEntry& from, const std::string& path, artifact::Entry& entry) {
    const auto acl = std::ranges::find(from.xattrs, artifact::kAccessAcl, &artifact::Xattr::name);
    if (acl == from.xattrs.end()) return;
    entry.mode = artifact::mode_without_acl(entry.mode, acl->value);
    notes_.tree.acls_not_kept.add(path);
  }

  const LayerOptions& options_;
  ArchiveRoom& room_;
  ContentStore& store_;
  MergedTree& tree_;
  LayerNotes& notes_;
};

}  // namespace

Status apply_layer(ByteSource& source, const LayerOptions& options, ArchiveRoom& room, ContentStore& store,
                   MergedTree& tree, LayerNotes& notes, const Work& work) {
  tree.begin_layer();
  INSTAR_TRY(const auto reader, ArchiveReader::open(source));
  LayerReader layer(options, room, store, tree, notes);
  ArchiveEntry entry;
  while (true) {
    INSTAR_CHECK(work.go_on());
    INSTAR_TRY(const bool is_there, reader->next(entry));
    if (!is_there) break;
    const std::string path = entry.path;
    if (auto taken = layer.take(*reader, entry); !taken)
      return fail(with_context(taken.error(), "'" + shown_name(path) + "'"));
  }
  notes.is_cpio = reader->format() == ArchiveFormat::cpio;
  INSTAR_TRY(const bool has_more, read_to_end(source));
  if (has_more && notes.is_cpio) {
    return fail(Code::unsupported,
                "more follows behind its first cpio archive, as in an initramfs with processor microcode: unpack it "
                "with unmkinitramfs, and pack the folder");
  }
  return {};
}

}  // namespace instar::publisher

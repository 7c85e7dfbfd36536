#include "publisher/archive/archive_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "files/files.hpp"
#include "publisher/archive/archive_reader.hpp"
#include "publisher/archive/image_container.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kPythonHeaderBytes = 16;

// The tree as it grows, with all that is counted on the way.
struct Merging {
  explicit Merging(const std::string& folder, const ArchiveOptions& how)
      : options(how), store(folder), room(how.room) {}
  const ArchiveOptions& options;
  ContentStore store;
  MergedTree tree;
  ArchiveRoom room;
  LayerNotes notes;

  Status apply(ByteSource& source, bool has_whiteouts) {
    const LayerOptions how{
        .devices_allowed = options.devices_allowed, .keep_times = options.keep_times, .has_whiteouts = has_whiteouts};
    return apply_layer(source, how, room, store, tree, notes, options.work);
  }
};

std::string name_of(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

std::string several(const files::TreeNotes::Entries& entries) {
  return "/" + entries.first + (entries.count == 1 ? "" : " and " + std::to_string(entries.count - 1) + " more");
}

void add_remarks(const LayerNotes& notes, Origin& origin) {
  if (notes.devices_left_out.count > 0) {
    origin.remarks.push_back("left out: the device nodes " + several(notes.devices_left_out) +
                             ": LXC makes those of /dev at each start");
  }
  if (notes.acls_by_name.count > 0) {
    origin.remarks.push_back("not kept: the ACL of " + several(notes.acls_by_name) +
                             ": it names somebody without a number, as GNU tar writes it (bsdtar writes numbers); the "
                             "mode was lowered, so that nobody gets more rights");
  }
  if (notes.sockets_left_out.count > 0)
    origin.remarks.push_back("left out: the sockets " + several(notes.sockets_left_out) + ": no tree carries them");
}

Status check_size(const files::Fd& file, const Blob& blob, const std::string& shown) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return files::os_error("looking at", shown, errno);
  if (static_cast<std::uint64_t>(info.st_size) == blob.size) return {};
  return fail(Code::corrupt, "it has " + std::to_string(info.st_size) + " bytes, the image says " +
                                 std::to_string(blob.size) + ": get the image again");
}

Status check_digest(const std::optional<BlobDigest>& wanted, const BlobDigest& got, const char* what) {
  if (!wanted || *wanted == got) return {};
  return fail(Code::corrupt, std::string(what) + " has the digest " + got.str() + ", the image says " + wanted->str() +
                                 ": get the image again");
}

DigestKind kind_or_default(const std::optional<BlobDigest>& digest) {
  return digest ? digest->kind : DigestKind::sha256;
}

Status apply_image_layer(const ImageFiles& files, const ImageLayer& layer, Merging& merging) {
  INSTAR_TRY(auto file, files.open(layer.name));
  std::optional<BlobDigest> stored;
  if (layer.blob) {
    INSTAR_CHECK(check_size(file, *layer.blob, files.shown(layer.name)));
    stored = layer.blob->digest;
  }
  FileSource as_stored(std::move(file), files.shown(layer.name));
  HashedSource hashed(as_stored, kind_or_default(stored));
  INSTAR_TRY(const auto unpacked, UnpackedSource::open(hashed, merging.options.room.bytes));
  HashedSource contents(*unpacked, kind_or_default(layer.contents));
  INSTAR_CHECK(merging.apply(contents, true));
  INSTAR_TRY([[maybe_unused]] const bool more, read_to_end(hashed));
  if (stored) INSTAR_CHECK(check_digest(stored, hashed.finish(), "it"));
  return check_digest(layer.contents, contents.finish(), "it, unpacked,");
}

Status read_image(const ImageFiles& files, Merging& merging, Origin& origin) {
  const auto& options = merging.options;
  INSTAR_TRY(auto images, find_images(files));
  const auto kind = images.kind;
  INSTAR_TRY(const auto image, choose_image(files, std::move(images), options.image));
  INSTAR_TRY(auto manifest, read_manifest(files, kind, image));
  INSTAR_TRY(const auto config, read_config(files, manifest));
  if (auto expected = check_expected(options.image.digest, image, config.digest); !expected)
    return fail(with_context(expected.error(), files.path()));
  origin.format = image_archive_kind_name(kind);
  if (!image.names.empty()) origin.reference = shown_name(image.names.front());
  if (image.manifest) origin.manifest_digest = image.manifest->digest.str();
  if (image.indexes.size() > 1) origin.index_digest = image.indexes.back().str();
  origin.config_digest = config.digest.str();
  origin.platform = shown_name(config.platform.str());
  origin.created = shown_name(config.created);
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    const auto& layer = manifest.layers[i];
    options.work.tell("reading layer " + std::to_string(i + 1) + " of " + std::to_string(manifest.layers.size()), i,
                      manifest.layers.size());
    if (auto applied = apply_image_layer(files, layer, merging); !applied) {
      return fail(with_context(applied.error(), files.path() + ": layer " + std::to_string(i + 1) + " of " +
                                                    std::to_string(manifest.layers.size()) + " (" +
                                                    shown_name(layer.name) + ")"));
    }
  }
  if (auto taken = take_image_config(config.document, merging.tree, origin); !taken)
    return fail(with_context(taken.error(), files.path()));
  return {};
}

Status read_root_file_system(const std::string& path, Merging& merging, Origin& origin) {
  const auto read = [&]() -> Status {
    INSTAR_TRY(auto file, files::open_file(path, O_RDONLY));
    FileSource packed(std::move(file), path);
    INSTAR_TRY(const auto source, UnpackedSource::open(packed, merging.options.room.bytes));
    return merging.apply(*source, false);
  };
  if (auto done = read(); !done) return fail(with_context(done.error(), path));
  if (merging.tree.is_empty())
    return fail(Code::invalid_argument, path + " is an archive with nothing in it, or no archive");
  origin.format = merging.notes.is_cpio ? "cpio" : "tar";
  return {};
}

Status fill(const std::string& path, const std::string& scratch, Merging& merging, Origin& origin) {
  const auto& options = merging.options;
  if (is_image_folder(path)) {
    INSTAR_TRY(const auto files, ImageFiles::of_folder(path));
    return read_image(files, merging, origin);
  }
  auto content = look_into_archive(path, options.work);
  if (!content) return fail(with_context(content.error(), path));
  if (*content == ArchiveContent::root_file_system) {
    INSTAR_CHECK(check_no_image_wish(path, options.image));
    return read_root_file_system(path, merging, origin);
  }
  const std::string folder = scratch + "/files";
  INSTAR_CHECK(files::make_folders(folder, 0700));
  auto files = ImageFiles::of_archive(path, folder, options.work);
  if (!files) return fail(with_context(files.error(), path));
  return read_image(*files, merging, origin);
}

// As files::read_tree() notes it. Errors: io.
Status note_stale_python(const ArchiveTree& tree, files::TreeNotes& notes) {
  for (const auto& entry : tree.entries) {
    const auto source = files::python_source_of(entry.path);
    if (entry.type != artifact::EntryType::file || source.empty()) continue;
    const auto found = std::ranges::lower_bound(tree.entries, source, artifact::path_before, &artifact::Entry::path);
    if (found == tree.entries.end() || found->path != source) continue;
    INSTAR_TRY(const auto file, files::open_file(tree.folder + "/" + entry.path, O_RDONLY | O_NOFOLLOW));
    Bytes start(kPythonHeaderBytes);
    INSTAR_TRY(const std::size_t got, files::read_at(file.get(), start, 0, entry.path));
    if (files::names_a_time_of_python_source(ByteView(start).first(got))) notes.stale_python.add(entry.path);
  }
  return {};
}

}  // namespace

Result<ArchiveTree> read_archive(const std::string& path, const std::string& scratch, const ArchiveOptions& options) {
  ArchiveTree out;
  out.folder = scratch + "/tree";
  out.origin.file = name_of(path);
  const std::string contents = scratch + "/contents";
  INSTAR_CHECK(files::make_folders(out.folder, 0700));
  INSTAR_CHECK(files::make_folders(contents, 0700));
  Merging merging(contents, options);
  INSTAR_CHECK(fill(path, scratch, merging, out.origin));
  auto entries = merging.tree.finish(out.folder, {.devices_allowed = options.devices_allowed});
  if (!entries) return fail(with_context(entries.error(), path));
  out.entries = std::move(*entries);
  add_remarks(merging.notes, out.origin);
  if (options.notes == nullptr) return out;
  *options.notes = std::move(merging.notes.tree);
  if (!options.keep_times) INSTAR_CHECK(note_stale_python(out, *options.notes));
  return out;
}

}  // namespace instar::publisher

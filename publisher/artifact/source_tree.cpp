#include "publisher/artifact/source_tree.hpp"

#include <fcntl.h>

#include <utility>

#include "files/posix.hpp"
#include "files/tree.hpp"
#include "publisher/archive/archive_reader.hpp"
#include "publisher/archive/archive_tree.hpp"
#include "publisher/artifact/image_file.hpp"

namespace instar::publisher {
namespace {

Result<bool> is_archive_file(const std::string& path) {
  INSTAR_TRY(const files::Fd file, files::open_file(path, O_RDONLY));
  Bytes first(kArchiveProbeBytes);
  INSTAR_TRY(const std::size_t got, files::read_at(file.get(), first, 0, path));
  return looks_like_archive(ByteView(first).first(got));
}

Result<SourceTree> of_archive(const std::string& path, const std::string& scratch_parent,
                              const SourceOptions& options) {
  SourceTree source;
  INSTAR_TRY(source.scratch, ScratchFolder::make(scratch_parent));
  const ArchiveOptions how{.image = options.image,
                           .devices_allowed = options.rules.devices_allowed,
                           .keep_times = options.keep_times,
                           .notes = options.notes,
                           .work = options.work};
  INSTAR_TRY(auto tree, read_archive(path, source.scratch->path(), how));
  source.folder = std::move(tree.folder);
  source.entries = std::move(tree.entries);
  source.origin = std::move(tree.origin);
  return source;
}

}  // namespace

Result<SourceTree> open_source(const std::string& path, const std::string& scratch_parent,
                               const SourceOptions& options) {
  const auto progress = [&](std::uint64_t done, std::uint64_t all) { options.work.tell(options.reading, done, all); };
  const bool is_one_file = is_file(path);
  bool is_archive = !is_one_file && is_image_folder(path);
  if (is_one_file) {
    INSTAR_TRY(is_archive, is_archive_file(path));
  }
  if (is_archive) return of_archive(path, scratch_parent, options);
  INSTAR_CHECK(check_no_image_wish(path, options.image));
  SourceTree source;
  if (is_one_file) {
    INSTAR_TRY(auto image, open_image(path, scratch_parent, progress));
    source.folder = std::move(image.tree);
    source.entries = std::move(image.entries);
    source.format = image.format;
    source.scratch = std::move(image.scratch);
    return source;
  }
  files::TreeOptions tree;
  tree.rules = options.rules;
  tree.progress = progress;
  tree.keep_times = options.keep_times;
  tree.notes = options.notes;
  INSTAR_TRY(source.entries, files::read_tree(path, tree));
  source.folder = real_path(path);
  return source;
}

}  // namespace instar::publisher

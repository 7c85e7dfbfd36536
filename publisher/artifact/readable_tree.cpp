#include "publisher/artifact/readable_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "core/trust/digest.hpp"
#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/pack_contents.hpp"

namespace instar::publisher {
namespace {

Result<ReadableTree> unpacked(const std::string& path, const std::string& scratch_parent, const Work& work) {
  INSTAR_TRY(const auto folder, open_artifact(path));
  ReadableTree tree;
  tree.name = path;
  tree.id = folder.id;
  INSTAR_TRY(tree.scratch, ScratchFolder::make(scratch_parent));
  const std::string below = tree.scratch->path() + "/tree";
  INSTAR_TRY(const auto builder, TreeBuilder::create(below, TreeUse::contents_only));
  INSTAR_TRY(tree.entries, rebuild_whole(full_pack(folder), *builder, work));
  builder->keep();
  INSTAR_TRY(tree.tree, files::StagingTree::open(below));
  return tree;
}

}  // namespace

bool is_artifact_folder(const std::string& path) {
  struct stat info {};
  return ::stat((path + "/" + std::string(kArtifactFile)).c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         ::stat((path + "/" + std::string(kIndexFile)).c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Result<ReadableTree> to_readable(SourceTree source, const std::string& name) {
  ReadableTree tree;
  tree.name = name;
  tree.entries = std::move(source.entries);
  INSTAR_TRY(tree.id, index_id(tree.entries));
  INSTAR_TRY(tree.tree, files::StagingTree::open(source.folder));
  tree.scratch = std::move(source.scratch);
  return tree;
}

Result<ReadableTree> open_tree(const std::string& path, const std::string& scratch_parent, const Work& work,
                               bool keep_times, const ImageWish& image) {
  if (is_artifact_folder(path)) return unpacked(path, scratch_parent, work);
  const SourceOptions options{
      .rules = kReadAll, .keep_times = keep_times, .image = image, .reading = "reading " + path, .work = work};
  INSTAR_TRY(auto source, open_source(path, scratch_parent, options));
  return to_readable(std::move(source), path);
}

Result<Bytes> read_content(const files::StagingTree& tree, const artifact::Entry& file) {
  INSTAR_TRY(const auto opened, files::open_below(tree.fd(), file.path, O_RDONLY | O_NONBLOCK, tree.path()));
  Bytes content(static_cast<std::size_t>(file.size));
  INSTAR_TRY(const std::size_t got, files::read_at(opened.get(), content, 0, tree.shown(file.path)));
  if (got != content.size() || trust::digest(content) != file.content) {
    return fail(Code::corrupt, tree.shown(file.path) + " changed while it was being packed: pack again");
  }
  return content;
}

}  // namespace instar::publisher

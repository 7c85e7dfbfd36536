#include "publisher/artifact/unpacking.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "files/tree.hpp"
#include "publisher/artifact/artifact_folder.hpp"
#include "publisher/artifact/delta_pack.hpp"
#include "publisher/artifact/out_folder.hpp"
#include "publisher/artifact/pack_contents.hpp"
#include "publisher/artifact/readable_tree.hpp"

namespace instar::publisher {
namespace {

using artifact::PackKind;

Result<PackFile> delta_against(const ArtifactFolder& folder, const ReadableTree& base) {
  std::string others;
  for (const auto& pack : folder.packs) {
    if (pack.directory().kind != PackKind::delta) continue;
    if (pack.directory().base == base.id) return PackFile::open(pack.path());
    others += (others.empty() ? "" : ", ") + pack.directory().base.short_hex();
  }
  return fail(Code::invalid_argument, folder.path + " has no delta against " + base.name + ", which is artifact " +
                                          base.id.short_hex() +
                                          (others.empty() ? "" : "; it has deltas against " + others) +
                                          ". Without --base its full pack is taken");
}

Result<PackFile> choose_pack(const UnpackOptions& options, const std::optional<ReadableTree>& base) {
  struct stat info {};
  if (::stat(options.source.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return PackFile::open(options.source);
  INSTAR_TRY(const auto folder, open_artifact(options.source));
  if (base) return delta_against(folder, *base);
  return PackFile::open(full_pack(folder).path());
}

Result<std::vector<artifact::Entry>> rebuild(const PackFile& pack, const std::optional<ReadableTree>& base,
                                             TreeBuilder& builder, const Work& work) {
  if (pack.directory().kind != PackKind::delta) return rebuild_whole(pack, builder, work);
  if (!base) {
    return fail(Code::invalid_argument, pack.path() + " is a delta against artifact " +
                                            pack.directory().base.short_hex() +
                                            ": give a tree or an artifact folder of it with --base");
  }
  return rebuild_delta(pack, *base, &builder, work);
}

// Reads the tree that is on the disk now, in the same way as `instar pack`.
Status check_tree(const std::string& path, const ArtifactId& artifact, bool keep_times) {
  files::TreeOptions options;
  options.rules = kReadAll;
  options.keep_times = keep_times;
  INSTAR_TRY(const auto entries, files::read_tree(path, options));
  INSTAR_TRY(const auto id, index_id(entries));
  if (id == artifact) return {};
  return fail(Code::io, path + " reads back as artifact " + id.short_hex() + " instead of " + artifact.short_hex() +
                            ": this file system cannot hold the tree as it is");
}

}  // namespace

Result<Unpacked> unpack(const UnpackOptions& options) {
  std::optional<ReadableTree> base;
  if (!options.base.empty()) {
    INSTAR_TRY(base, open_tree(options.base, parent_folder(options.out), options.work));
  }
  INSTAR_TRY(const auto pack, choose_pack(options, base));
  INSTAR_TRY(const auto builder, TreeBuilder::create(options.out, TreeUse::whole));
  INSTAR_TRY(const auto entries, rebuild(pack, base, *builder, options.work));
  INSTAR_CHECK(builder->set_metadata(entries));
  Unpacked done{.pack = pack.path(),
                .kind = pack.directory().kind,
                .artifact = pack.directory().artifact,
                .left_out = builder->left_out()};
  const bool has_times = std::ranges::any_of(entries, [](const auto& entry) { return entry.time.has_value(); });
  if (!done.left_out.any()) INSTAR_CHECK(check_tree(options.out, done.artifact, has_times));
  builder->keep();
  done.entry_count = entries.size();
  for (const auto& entry : entries) done.content_bytes += entry.size;
  return done;
}

}  // namespace instar::publisher

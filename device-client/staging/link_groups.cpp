#include "device-client/staging/link_groups.hpp"

#include <unistd.h>

#include <cerrno>

#include "core/base/bytes.hpp"
#include "files/sparse.hpp"

namespace instar::device {

using files::StagingTree;
using Linked = StagingTree::Linked;

namespace {
constexpr std::size_t kGroupCopyBytes = 64 * 1024;
}  // namespace

Result<bool> LinkGroups::link(StagingTree& tree, const std::string& path, const StagingTree& source,
                              const std::string& source_path) {
  INSTAR_TRY(const files::Fd from, source.open_file(source_path, false));
  struct stat status {};
  if (::fstat(from.get(), &status) != 0) return files::os_error("looking at", source.shown(source_path), errno);
  const std::pair key{status.st_dev, status.st_ino};
  const auto newest = newest_.find(key);
  INSTAR_TRY(const Linked linked,
             newest == newest_.end() ? tree.link(path, source, source_path) : tree.link(path, tree, newest->second));
  if (linked != Linked::too_many) return linked == Linked::yes;
  INSTAR_CHECK(copy(tree, path, from.get(), source.shown(source_path)));
  newest_[key] = path;
  return true;
}

Status LinkGroups::copy(StagingTree& tree, const std::string& path, int from, const std::string& shown) {
  INSTAR_TRY(const artifact::Entry metadata, StagingTree::read_metadata(from, shown));
  INSTAR_TRY(const files::Fd out, tree.replace_file(path, 0));
  Bytes buffer(kGroupCopyBytes);
  for (std::uint64_t at = 0; at < metadata.size;) {
    INSTAR_TRY(const std::size_t got, files::read_at(from, buffer, at, shown));
    if (got == 0) return fail(Code::io, shown + " became shorter while it was being read");
    INSTAR_CHECK(files::write_with_holes(out.get(), ByteView(buffer).first(got), at, tree.shown(path)));
    at += got;
  }
  if (::ftruncate(out.get(), static_cast<off_t>(metadata.size)) != 0) {
    return files::os_error("sizing", tree.shown(path), errno);
  }
  return tree.set_metadata(out.get(), metadata);
}

}  // namespace instar::device

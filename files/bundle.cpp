#include "files/bundle.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "core/base/limits.hpp"
#include "files/files.hpp"

namespace instar::files {
namespace {

constexpr std::string_view kMagic = "INSTARB";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeadBytes = 12;
constexpr std::size_t kPartBytes = 12;
constexpr std::size_t kCopyBytes = 256 * 1024;

void put(Bytes& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint64_t number(ByteView in, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i > 0; --i) value = value << 8 | in[at + i - 1];
  return value;
}

Result<std::uint64_t> size_of(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return os_error("looking at", path, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

Status copy(const Fd& from, const std::string& from_path, const Fd& to, const std::string& to_path) {
  Bytes buffer(kCopyBytes);
  for (std::uint64_t at = 0;;) {
    INSTAR_TRY(const auto got, read_at(from.get(), buffer, at, from_path));
    if (got == 0) return {};
    INSTAR_CHECK(write_all(to.get(), ByteView(buffer).first(got), to_path));
    at += got;
  }
}

}  // namespace

Status write_bundle(const std::string& path, ByteView root, ByteView manifest, const std::vector<std::string>& packs,
                    const std::vector<Bytes>& older_roots) {
  const auto documents = 2 + older_roots.size();
  Bytes head = to_bytes(kMagic);
  head.push_back(kVersion);
  put(head, documents + packs.size(), 4);
  const auto part = [&](BundlePart kind, std::uint64_t bytes) {
    put(head, static_cast<std::uint32_t>(kind), 4);
    put(head, bytes, 8);
  };
  part(BundlePart::root, root.size());
  part(BundlePart::manifest, manifest.size());
  for (const auto& older : older_roots) part(BundlePart::older_root, older.size());
  std::vector<Fd> files;
  for (const auto& pack : packs) {
    INSTAR_TRY(auto file, open_file(pack, O_RDONLY | O_CLOEXEC));
    INSTAR_TRY(const auto bytes, size_of(file.get(), pack));
    part(BundlePart::pack, bytes);
    files.push_back(std::move(file));
  }
  if (packs.size() + documents > limits::kBundlePartsMax) {
    return fail(Code::too_large, std::to_string(packs.size()) + " packs and " + std::to_string(documents) +
                                     " documents are too many for a bundle: it holds " +
                                     std::to_string(limits::kBundlePartsMax));
  }
  const auto fresh = path + ".new";
  INSTAR_TRY(const auto out, open_file(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  for (const auto bytes : {ByteView(head), root, manifest}) INSTAR_CHECK(write_all(out.get(), bytes, fresh));
  for (const auto& older : older_roots) INSTAR_CHECK(write_all(out.get(), older, fresh));
  for (std::size_t i = 0; i < files.size(); ++i) INSTAR_CHECK(copy(files[i], packs[i], out, fresh));
  INSTAR_CHECK(sync_fd(out.get(), fresh));
  if (::rename(fresh.c_str(), path.c_str()) != 0) return os_error("renaming", fresh, errno);
  const auto slash = path.rfind('/');
  return sync_folder(slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
}

Result<Bundle> Bundle::open(const std::string& path) {
  Bundle bundle;
  bundle.path_ = path;
  INSTAR_TRY(bundle.file_, open_file(path, O_RDONLY | O_CLOEXEC));
  INSTAR_TRY(const auto size, size_of(bundle.file_.get(), path));
  Bytes head(kHeadBytes);
  INSTAR_TRY(const auto got, read_at(bundle.file_.get(), head, 0, path));
  if (got < kHeadBytes || as_text(ByteView(head).first(kMagic.size())) != kMagic)
    return fail(Code::malformed, path + " is no bundle of a release; `instar publish --bundle FILE` makes one");
  if (head[kMagic.size()] != kVersion)
    return fail(Code::unsupported, path + " is a bundle of version " + std::to_string(head[kMagic.size()]) +
                                       ", this client reads version 1");
  const auto count = number(head, kMagic.size() + 1, 4);
  if (count > limits::kBundlePartsMax)
    return fail(Code::malformed, path + " has " + std::to_string(count) + " parts, " +
                                     std::to_string(limits::kBundlePartsMax) + " are allowed");
  Bytes table(count * kPartBytes);
  INSTAR_TRY(const auto read, read_at(bundle.file_.get(), table, kHeadBytes, path));
  std::uint64_t at = kHeadBytes + table.size();
  for (std::uint64_t i = 0; i < count && read == table.size(); ++i) {
    const auto bytes = number(table, i * kPartBytes + 4, 8);
    if (bytes > size) break;
    bundle.parts_.push_back({static_cast<BundlePart>(number(table, i * kPartBytes, 4)), at, bytes});
    at += bytes;
  }
  if (bundle.parts_.size() != count || at != size)
    return fail(Code::corrupt, path + " is cut off or damaged: it has " + std::to_string(size) +
                                   " bytes, its parts say otherwise; copy it again");
  return bundle;
}

Result<Bytes> Bundle::read(const Part& part, std::uint64_t offset, std::uint64_t count) const {
  if (offset > part.bytes || count > part.bytes - offset)
    return fail(Code::corrupt, path_ + ": a part is shorter than its directory says");
  Bytes bytes(count);
  INSTAR_TRY(const auto got, read_at(file_.get(), bytes, part.offset + offset, path_));
  if (got != count) return fail(Code::corrupt, path_ + " became shorter while it was read");
  return bytes;
}

Result<std::vector<Bytes>> Bundle::all(BundlePart kind, std::size_t bytes_max) const {
  std::vector<Bytes> out;
  for (const auto& part : parts_) {
    if (part.kind != kind) continue;
    if (part.bytes > bytes_max)
      return fail(Code::too_large, path_ + ": a document of " + std::to_string(part.bytes) + " bytes");
    INSTAR_TRY(auto bytes, read(part, 0, part.bytes));
    out.push_back(std::move(bytes));
  }
  return out;
}

Result<Bytes> Bundle::only(BundlePart kind, std::size_t bytes_max) const {
  const auto of_kind = [kind](const Part& part) { return part.kind == kind; };
  if (std::ranges::count_if(parts_, of_kind) != 1)
    return fail(Code::malformed, path_ + " does not have one manifest and one root document");
  const auto& part = *std::ranges::find_if(parts_, of_kind);
  if (part.bytes > bytes_max)
    return fail(Code::too_large, path_ + ": a document of " + std::to_string(part.bytes) + " bytes");
  return read(part, 0, part.bytes);
}

}  // namespace instar::files

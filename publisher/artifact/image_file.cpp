#include "publisher/artifact/image_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

#include "core/artifact/image.hpp"
#include "core/base/hash.hpp"
#include "files/files.hpp"
#include "files/posix.hpp"
#include "files/tree.hpp"

namespace instar::publisher {
namespace {

constexpr std::size_t kSuperblock = 1024;  // of erofs and ext4

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  const char* what;
};
using namespace std::string_view_literals;
// Kinds of files that people give by mistake.
constexpr std::array kOthers = {
    Signature{0, "sqsh"sv, "a big-endian squashfs, which Linux does not mount any more"},
    Signature{0, "\x1f\x8b"sv, "compressed with gzip"},
    Signature{0,
              "\xfd"
              "7zXZ"sv,
              "compressed with xz"},
    Signature{0, "\x28\xb5\x2f\xfd"sv, "compressed with zstd"},
    Signature{0, "BZh"sv, "compressed with bzip2"},
    Signature{0, "PK\x03\x04"sv, "a zip archive"},
    Signature{0, "070701"sv, "a cpio archive"},
    Signature{0,
              "\x7f"
              "ELF"sv,
              "an ELF program"},
    Signature{0, "UBI#"sv, "a UBI image"},
    Signature{0, "\x31\x18\x10\x06"sv, "a UBIFS image"},
    Signature{0, "\x85\x19"sv, "a JFFS2 image"},
    Signature{0, "\x45\x3d\xcd\x28"sv, "a cramfs image"},
    Signature{0, "XFSB"sv, "an XFS file system"},
    Signature{0, "LUKS"sv, "an encrypted volume (LUKS)"},
    Signature{kSuperblock, "\x10\x20\xf5\xf2"sv, "an F2FS file system"},
    Signature{257, "ustar"sv, "a tar archive"},
    Signature{32'769, "CD001"sv, "an ISO 9660 image"},
    Signature{65'600, "_BHRfS_M"sv, "a btrfs file system"},
    Signature{510, "\x55\xaa"sv, "a disk with a partition table, or a FAT file system"},
};

bool has(ByteView bytes, std::size_t offset, std::string_view magic) {
  return bytes.size() >= offset + magic.size() && as_text(bytes.subspan(offset, magic.size())) == magic;
}

std::uint64_t number(ByteView bytes, std::size_t offset, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | (offset + i < bytes.size() ? bytes[offset + i] : 0U);
  return value;
}

std::string looks_like(ByteView first) {
  if (first.empty()) return "it is empty";
  const auto found =
      std::ranges::find_if(kOthers, [&](const Signature& each) { return has(first, each.offset, each.bytes); });
  if (found != kOthers.end()) return std::string("it looks like ") + found->what;
  return "it begins with the bytes " + to_hex(first.first(std::min<std::size_t>(first.size(), 8)));
}

struct Found {
  wire::ImageFormat format = wire::ImageFormat::none;
  std::uint64_t bytes = 0;  // that its superblock says it has
};

Result<Found> read_superblock(ByteView first, const std::string& shown) {
  if (has(first, 0, "hsqs")) {
    const auto version = number(first, 28, 2);
    if (version == 4) return Found{wire::ImageFormat::squashfs, number(first, 40, 8)};
    return fail(Code::invalid_argument, shown + " is squashfs version " + std::to_string(version) +
                                            ", Linux mounts version 4: make it with mksquashfs 4.0 or later");
  }
  const auto super = first.size() > kSuperblock ? first.subspan(kSuperblock) : ByteView{};
  if (has(super, 0, "\xe2\xe1\xf5\xe0")) {
    return Found{wire::ImageFormat::erofs, number(super, 36, 4) << std::min<std::uint64_t>(number(super, 12, 1), 16)};
  }
  if (has(super, 56, "\x53\xef")) {
    constexpr std::uint64_t kNeedsRecovery = 4;
    constexpr std::uint64_t k64Bit = 0x80;
    const auto features = number(super, 0x60, 4);
    if ((features & kNeedsRecovery) != 0) {
      return fail(
          Code::invalid_argument,
          shown +
              " is ext4 with a journal that must be replayed, and devices only read it: unmount it, or run e2fsck -f");
    }
    const auto high = (features & k64Bit) != 0 ? number(super, 0x150, 4) << 32 : 0;
    return Found{wire::ImageFormat::ext4, (high | number(super, 4, 4))
                                              << (10 + std::min<std::uint64_t>(number(super, 0x18, 4), 6))};
  }
  return fail(Code::invalid_argument, shown +
                                          " is no file system that devices mount as an image: " + looks_like(first) +
                                          ". Give squashfs, erofs or ext4 (mksquashfs, mkfs.erofs, mkfs.ext4 -d), a "
                                          "directory tree, a tar or cpio archive, or a container image");
}

// A hard link costs nothing. Where none can be made, the bytes are copied.
Status take(const std::string& from, const std::string& to) {
  const std::string real = real_path(from);
  if (::link(real.c_str(), to.c_str()) == 0) return {};
  std::error_code error;
  std::filesystem::copy_file(real, to, error);
  if (error) return files::os_error("copying", from, error.value());
  return {};
}

}  // namespace

bool is_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Result<wire::ImageFormat> probe_image(ByteView first, std::uint64_t file_bytes, const std::string& shown) {
  INSTAR_TRY(const auto found, read_superblock(first, shown));
  if (found.bytes <= file_bytes) return found.format;
  return fail(Code::invalid_argument, shown + " is cut off: its " + std::string(wire::image_format_name(found.format)) +
                                          " has " + std::to_string(found.bytes) + " bytes, the file " +
                                          std::to_string(file_bytes));
}

Result<ImageTree> open_image(const std::string& path, const std::string& scratch_parent,
                             const std::function<void(std::uint64_t done, std::uint64_t all)>& progress) {
  INSTAR_TRY(auto scratch, ScratchFolder::make(scratch_parent));
  ImageTree image{.scratch = std::move(scratch), .tree = {}, .entries = {}};
  image.tree = image.scratch.path() + "/tree";
  const std::string file = image.tree + "/" + std::string(artifact::kImagePath);
  INSTAR_CHECK(files::make_folders(image.tree));
  INSTAR_CHECK(take(path, file));
  {
    INSTAR_TRY(const files::Fd opened, files::open_file(file, O_RDONLY));
    struct stat info {};
    if (::fstat(opened.get(), &info) != 0) return files::os_error("looking at", path, errno);
    Bytes first(kProbeBytes);
    INSTAR_TRY(const std::size_t got, files::read_at(opened.get(), first, 0, path));
    first.resize(got);
    INSTAR_TRY(image.format, probe_image(first, static_cast<std::uint64_t>(info.st_size), path));
  }
  files::TreeOptions options;
  options.progress = progress;
  auto entries = files::read_tree(image.tree, options);
  if (!entries) return fail(with_context(entries.error(), path));
  image.entries = std::move(*entries);
  // The owner of the file on this machine does not matter.
  for (auto& entry : image.entries) {
    entry.mode = entry.path.empty() ? artifact::kImageRootMode : artifact::kImageMode;
    entry.uid = entry.gid = 0;
    entry.xattrs.clear();
    INSTAR_CHECK(artifact::check_image_entry(entry));
  }
  return image;
}

}  // namespace instar::publisher

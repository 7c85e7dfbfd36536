#include "publisher/archive/archive_reader.hpp"

#include <archive_entry.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "core/base/limits.hpp"
#include "publisher/archive/archive_acl.hpp"
#include "publisher/archive/archive_handle.hpp"

namespace instar::publisher {
namespace {

using Kind = ArchiveEntry::Kind;

constexpr const char* kNoArchive = "it is no tar or cpio archive, or is damaged or cut off";

std::string text_or_empty(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

// A name that is no ASCII cannot be turned into the locale "C", which is what we want; nothing else is passed over.
bool is_about_a_name(archive* handle) {
  const auto words = text_or_empty(archive_error_string(handle));
  return words.find("can't be converted") != std::string::npos;
}

Result<std::uint32_t> owner_of(std::int64_t id, std::string_view what) {
  if (id < 0 || id >= std::numeric_limits<std::uint32_t>::max())
    return fail(Code::malformed, std::string(what) + " " + std::to_string(id) + " is no number that Linux has");
  return static_cast<std::uint32_t>(id);
}

Result<Kind> kind_of(archive_entry* from) {
  if (archive_entry_hardlink(from) != nullptr) return Kind::hardlink;
  switch (archive_entry_filetype(from)) {
    case AE_IFDIR: return Kind::folder;
    case AE_IFREG: return Kind::file;
    case AE_IFLNK: return Kind::symlink;
    case AE_IFCHR: return Kind::char_device;
    case AE_IFBLK: return Kind::block_device;
    case AE_IFIFO: return Kind::fifo;
    case AE_IFSOCK: return Kind::socket;
    default: return fail(Code::malformed, "it is of a kind that Linux does not have");
  }
}

Status take_xattrs(archive_entry* from, ArchiveEntry& entry) {
  archive_entry_xattr_reset(from);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t bytes = 0;
  while (archive_entry_xattr_next(from, &name, &value, &bytes) == ARCHIVE_OK) {
    const auto* const begin = static_cast<const std::uint8_t*>(value);
    if (bytes == 0) {
      entry.xattrs.push_back({text_or_empty(name), {}});
    } else {
      entry.xattrs.push_back({text_or_empty(name), Bytes(begin, begin + bytes)});
    }
  }
  return take_acls(from, entry);
}

Status take_entry(archive_entry* from, ArchiveEntry& entry) {
  entry = {};
  entry.path = text_or_empty(archive_entry_pathname(from));
  INSTAR_TRY(entry.kind, kind_of(from));
  entry.mode = static_cast<std::uint16_t>(archive_entry_mode(from) & 07777U);
  INSTAR_TRY(entry.uid, owner_of(archive_entry_uid(from), "its owner"));
  INSTAR_TRY(entry.gid, owner_of(archive_entry_gid(from), "its group"));
  entry.time = archive_entry_mtime(from);
  const bool is_hardlink = entry.kind == Kind::hardlink;
  entry.target = text_or_empty(is_hardlink ? archive_entry_hardlink(from) : archive_entry_symlink(from));
  const bool has_content = entry.kind == Kind::file || is_hardlink;
  const std::int64_t size = has_content && archive_entry_size_is_set(from) != 0 ? archive_entry_size(from) : 0;
  if (size < 0 || static_cast<std::uint64_t>(size) > limits::kContentBytesMax) {
    return fail(Code::too_large, "it has " + std::to_string(size) + " bytes, an artifact takes " +
                                     std::to_string(limits::kContentBytesMax));
  }
  entry.size = static_cast<std::uint64_t>(size);
  if (entry.kind == Kind::char_device || entry.kind == Kind::block_device) {
    entry.device_major = static_cast<std::uint32_t>(archive_entry_rdevmajor(from));
    entry.device_minor = static_cast<std::uint32_t>(archive_entry_rdevminor(from));
  }
  return take_xattrs(from, entry);
}

constexpr std::size_t kTarChecksumAt = 148;
constexpr std::size_t kTarChecksumBytes = 8;

// A header of the first tar, which has no magic number: its checksum is right.
bool is_tar_header(ByteView first) noexcept {
  if (first.size() < kArchiveProbeBytes) return false;
  std::uint32_t sum = 0;
  std::uint32_t said = 0;
  bool is_said = false;
  for (std::size_t i = 0; i < kArchiveProbeBytes; ++i) {
    const bool is_checksum = i >= kTarChecksumAt && i < kTarChecksumAt + kTarChecksumBytes;
    sum += is_checksum ? ' ' : first[i];
    if (!is_checksum || first[i] < '0' || first[i] > '7') continue;
    said = said * 8 + (first[i] - '0');
    is_said = true;
  }
  return is_said && said == sum;
}

}  // namespace

struct ArchiveReader::State {
  explicit State(ByteSource& source) : input(source) {}
  ArchiveInput input;
  std::uint64_t size = 0;  // of the entry that came last
  bool is_cpio = false;
  ArchiveHandle handle;  // goes before what it reads from
};

ArchiveReader::ArchiveReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ArchiveReader::~ArchiveReader() = default;

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::open(ByteSource& source) {
  const PlainLocale plain;
  auto state = std::make_unique<State>(source);
  state->handle.reset(archive_read_new());
  archive* const handle = state->handle.get();
  if (handle == nullptr) return fail(Code::internal, "no memory for libarchive");
  archive_read_support_format_tar(handle);
  archive_read_support_format_cpio(handle);
  INSTAR_CHECK(open_archive_handle(handle, state->input, kNoArchive));
  return std::unique_ptr<ArchiveReader>(new ArchiveReader(std::move(state)));
}

Result<bool> ArchiveReader::next(ArchiveEntry& entry) {
  const PlainLocale plain;
  archive* const handle = state_->handle.get();
  archive_entry* from = nullptr;
  const int got = archive_read_next_header(handle, &from);
  if (got == ARCHIVE_EOF) return false;
  if (got != ARCHIVE_OK && !(got == ARCHIVE_WARN && is_about_a_name(handle)))
    return archive_failure(handle, state_->input, kNoArchive);
  state_->is_cpio = (archive_format(handle) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_CPIO;
  if (auto taken = take_entry(from, entry); !taken) {
    const auto path = entry.path.empty() ? std::string("an entry without a name") : "'" + entry.path + "'";
    return fail(with_context(taken.error(), path));
  }
  state_->size = entry.size;
  return true;
}

Status ArchiveReader::read_content(const Take& take) {
  const PlainLocale plain;
  archive* const handle = state_->handle.get();
  std::uint64_t end = 0;
  while (true) {
    const void* block = nullptr;
    std::size_t bytes = 0;
    la_int64_t offset = 0;
    const int got = archive_read_data_block(handle, &block, &bytes, &offset);
    if (got == ARCHIVE_EOF) return {};
    if (got != ARCHIVE_OK) return archive_failure(handle, state_->input, "its content is damaged or cut off");
    if (bytes == 0) continue;
    const auto begin = static_cast<std::uint64_t>(offset);
    if (offset < 0 || begin < end || begin > state_->size || bytes > state_->size - begin)
      return fail(Code::malformed, "its content does not lie within the size that it has");
    end = begin + bytes;
    INSTAR_CHECK(take(begin, ByteView(static_cast<const std::uint8_t*>(block), bytes)));
  }
}

ArchiveFormat ArchiveReader::format() const noexcept {
  return state_->is_cpio ? ArchiveFormat::cpio : ArchiveFormat::tar;
}

bool looks_like_archive(ByteView first) noexcept {
  using namespace std::string_view_literals;
  constexpr std::string_view kMagics[] = {"\x1f\x8b"sv,
                                          "\xfd"
                                          "7zXZ"sv,
                                          "\x28\xb5\x2f\xfd"sv,
                                          "BZh"sv,
                                          "\x04\x22\x4d\x18"sv,
                                          "\x5d\0\0"sv,
                                          "070701"sv,
                                          "070702"sv,
                                          "070707"sv,
                                          "\xc7\x71"sv};
  const auto text = as_text(first);
  return std::ranges::any_of(kMagics, [&](std::string_view magic) { return text.starts_with(magic); }) ||
         is_tar_header(first);
}

}  // namespace instar::publisher

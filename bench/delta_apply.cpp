// Applies a delta pack file to a tree, with the very code that a device stages it with, and nothing else: no MQTT, no
// LXC, no daemon. Linked statically, to see what the decoder alone needs in memory.
//
//   delta_apply HELD PACK DEST
//   delta_apply --streams FOLDER HELD PACK
//
// HELD is the base as a device has it: a folder with `tree`, a directory tree, and `index`, its canonical index. DEST
// is a new folder on the same file system: files that did not change are linked. Prints the peak of its own resident
// memory.
//
// With --streams nothing is applied: FOLDER gets what bench/decoder_alone.cpp decodes. `head` and `body` of the pack,
// and `files`: for each content that is rebuilt, in order, the path of the base's file that BaseKind::same_path means,
// and its new path, each with a zero byte.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "core/artifact/codec.hpp"
#include "core/artifact/pack.hpp"
#include "core/base/limits.hpp"
#include "core/delta/decoder.hpp"
#include "core/delta/index_delta.hpp"
#include "core/trust/digest.hpp"
#include "device-client/staging/delta_build.hpp"
#include "files/files.hpp"

namespace {

using namespace instar;

void say(int fd, const std::string& text) {
  static_cast<void>(files::write_all(fd, as_bytes(text), "output"));
}

// The pack file: its directory, its head decoded, and where its body begins.
struct Pack {
  artifact::PackDirectory directory;
  Hash256 id;
  Bytes head;
  std::uint64_t body_at = 0;
};

Result<Pack> read_pack(int fd, const std::string& path) {
  Bytes fixed(80);
  INSTAR_TRY(const std::size_t got, files::read_at(fd, fixed, 0, path));
  if (got != fixed.size()) return fail(Code::malformed, path + " is no pack");
  const auto count = [&](std::size_t at) {
    return std::uint32_t{fixed[at]} | std::uint32_t{fixed[at + 1]} << 8 | std::uint32_t{fixed[at + 2]} << 16 |
           std::uint32_t{fixed[at + 3]} << 24;
  };
  const std::uint64_t directory_bytes = 80 + 41 * (std::uint64_t{count(8)} + count(12));
  if (directory_bytes > limits::kDirectoryBytesMax) return fail(Code::too_large, path + " has too large a directory");
  Bytes bytes(static_cast<std::size_t>(directory_bytes));
  INSTAR_TRY(const std::size_t all, files::read_at(fd, bytes, 0, path));
  if (all != bytes.size()) return fail(Code::malformed, path + " is no pack");
  Pack pack;
  pack.id = trust::digest(bytes);
  INSTAR_TRY(pack.directory, artifact::decode_directory(bytes));
  std::uint64_t at = directory_bytes;
  for (std::uint32_t i = 0; i < pack.directory.chunks.size(); ++i) {
    const artifact::ChunkRef& ref = pack.directory.chunks[i];
    Bytes encoded(ref.encoded_bytes);
    INSTAR_TRY(const std::size_t read, files::read_at(fd, encoded, at, path));
    if (read != encoded.size()) return fail(Code::corrupt, path + " is too short");
    INSTAR_TRY(const Bytes decoded, artifact::decode_chunk(ref, encoded));
    if (i < pack.directory.head_count) pack.head.insert(pack.head.end(), decoded.begin(), decoded.end());
    at += ref.encoded_bytes;
    if (i + 1 == pack.directory.head_count) pack.body_at = at;
  }
  return pack;
}

// A pack and the base that it starts from.
struct Source {
  std::string pack_path;
  files::Fd file;
  Pack pack;
  delta::DeltaHead head;
  std::unique_ptr<device::DeltaBase> base;

  Result<std::size_t> read_head(std::uint64_t offset, std::span<std::uint8_t> out) const {
    const std::size_t left = offset < pack.head.size() ? pack.head.size() - static_cast<std::size_t>(offset) : 0;
    const std::size_t count = std::min(out.size(), left);
    std::copy_n(pack.head.end() - static_cast<std::ptrdiff_t>(left), count, out.begin());
    return count;
  }
};

Status open_source(Source& source, const std::string& held, const std::string& pack_path) {
  source.pack_path = pack_path;
  INSTAR_TRY(source.file, files::open_file(pack_path, O_RDONLY));
  INSTAR_TRY(source.pack, read_pack(source.file.get(), pack_path));
  INSTAR_TRY(source.head,
             delta::read_delta_head(
                 [&](std::uint64_t offset, std::span<std::uint8_t> out) { return source.read_head(offset, out); },
                 source.pack.head.size()));
  const auto log = [](LogLevel, const std::string& message) { say(2, message + "\n"); };
  INSTAR_TRY(source.base, device::DeltaBase::open({source.pack.directory.base, held}, log));
  bool proven = false;
  while (!proven) {
    INSTAR_TRY(proven, source.base->prove({}));
  }
  return {};
}

// The new index's entries, out of the base's `base_entries` and the pack's index delta. `source` and `base_entries`
// outlive it.
template <typename BaseEntries>
delta::IndexDeltaReader new_entries(const Source& source, BaseEntries& base_entries) {
  return delta::IndexDeltaReader([&base_entries] { return base_entries.next(); },
                                 [&source, at = source.head.index_delta_offset,
                                  end = source.head.index_delta_offset + source.head.header.index_delta_bytes](
                                     std::span<std::uint8_t> out) mutable -> Result<std::size_t> {
                                   const auto want =
                                       static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), end - at));
                                   INSTAR_TRY(const std::size_t got, source.read_head(at, out.first(want)));
                                   at += got;
                                   return got;
                                 },
                                 {.devices_allowed = true, .hardlinks_looked_up = false});
}

Status apply(const std::string& held, const std::string& pack_path, const std::string& dest) {
  Source source;
  INSTAR_CHECK(open_source(source, held, pack_path));
  INSTAR_CHECK(files::make_folders(dest + ".work"));
  INSTAR_TRY(auto tree, files::StagingTree::make(dest));
  INSTAR_TRY(auto base_entries, source.base->entries());
  auto entries = new_entries(source, *base_entries);
  device::DeltaBuild::Parts parts;
  parts.tree = &tree;
  parts.base = source.base.get();
  parts.entries = [&] { return entries.next(); };
  if (source.head.header.file_count > 0) {
    INSTAR_TRY(parts.decoder,
               delta::Decoder::open(source.head.header, [&](std::uint64_t offset, std::span<std::uint8_t> out) {
                 return files::read_at(source.file.get(), out, source.pack.body_at + offset, pack_path);
               }));
  }
  INSTAR_TRY(parts.log, device::MadeLog::open(dest + ".work/decoded", source.pack.id));
  parts.index_path = dest + ".work/index";
  INSTAR_TRY(parts.index, files::open_file(parts.index_path, O_RDWR | O_CREAT | O_TRUNC, 0600));
  parts.rules = {.devices_allowed = true, .hardlinks_looked_up = false};
  device::DeltaBuild build(std::move(parts));
  bool built = false;
  while (!built) {
    INSTAR_TRY(built, build.step({}));
  }
  if (build.missing().files > 0) return fail(Code::corrupt, "files of the base do not match its index");
  if (build.id() != source.pack.directory.artifact)
    return fail(Code::corrupt, "the tree is not the artifact that the pack promises");
  return {};
}

Status write_streams(const std::string& folder, const std::string& held, const std::string& pack_path) {
  Source source;
  INSTAR_CHECK(open_source(source, held, pack_path));
  INSTAR_CHECK(files::make_folders(folder + "/made"));
  INSTAR_CHECK(files::write_file_atomic(folder + "/head", source.pack.head));
  INSTAR_TRY(const files::Fd body, files::open_file(folder + "/body", O_WRONLY | O_CREAT | O_TRUNC, 0600));
  Bytes buffer(64 * 1024);
  for (std::uint64_t at = source.pack.body_at;;) {
    INSTAR_TRY(const std::size_t got, files::read_at(source.file.get(), buffer, at, pack_path));
    INSTAR_CHECK(files::write_all(body.get(), ByteView(buffer).first(got), folder));
    at += got;
    if (got < buffer.size()) break;
  }
  INSTAR_TRY(auto base_entries, source.base->entries());
  auto entries = new_entries(source, *base_entries);
  std::string list;
  while (true) {
    INSTAR_TRY(const delta::NewEntry* next, entries.next());
    if (next == nullptr) break;
    if (next->from != delta::ContentFrom::decode) continue;
    list += (next->source.empty() ? next->entry.path : next->source) + '\0' + next->entry.path + '\0';
  }
  return files::write_file_atomic(folder + "/files", as_bytes(list));
}

// VmHWM of /proc/self/status. Without stdio, which would be half of the program.
std::string peak_kib() {
  const auto status = files::read_file("/proc/self/status", 64 * 1024);
  if (!status) return "?";
  const std::string_view text = as_text(*status);
  const std::size_t at = text.find("VmHWM:");
  if (at == std::string_view::npos) return "?";
  const std::size_t from = text.find_first_of("0123456789", at);
  return std::string(text.substr(from, text.find(' ', from) - from));
}

}  // namespace

int main(int argc, char** argv) {
  const bool streams = argc == 5 && std::string_view(argv[1]) == "--streams";
  if (!streams && argc != 4) {
    say(2, "usage: delta_apply HELD PACK DEST\n       delta_apply --streams FOLDER HELD PACK\n");
    return 2;
  }
  const auto done = streams ? write_streams(argv[2], argv[3], argv[4]) : apply(argv[1], argv[2], argv[3]);
  if (!done) {
    say(2, "delta_apply: " + done.error().message + "\n");
    return 1;
  }
  say(1, "peak_kib " + peak_kib() + "\n");
  return 0;
}

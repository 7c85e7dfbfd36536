// The decoder of delta packs and nothing else: no index, no zstd, no hashes, no tree. What it needs in memory is what
// the decoder needs.
//
//   decoder_alone STREAMS BASE
//
// STREAMS is a folder that `delta_apply --streams` wrote; BASE the tree that the pack starts from. File number N,
// counted from 0, is rebuilt as STREAMS/made/N. Prints the peak of its own resident memory. Its C library is
// decoder_alone_runtime.cpp.
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <string>

#include "bench/decoder_alone_runtime.hpp"
#include "core/base/limits.hpp"
#include "core/delta/block_codec.hpp"
#include "core/delta/decoder.hpp"

// Trees are measured. What compresses the blocks of images is left out.
namespace instar::delta {

std::unique_ptr<BlockDecoder> make_zlib_decoder() {
  return nullptr;
}
std::unique_ptr<BlockDecoder> make_xz_decoder() {
  return nullptr;
}
std::unique_ptr<BlockDecoder> make_lz4_decoder() {
  return nullptr;
}
std::unique_ptr<BlockDecoder> make_zstd_decoder() {
  return nullptr;
}
std::unique_ptr<BlockEncoder> make_zlib_encoder(const BlockSpec&) {
  return nullptr;
}
std::unique_ptr<BlockEncoder> make_xz_encoder(const BlockSpec&) {
  return nullptr;
}
std::unique_ptr<BlockEncoder> make_lz4_encoder(const BlockSpec&) {
  return nullptr;
}
std::unique_ptr<BlockEncoder> make_zstd_encoder(const BlockSpec&) {
  return nullptr;
}

}  // namespace instar::delta

namespace {

using namespace instar;
namespace rt = instar::bench;

void say(int fd, std::string_view text) {
  static_cast<void>(rt::write(fd, text.data(), text.size()));
}

// An open file, closed at the end of its scope.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) rt::close(fd_);
  }
  Status open(const std::string& path, int flags) {
    fd_ = rt::open(path.c_str(), flags, 0600);
    return fd_ < 0 ? fail(Code::io, "cannot open " + path) : Status{};
  }
  // Fewer bytes than asked for only at the end.
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
      const long got = rt::pread(fd_, out.data() + done, out.size() - done, offset + done);
      if (got < 0) return fail(Code::io, "cannot read");
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  Status write(ByteView bytes) const {
    while (!bytes.empty()) {
      const long put = rt::write(fd_, bytes.data(), bytes.size());
      if (put <= 0) return fail(Code::io, "cannot write");
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return {};
  }
  std::uint64_t size() const { return rt::size_of(fd_); }
  delta::ReadAt reader() const {
    return [this](std::uint64_t offset, std::span<std::uint8_t> out) { return read_at(offset, out); };
  }

 private:
  int fd_ = -1;
};

// The next text of the list, which ends with a zero byte.
Result<std::string> next_text(const File& list, std::uint64_t& at) {
  std::array<std::uint8_t, 256> piece;
  std::string text;
  while (text.size() <= limits::kPathBytesMax) {
    INSTAR_TRY(const std::size_t got, list.read_at(at, piece));
    if (got == 0) return fail(Code::malformed, "the list of files ends too early");
    const auto end = std::find(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got), std::uint8_t{0});
    text.append(piece.begin(), end);
    at += static_cast<std::uint64_t>(end - piece.begin());
    if (end != piece.begin() + static_cast<std::ptrdiff_t>(got)) {
      ++at;
      return text;
    }
  }
  return fail(Code::malformed, "a path in the list of files is too long");
}

Status rebuild(delta::Decoder& decoder, const delta::FileStart& start, const std::string& base_path,
               const std::string& out_path) {
  File from;
  delta::Base base;
  if (start.base != delta::BaseKind::none) {
    INSTAR_CHECK(from.open(base_path, O_RDONLY));
    base = {from.reader(), from.size()};
  }
  File out;
  INSTAR_CHECK(out.open(out_path, O_WRONLY | O_CREAT | O_TRUNC));
  bool ended = false;
  while (!ended) {
    INSTAR_TRY(ended, decoder.decode(
                          base, [&](ByteView bytes) { return out.write(bytes); }, 1024 * 1024));
  }
  return {};
}

Status run(const std::string& streams, const std::string& base) {
  File head_file;
  File body;
  File list;
  INSTAR_CHECK(head_file.open(streams + "/head", O_RDONLY));
  INSTAR_CHECK(body.open(streams + "/body", O_RDONLY));
  INSTAR_CHECK(list.open(streams + "/files", O_RDONLY));
  delta::DeltaHeader header;
  {
    INSTAR_TRY(const delta::DeltaHead head, delta::read_delta_head(head_file.reader(), head_file.size()));
    header = head.header;
  }
  INSTAR_TRY(const auto decoder, delta::Decoder::open(header, body.reader()));
  std::uint64_t at = 0;
  for (std::uint32_t number = 0;; ++number) {
    INSTAR_TRY(const auto start, decoder->next_file());
    if (!start) break;
    INSTAR_TRY(const std::string same_path, next_text(list, at));
    INSTAR_TRY(const std::string path, next_text(list, at));
    const std::string& source = start->base == delta::BaseKind::path ? start->base_path : same_path;
    if (auto done = rebuild(*decoder, *start, base + "/" + source, streams + "/made/" + std::to_string(number));
        !done) {
      return fail(with_context(done.error(), path));
    }
  }
  return {};
}

// VmHWM, as delta_apply prints it.
std::string peak_kib() {
  File status;
  std::array<char, 4096> text;
  if (!status.open("/proc/self/status", O_RDONLY)) return "?";
  const auto got = status.read_at(0, std::span(reinterpret_cast<std::uint8_t*>(text.data()), text.size()));
  const std::string_view shown(text.data(), got.value_or(0));
  const std::size_t peak = shown.find("VmHWM:");
  const std::size_t from = peak == std::string_view::npos ? peak : shown.find_first_of("0123456789", peak);
  if (from == std::string_view::npos) return "?";
  return std::string(shown.substr(from, shown.find(' ', from) - from));
}

}  // namespace

int instar::bench::decoder_main(int argc, char** argv) {
  if (argc != 3) {
    say(2, "usage: decoder_alone STREAMS BASE\n");
    return 2;
  }
  const auto done = run(argv[1], argv[2]);
  if (!done) {
    say(2, "decoder_alone: " + done.error().message + "\n");
    return 1;
  }
  say(1, "peak_kib " + peak_kib() + "\n");
  return 0;
}

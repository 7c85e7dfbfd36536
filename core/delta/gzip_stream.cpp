#include "core/delta/gzip_stream.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <string>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::delta {
namespace {

constexpr std::size_t kGzipReadBytes = 8 * 1024;
constexpr std::size_t kGzipSkipBytes = 4 * 1024;
constexpr std::size_t kOutputBytes = 8 * 1024;
// Part of the format: zlib gets its input up to the next multiple of this, or the next cut. How much input zlib gets
// decides when its window moves, and at the edge of the window that decides which matches it finds.
constexpr std::size_t kGzipInputBytes = 8 * 1024;
constexpr int kGzipWrapped = 15 + 16;  // any window, header and trailer checked by zlib

tl::unexpected<Error> no_memory() {
  return fail(Code::unavailable, "no memory for zlib");
}

tl::unexpected<Error> broken_base(const char* what) {
  return fail(Code::corrupt, std::string("the base file ") + what);
}

uInt to_uint(std::size_t size) {
  return static_cast<uInt>(std::min<std::size_t>(size, 1U << 30));
}

}  // namespace

struct GzipReader::State {
  z_stream stream{};
  std::uint64_t base_offset = 0;
  std::uint64_t content_offset = 0;
  bool ended = false;
  std::array<std::uint8_t, kGzipReadBytes> input;
  std::array<std::uint8_t, kGzipSkipBytes> skipped;

  ~State() { inflateEnd(&stream); }  // takes a stream that was never set up

  Status open();
  Result<std::size_t> refill(const ReadBase& read_base);
  Result<std::size_t> inflate_some(const ReadBase& read_base, std::span<std::uint8_t> out);
};

Status GzipReader::State::open() {
  if (inflateInit2(&stream, kGzipWrapped) != Z_OK) return no_memory();
  return {};
}

Result<std::size_t> GzipReader::State::refill(const ReadBase& read_base) {
  INSTAR_TRY(const std::size_t got, read_base(base_offset, std::span(input)));
  INSTAR_ASSERT(got <= input.size());
  base_offset += got;
  stream.next_in = input.data();
  stream.avail_in = to_uint(got);
  return got;
}

// At least one byte of content, or none at its end.
Result<std::size_t> GzipReader::State::inflate_some(const ReadBase& read_base, std::span<std::uint8_t> out) {
  stream.next_out = out.data();
  stream.avail_out = to_uint(out.size());
  const uInt wanted = stream.avail_out;
  while (!ended && stream.avail_out == wanted) {
    if (stream.avail_in == 0) {
      INSTAR_TRY(const std::size_t got, refill(read_base));
      if (got == 0) return broken_base("ends before its gzip stream does");
    }
    const int outcome = inflate(&stream, Z_NO_FLUSH);
    if (outcome == Z_MEM_ERROR) return no_memory();
    if (outcome == Z_STREAM_END) {
      ended = true;
    } else if (outcome != Z_OK) {
      return broken_base("is no sound gzip file");
    }
  }
  if (ended && stream.avail_in == 0) {
    INSTAR_TRY([[maybe_unused]] const std::size_t more, refill(read_base));
  }
  if (ended && stream.avail_in != 0) return broken_base("goes on after its gzip stream");
  const std::size_t got = wanted - stream.avail_out;
  content_offset += got;
  return got;
}

GzipReader::GzipReader(ReadBase read_base) : read_base_(std::move(read_base)) {}
GzipReader::~GzipReader() = default;

Result<std::size_t> GzipReader::read_at(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset > limits::kContentBytesMax || out.size() > limits::kContentBytesMax - offset) {
    return fail(Code::too_large, "a read past the largest content there may be");
  }
  if (state_ == nullptr) {
    auto state = std::make_unique<State>();
    INSTAR_CHECK(state->open());
    state_ = std::move(state);
  }
  if (offset < state_->content_offset) {
    return fail(Code::malformed, "a gzip base is read backwards: " + std::to_string(offset) + " after " +
                                     std::to_string(state_->content_offset));
  }
  while (state_->content_offset < offset) {
    const auto gap = static_cast<std::size_t>(std::min<std::uint64_t>(offset - state_->content_offset, kGzipSkipBytes));
    INSTAR_TRY(const std::size_t got, state_->inflate_some(read_base_, std::span(state_->skipped).first(gap)));
    if (got == 0) return std::size_t{0};
  }
  std::size_t filled = 0;
  while (filled < out.size()) {
    INSTAR_TRY(const std::size_t got, state_->inflate_some(read_base_, out.subspan(filled)));
    if (got == 0) break;
    filled += got;
  }
  return filled;
}

struct GzipWriter::State {
  GzipRecipe recipe;
  Sink sink;
  z_stream stream{};
  bool started = false;
  std::uint64_t content_bytes = 0;  // given to zlib
  std::size_t cuts_done = 0;
  std::uint64_t next_cut = 0;  // offset in the content; 0 when there is none left
  uLong checksum = crc32(0, nullptr, 0);
  std::size_t input_bytes = 0;  // waiting in `input`
  std::array<std::uint8_t, kGzipInputBytes> input;
  std::array<std::uint8_t, kOutputBytes> output;

  ~State() { deflateEnd(&stream); }

  void find_next_cut() { next_cut = cuts_done < recipe.cuts.size() ? content_bytes + recipe.cuts[cuts_done] : 0; }
  [[nodiscard]] std::size_t room() const;
  Status start();
  Status deflate_input(int flush);
  Status pass_on_full_input();
};

Status GzipWriter::State::start() {
  if (started) return {};
  started = true;
  if (deflateInit2(&stream, recipe.level, Z_DEFLATED, -recipe.window_bits, recipe.memory_level,
                   static_cast<int>(recipe.strategy)) != Z_OK) {
    return no_memory();
  }
  find_next_cut();
  return recipe.header.empty() ? Status{} : sink(recipe.header);
}

// Bytes that may still be gathered before zlib gets them.
std::size_t GzipWriter::State::room() const {
  const std::uint64_t start = content_bytes;
  std::uint64_t end = start - start % kGzipInputBytes + kGzipInputBytes;
  if (next_cut != 0) end = std::min(end, next_cut);
  INSTAR_ASSERT(end > start && input_bytes < end - start);
  return static_cast<std::size_t>(end - start) - input_bytes;
}

Status GzipWriter::State::deflate_input(int flush) {
  checksum = crc32(checksum, input.data(), to_uint(input_bytes));
  stream.next_in = input.data();
  stream.avail_in = to_uint(input_bytes);
  do {
    stream.next_out = output.data();
    stream.avail_out = to_uint(output.size());
    const int outcome = deflate(&stream, flush);
    // Z_BUF_ERROR says that there was nothing left to do.
    INSTAR_ASSERT(outcome == Z_OK || outcome == Z_STREAM_END || outcome == Z_BUF_ERROR);
    const std::size_t made = output.size() - stream.avail_out;
    if (made > 0) INSTAR_CHECK(sink(ByteView(output).first(made)));
  } while (stream.avail_out == 0);
  INSTAR_ASSERT(stream.avail_in == 0);
  content_bytes += input_bytes;
  input_bytes = 0;
  return {};
}

Status GzipWriter::State::pass_on_full_input() {
  const bool at_cut = next_cut != 0 && content_bytes + input_bytes == next_cut;
  INSTAR_CHECK(deflate_input(at_cut ? Z_BLOCK : Z_NO_FLUSH));
  if (at_cut) {
    ++cuts_done;
    find_next_cut();
  }
  return {};
}

GzipWriter::GzipWriter(GzipRecipe recipe, Sink sink) : state_(std::make_unique<State>()) {
  state_->recipe = std::move(recipe);
  state_->sink = std::move(sink);
}
GzipWriter::~GzipWriter() = default;

Status GzipWriter::write(ByteView content) {
  INSTAR_CHECK(state_->start());
  if (content.size() > limits::kContentBytesMax - state_->content_bytes - state_->input_bytes) {
    return fail(Code::too_large, "a gzip file's content is larger than the largest there may be");
  }
  while (!content.empty()) {
    const std::size_t room = state_->room();
    const std::size_t taken = std::min(room, content.size());
    std::copy_n(content.begin(), taken, state_->input.begin() + static_cast<std::ptrdiff_t>(state_->input_bytes));
    state_->input_bytes += taken;
    content = content.subspan(taken);
    if (taken == room) INSTAR_CHECK(state_->pass_on_full_input());
  }
  return {};
}

Status GzipWriter::finish() {
  INSTAR_CHECK(state_->start());
  if (state_->next_cut != 0) return fail(Code::malformed, "a gzip recipe has a cut past the end of the content");
  INSTAR_CHECK(state_->deflate_input(Z_FINISH));
  if (state_->recipe.header.empty()) return {};
  std::array<std::uint8_t, 8> trailer;
  for (unsigned i = 0; i < 4; ++i) {
    trailer[i] = static_cast<std::uint8_t>(state_->checksum >> (8 * i));
    trailer[4 + i] = static_cast<std::uint8_t>(state_->content_bytes >> (8 * i));
  }
  return state_->sink(trailer);
}

}  // namespace instar::delta

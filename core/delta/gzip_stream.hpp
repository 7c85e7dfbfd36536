// gzip inside a delta: reads the content of a base file in place, and makes a new file again from its content. Both
// stream in bounded memory. Only these two classes use zlib. For one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/delta/gzip_recipe.hpp"

namespace instar::delta {

// Fills `out` with a file's bytes from `offset` on; returns how many, 0 only at the file's end.
using ReadBase = std::function<Result<std::size_t>(std::uint64_t offset, std::span<std::uint8_t> out)>;

// The content of a gzip file of one member, in order. Memory: 51 KiB (39 of zlib, 12 of buffers), taken at the first
// read.
class GzipReader {
 public:
  explicit GzipReader(ReadBase read_base);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // Fills `out` with content from `offset` on; returns how many bytes, fewer than asked for only where the content
  // ends. That the file's own checksum holds and that nothing follows it has been checked by then, not before: what
  // came earlier from a damaged file may be wrong, and is caught by the hash of what is made from it. Errors: malformed
  // (`offset` is before the end of the last read), corrupt (no gzip file, damaged, cut off, of several members, or
  // bytes after its end), too_large (past kContentBytesMax), unavailable (no memory), and those of the callback.
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out);

 private:
  struct State;
  ReadBase read_base_;
  std::unique_ptr<State> state_;
};

// Makes a gzip file, or, by a recipe without a header, a raw deflate stream. Memory: 2^(window_bits + 2) +
// 2^(memory_level + 9) bytes and 22 KiB (6 of zlib, 16 of buffers), which is 278 KiB at memory level 8 and 406 KiB at
// 9, and the recipe. After an error the only use left is to destroy it.
class GzipWriter {
 public:
  using Sink = std::function<Status(ByteView)>;  // what it is given is valid during the call

  // The recipe is within its bounds, as read_gzip_recipe leaves it. `sink` is first called by write() or finish().
  GzipWriter(GzipRecipe recipe, Sink sink);
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  // The next bytes of the content, in pieces of any size: the output does not depend on it.
  // Errors: those of the sink, too_large (past kContentBytesMax), unavailable (no memory).
  [[nodiscard]] Status write(ByteView content);
  // Ends the file: the rest of the stream, checksum and size. Errors: as write(), and malformed (a cut past the
  // content's end).
  [[nodiscard]] Status finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace instar::delta

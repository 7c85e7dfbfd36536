// Rebuilds the changed contents of a delta pack, one file after the other. Its memory depends on neither the files nor
// the tree: the streams' windows, the copy map of the current file, and a few buffers. docs/formats/delta.md
//
// For one thread. Bases are read in place through a callback, and output goes to a callback as soon as it is known.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/delta/delta_head.hpp"

namespace instar::delta {

// Where the old bytes of a file are.
enum class BaseKind : std::uint8_t {
  none = 0,       // nothing is copied
  same_path = 1,  // the base's file of the same path
  path = 2,       // the base's file `base_path`
};

// What comes next in the streams.
struct FileStart {
  BaseKind base = BaseKind::none;
  std::string base_path;
  // Bytes of the rebuilt file. With is_gzip: of its content before it is compressed; the file's own size is known when
  // it has been made.
  std::uint64_t size = 0;
  bool is_gzip = false;
  // It is a file of blocks, such as an image with a compressed file system: `size` says nothing.
  bool is_blocks = false;
  // The file has `size` bytes.
  [[nodiscard]] bool has_size() const noexcept { return !is_gzip && !is_blocks; }
};

// How far a file of blocks has come. It can be gone on with from here in another process.
struct BlockProgress {
  std::uint32_t part = 0;   // the first one that is needed again
  std::uint64_t bytes = 0;  // of the file
  friend bool operator==(const BlockProgress&, const BlockProgress&) = default;
};

// The old bytes of a file: `read` fills `out` from an offset below `size`.
struct Base {
  ReadAt read;
  std::uint64_t size = 0;
};

using WriteOut = std::function<Status(ByteView bytes)>;

class Decoder {
 public:
  // `body` reads the body's bytes (streams one after the other, offset 0 = first byte of the control stream). It is
  // called as long as the decoder exists. Errors: too_large (a window over limits.hpp), malformed.
  [[nodiscard]] static Result<std::unique_ptr<Decoder>> open(const DeltaHeader& header, ReadAt body);
  ~Decoder();

  // The next file. nullopt after the last one; then all streams must have ended too. The file before must have ended.
  // `base_path` may be any text up to kPathBytesMax. The caller must open it below the base's root only, and only when
  // it is a regular file there. Errors: malformed, corrupt, those of `body`.
  [[nodiscard]] Result<std::optional<FileStart>> next_file();
  // Rebuilds up to about `bytes_max` bytes of the current file. Returns true when the file has ended. The first call
  // for a file takes `base` and `out`, which are used until the file has ended; later calls may leave them empty.
  // Without a base (BaseKind::none) `base` may be empty. The caller must check the hash of the content. Errors:
  // malformed, corrupt (the base is shorter than it was, is no gzip file any more, or a stream is broken), those of the
  // callbacks. After an error the decoder must not be used any more.
  [[nodiscard]] Result<bool> decode(const Base& base, const WriteOut& out, std::uint64_t bytes_max);
  // For a file of blocks, before its first decode(): `from` is made already, so `out` gets what comes after those
  // bytes. Bytes before them are neither decompressed from the base nor compressed, as far as nothing later needs them.
  void resume(const BlockProgress& from) noexcept;
  // Of a file of blocks that is under way.
  [[nodiscard]] BlockProgress progress() const noexcept;
  // Skips some of the current file without a base or output. Returns true when the file has ended. For files that are
  // finished already, and for those whose base is damaged. It only costs the decompression.
  [[nodiscard]] Result<bool> skip(std::uint64_t bytes_max);

 private:
  class Impl;
  explicit Decoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace instar::delta

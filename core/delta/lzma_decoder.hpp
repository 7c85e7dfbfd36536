// Reads one raw LZMA stream, piece by piece. On the device only this file uses liblzma.
#pragma once

#include <memory>
#include <span>

#include "core/delta/delta_head.hpp"

namespace instar::delta {

class LzmaDecoder {
 public:
  // `body`: where the compressed bytes are; the stream lies at [offset, offset + info.encoded_bytes) of it.
  // Memory: the window, and about 32 KiB. Errors: too_large (window over limits.hpp), malformed (settings that LZMA
  // does not have).
  [[nodiscard]] static Result<std::unique_ptr<LzmaDecoder>> open(const StreamInfo& info, ReadAt body,
                                                                 std::uint64_t offset);
  ~LzmaDecoder();

  // Fills `out`. Errors: corrupt (the stream is broken, or shorter than that), those of `body`.
  [[nodiscard]] Status read(std::span<std::uint8_t> out);
  [[nodiscard]] Status skip(std::uint64_t bytes);
  // Decoded bytes that are left.
  [[nodiscard]] std::uint64_t left() const noexcept;

 private:
  class Impl;
  explicit LzmaDecoder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace instar::delta

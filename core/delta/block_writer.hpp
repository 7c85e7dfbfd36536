// Makes a file of blocks from the content of its parts and their steps (block_control.hpp). What it makes depends on
// the steps and the content alone, and grows at its end only, so that it can be gone on with after a kill.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/delta/block_control.hpp"
#include "core/delta/decoder.hpp"

namespace instar::delta {

// Memory: two blocks of content, one as it is in the file, and an encoder; of streams the encoder alone.
class BlockWriter {
 public:
  // All must outlive the writer. `old` reads the base's file as it is. `out` gets the file's bytes in order.
  BlockWriter(const BlockHead& head, ControlReader& control, ReadAt old, WriteOut out);

  // `out` has these bytes already: they are not passed on, and their blocks are not made. Before the first part.
  void resume(std::uint64_t bytes) noexcept { there_ = bytes; }

  // Parts come in order: begin, content and steps as they ask for each other, end.
  void begin_part(std::uint32_t part, std::uint8_t spec) noexcept;
  // Does the next step if it needs no content. Returns false when it needs content, or when no step is left. Errors:
  // unsupported (a block came out otherwise than the publisher's), malformed, corrupt, too_large, those of the
  // callbacks; of the next two as well.
  [[nodiscard]] Result<bool> advance();
  [[nodiscard]] Status take(ByteView content);
  // After the last step. Errors: malformed (content is missing).
  [[nodiscard]] Status end_part();
  // Reads the steps of a part and makes nothing of them.
  [[nodiscard]] Status skip_part();
  [[nodiscard]] Status finish() const;

  // From where it can be gone on with: all of the file that has been made, and the first part whose content is needed.
  [[nodiscard]] BlockProgress progress() const noexcept;

 private:
  [[nodiscard]] Status load();
  [[nodiscard]] bool makes_streams() const noexcept { return is_stream(head_.specs[spec_].method); }
  [[nodiscard]] Status take_of_stream(ByteView content);
  [[nodiscard]] Status end_stream();
  [[nodiscard]] bool needs_content() const noexcept;
  [[nodiscard]] Status take_some(ByteView content);
  [[nodiscard]] Status end_step();
  [[nodiscard]] Status copy(const BlockStep& step);
  [[nodiscard]] Status put_held(std::uint32_t bytes);
  [[nodiscard]] Status put_block(ByteView content, std::uint32_t bytes);
  [[nodiscard]] Status put(ByteView bytes);
  [[nodiscard]] Status move_on(std::uint64_t bytes);
  void hold(std::uint32_t bytes) noexcept;

  const BlockHead& head_;
  ControlReader& control_;
  ReadAt old_;
  WriteOut out_;
  std::uint64_t there_ = 0;
  std::uint64_t made_ = 0;  // of the file, with what is there already
  std::uint32_t part_ = 0;
  std::uint8_t spec_ = 0;
  std::optional<std::uint8_t> encoder_spec_;
  std::unique_ptr<BlockEncoder> encoder_;
  std::unique_ptr<BlockStreamEncoder> stream_;  // while a stream is made
  std::uint64_t stream_end_ = 0;                // where it must end in the file
  std::optional<BlockStep> step_;
  std::uint32_t left_ = 0;    // content that the step still takes
  std::uint32_t copied_ = 0;  // where the last copy ended
  Bytes block_;
  Bytes packed_;
  Bytes held_;
  std::uint32_t held_bytes_ = 0;  // more than held_ has where parts were skipped
  std::uint32_t held_part_ = 0;   // the first one with content that is held
};

}  // namespace instar::delta

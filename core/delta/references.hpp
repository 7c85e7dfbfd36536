// Reference prediction: computes what the references in copied old bytes become in the new file.
//
// When code moves, nearly all differences between a copied stretch and the new file are references: distances of calls,
// addresses in tables. Both sides have the copy map, so they can compute where the target of each reference is now, and
// correct the reference before the difference is taken. Then the difference stream has mostly zeros. A small table of
// earlier targets (old → new) is used first, for targets that no copy covers.
//
// Encoder and decoder run the same code over the same old bytes, in the same order, so that they predict the same. A
// prediction depends only on the old file, the copy map, the layout in the first ElfImage::kLayoutBytes of the new
// file, and references decoded before.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/delta/arm_code.hpp"
#include "core/delta/arm_modes.hpp"
#include "core/delta/copy_map.hpp"
#include "core/delta/elf_image.hpp"
#include "core/delta/instructions.hpp"

namespace instar::delta {

class References {
 public:
  // One file. `old` is its base, read in place through `read` too; both and `map` must outlive it. `modes`: of a
  // program for 32-bit Arm. Memory: the table of targets, 64 KiB; for 32-bit Arm 16 KiB more.
  References(const ElfImage& old, ReadAt read, const CopyMap& map, ArmModes modes = ArmModes());

  // Sets the layout of the new file, read from its first bytes. Nothing is predicted before that. It must be set before
  // the stretch goes past ElfImage::kLayoutBytes of the new file.
  void set_layout(const std::optional<ElfImage>& now);

  // A stretch of old bytes that is copied to `now_offset`.
  void begin(std::uint32_t old_offset, std::uint32_t now_offset, std::uint32_t bytes);
  // Turns the next old bytes of the stretch and differences into new bytes. Returns how many are done: all of `old`
  // when it holds the rest of the stretch, or else all but at most kLookahead.
  [[nodiscard]] std::size_t decode(ByteView old, const std::uint8_t* difference, std::uint8_t* now);
  // Turns old and new bytes into differences.
  [[nodiscard]] std::size_t encode(ByteView old, const std::uint8_t* now, std::uint8_t* difference);

  static constexpr std::size_t kLookahead = 128;

 private:
  // One call of decode() or encode().
  struct Exchange {
    const std::uint8_t* old;
    const std::uint8_t* in;
    std::uint8_t* out;
    std::size_t bytes;
    bool encoding;
  };
  struct Target {
    std::uint32_t old = 0;  // plus 1; 0 = free
    std::uint32_t now = 0;
  };
  // The value that an ADRP instruction left in its register.
  struct Page {
    std::uint32_t set_at = 0;  // offset in the old file, plus 1; 0 = nothing
    std::uint32_t old = 0;
    std::uint32_t now = 0;
  };

  [[nodiscard]] std::size_t run(Exchange exchange);
  [[nodiscard]] const Section* section_from(std::uint32_t offset) const noexcept;
  [[nodiscard]] std::size_t step(Exchange& exchange, std::size_t at, const Section& section, std::size_t left);
  [[nodiscard]] std::size_t step_x86(Exchange& exchange, std::size_t at, std::size_t left);
  [[nodiscard]] std::size_t step_arm(Exchange& exchange, std::size_t at, std::size_t left);
  [[nodiscard]] std::size_t step_page(Exchange& exchange, std::size_t at, std::size_t left, std::uint32_t word);
  [[nodiscard]] std::size_t step_branch(Exchange& exchange, std::size_t at, std::uint32_t word, ArmBranch branch);
  [[nodiscard]] std::size_t step_low_bits(Exchange& exchange, std::size_t at, std::uint32_t word, unsigned scale);
  [[nodiscard]] std::size_t step_words(Exchange& exchange, std::size_t at, const Section& section, std::size_t left);
  [[nodiscard]] std::size_t step_symbols(Exchange& exchange, std::size_t at, const Section& section, std::size_t left);
  [[nodiscard]] std::size_t step_relocations(Exchange& exchange, std::size_t at, const Section& section,
                                             std::size_t left);
  [[nodiscard]] std::size_t step_frames(Exchange& exchange, std::size_t at, const Section& section, std::size_t left);
  [[nodiscard]] std::size_t step_frame_table(Exchange& exchange, std::size_t at, const Section& section,
                                             std::size_t left);

  // 32-bit Arm (references_arm.cpp).
  [[nodiscard]] std::size_t step32(Exchange& exchange, std::size_t at, const Section& section, std::size_t left);
  [[nodiscard]] std::size_t step_arm32(Exchange& exchange, std::size_t at, std::size_t left);
  [[nodiscard]] bool exchange_reference(Exchange& exchange, std::size_t at, const ArmReference& reference);
  [[nodiscard]] std::optional<std::uint32_t> base_now(const ArmReference& reference, std::uint32_t here);
  void learn_half(const ArmReference& reference, std::uint32_t now_word, std::uint32_t base);
  void exchange_linkage(Exchange& exchange, std::size_t at, std::uint32_t target, std::uint32_t base,
                        std::uint32_t predicted);
  void step_unwind_pair(Exchange& exchange, std::size_t at);
  void relocation32(Exchange& exchange, std::size_t at, std::uint32_t symbols);
  void address32(Exchange& exchange, std::size_t at);
  // The distance of 31 bits of the tables that unwind; false when it is none.
  [[nodiscard]] bool distance31(Exchange& exchange, std::size_t at);
  // An address of code may have the bit that says Thumb.
  [[nodiscard]] std::optional<std::uint32_t> predict_marked(std::uint32_t old_address) noexcept;
  void learn_marked(std::uint32_t old_address, std::uint32_t now_address) noexcept;
  [[nodiscard]] std::uint32_t mark_of(std::uint32_t old_address) const noexcept;
  static std::uint16_t exchange16(Exchange& exchange, std::size_t at, std::uint32_t predicted) noexcept;

  static void plain(Exchange& exchange, std::size_t at, std::size_t bytes) noexcept;
  static std::uint32_t exchange32(Exchange& exchange, std::size_t at, std::uint32_t predicted) noexcept;
  // A 32-bit distance from `from_old` to a target; false when it is none.
  [[nodiscard]] bool relative32(Exchange& exchange, std::size_t at, std::int64_t extra, bool code_only);
  // A 32-bit distance from a fixed old address that has become `from_now`.
  [[nodiscard]] bool distance32(Exchange& exchange, std::size_t at, std::uint32_t from_old, std::uint32_t from_now);
  void frame_owner32(Exchange& exchange, std::size_t at);
  void address64(Exchange& exchange, std::size_t at);
  // A 32-bit offset in the section at `table`, in units of `unit` bytes.
  void offset32(Exchange& exchange, std::size_t at, std::uint32_t table, std::uint32_t unit);
  [[nodiscard]] std::optional<std::uint32_t> offset_now(std::uint32_t offset, std::uint32_t table,
                                                        std::uint32_t unit) const;

  [[nodiscard]] std::optional<std::uint32_t> predict(std::uint32_t old_address) noexcept;
  void learn(std::uint32_t old_address, std::uint32_t now_address) noexcept;
  [[nodiscard]] std::uint32_t old_at(std::size_t at) const noexcept {
    return old_offset_ + done_ + static_cast<std::uint32_t>(at);
  }
  [[nodiscard]] std::uint32_t now_at(std::size_t at) const noexcept {
    return now_offset_ + done_ + static_cast<std::uint32_t>(at);
  }
  [[nodiscard]] std::optional<std::uint32_t> record_from(const Section& section, std::uint32_t offset);

  const ElfImage& old_;
  ReadAt read_;
  const CopyMap& map_;
  std::optional<ElfImage> now_;
  std::vector<Target> targets_;
  std::uint32_t old_offset_ = 0;
  std::uint32_t now_offset_ = 0;
  std::uint32_t bytes_ = 0;
  std::uint32_t done_ = 0;              // of the stretch, before the present call
  std::optional<std::uint8_t> before_;  // x86: the old byte before the one looked at
  std::array<Page, 32> pages_;
  // 32-bit Arm.
  ArmModes modes_;
  std::optional<ArmCode> arm_code_;
  std::array<std::uint32_t, 16> low_halves_{};  // of each register, as the last instruction set it in the new file
  // .eh_frame: an offset at which a record begins, and how many records may still be passed over to find one.
  std::uint32_t record_ = 0;
  std::uint32_t record_steps_left_ = 0;
  Bytes record_buffer_;
  std::uint32_t record_buffer_at_ = 0;
};

}  // namespace instar::delta

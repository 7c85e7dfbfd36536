#include "core/delta/make/mask.hpp"

#include <algorithm>

#include "core/delta/elf_image.hpp"
#include "core/delta/instructions.hpp"
#include "core/delta/little_endian.hpp"
#include "core/delta/make/arm_mode_finder.hpp"
#include "core/delta/make/mask_arm.hpp"
#include "core/delta/make/target_names.hpp"

namespace instar::delta {
namespace {

class Masker {
 public:
  Masker(const ElfImage& image, ByteView file) : image_(image), file_(file), masked_(to_bytes(file)), names_(image) {}

  Bytes run() {
    // First all references are blanked, so that their targets look the same in any place. Then each reference is
    // replaced by a hash of its target.
    for (const bool naming : {false, true}) {
      if (naming) names_.set_blank(masked_);
      for (const Section& section : image_.sections()) mask_section(section);
    }
    return std::move(masked_);
  }

 private:
  void mask_section(const Section& section) {
    switch (section.kind) {
      case SectionKind::code: return image_.machine() == Machine::x86_64 ? mask_x86(section) : mask_arm(section);
      case SectionKind::words: return mask_words(section);
      case SectionKind::relocations: return mask_relocations(section);
      case SectionKind::symbols: return mask_symbols(section);
      case SectionKind::frames: return mask_frames(section);
      case SectionKind::frame_table: return mask_frame_table(section);
      case SectionKind::unwind_index:
      case SectionKind::unwind_table: return;  // of 32-bit Arm only
    }
  }

  [[nodiscard]] bool leads_into_code(std::uint32_t address) const {
    const Segment* segment = image_.segment_at(address);
    return segment != nullptr && segment->is_code;
  }

  [[nodiscard]] std::uint32_t name_of(std::uint32_t address) const { return names_.of_address(address); }
  void put32(std::uint32_t at, std::uint32_t value) { store32(masked_.data() + at, value); }
  [[nodiscard]] std::uint32_t old32(std::uint32_t at) const { return load32(file_.data() + at); }

  void mask_x86(const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    std::optional<std::uint8_t> before;
    for (std::uint32_t at = section.offset; at < end;) {
      const auto reference = find_x86_reference(file_.data() + at, end - at, before);
      const std::uint32_t operand = at + static_cast<std::uint32_t>(reference ? reference->operand_at : 0);
      const std::uint32_t target = reference ? section.address + (operand - section.offset) + 4 + old32(operand) : 0;
      if (!reference || (reference->into_code ? !leads_into_code(target) : image_.segment_at(target) == nullptr)) {
        before = file_[at];
        ++at;
        continue;
      }
      put32(operand, name_of(target));
      before.reset();
      at = operand + 4;
    }
  }

  void mask_arm(const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    for (std::uint32_t at = (section.offset + 3) & ~3U; at + 4 <= end; at += 4) {
      const std::uint32_t word = old32(at);
      if (const auto branch = find_arm_branch(word)) {
        const std::uint32_t target = section.address + (at - section.offset) + branch->distance(word);
        // Jumps inside a function are short and change with the code between, so they do not help to identify
        // functions.
        const std::uint32_t name = branch->bits == 26 ? name_of(target) : 0;
        put32(at, (word & ~branch->mask()) | (name & branch->mask()));
      } else if (is_arm_page(word)) {
        put32(at, word & ~kArmPageMask);
      }
    }
  }

  void mask_address(std::uint32_t at) {
    const std::uint64_t value = load64(file_.data() + at);
    const std::uint64_t relative = value - image_.origin();
    if (value == 0 || value < image_.origin() || relative > 0xffffffff ||
        image_.segment_at(static_cast<std::uint32_t>(relative)) == nullptr)
      return;
    put32(at, name_of(static_cast<std::uint32_t>(relative)));
    put32(at + 4, 0);
  }

  void mask_words(const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    for (std::uint32_t at = (section.offset + 7) & ~7U; at + 8 <= end; at += 8) mask_address(at);
  }

  void mask_relocations(const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    for (std::uint32_t at = section.offset; at + 24 <= end; at += 24) {
      mask_address(at);
      const std::uint32_t symbol = old32(at + 12);
      if (symbol != 0 && section.linked_offset != 0)
        put32(at + 12, names_.of_symbol(std::uint64_t{section.linked_offset} + std::uint64_t{symbol} * 24, 24, file_));
      mask_address(at + 16);
    }
  }

  void mask_symbols(const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    for (std::uint32_t at = section.offset; at + 24 <= end; at += 24) {
      if (old32(at) != 0 && section.linked_offset != 0)
        put32(at, names_.of_offset(std::uint64_t{section.linked_offset} + old32(at)));
      mask_address(at + 8);
    }
  }

  void mask_frames(const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    for (std::uint32_t at = section.offset; at + 24 <= end;) {
      const std::uint32_t length = old32(at);
      if (length > end - at - 4) return;
      if (length >= 20 && old32(at + 4) != 0) {
        put32(at + 4, 0);
        put32(at + 8, name_of(section.address + (at + 8 - section.offset) + old32(at + 8)));
      }
      at += 4 + length;
    }
  }

  void mask_frame_table(const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    for (std::uint32_t at = section.offset + 12; at + 8 <= end; at += 8) {
      put32(at, name_of(section.address + old32(at)));
      put32(at + 4, 0);
    }
  }

  const ElfImage& image_;
  ByteView file_;
  Bytes masked_;
  TargetNames names_;
};

}  // namespace

std::optional<Bytes> mask_references(ByteView file) {
  const auto image = ElfImage::read(
      [file](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
        const std::size_t left = offset < file.size() ? file.size() - static_cast<std::size_t>(offset) : 0;
        const std::size_t count = std::min(left, out.size());
        std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(file.size() - left), count, out.begin());
        return count;
      },
      file.size());
  if (!image) return std::nullopt;
  if (image->machine() == Machine::arm) return mask_arm_references(*image, file, find_arm_modes(*image, file));
  return Masker(*image, file).run();
}

}  // namespace instar::delta

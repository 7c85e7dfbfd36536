#include "core/delta/make/mask_arm.hpp"

#include <algorithm>

#include "core/delta/arm_code.hpp"
#include "core/delta/little_endian.hpp"
#include "core/delta/make/target_names.hpp"

namespace instar::delta {
namespace {

class ArmMasker {
 public:
  ArmMasker(const ElfImage& image, ByteView file, const ArmModes& modes)
      : image_(image), file_(file), modes_(modes), masked_(to_bytes(file)), names_(image) {}

  Bytes run() {
    mask_sections();
    names_.set_blank(masked_);
    mask_sections();
    return std::move(masked_);
  }

 private:
  void mask_sections() {
    ArmCode code(image_);
    for (const Section& section : image_.sections()) {
      if (section.kind == SectionKind::code) {
        mask_code(code, section);
      } else {
        mask_table(section);
      }
    }
  }

  void put32(std::uint32_t at, std::uint32_t value) { store32(masked_.data() + at, value); }
  [[nodiscard]] std::uint32_t old32(std::uint32_t at) const { return load32(file_.data() + at); }

  // An address of code may have the bit that says Thumb.
  [[nodiscard]] std::uint32_t name_of(std::uint32_t address) const {
    const Segment* segment = image_.segment_at(address);
    return names_.of_address(segment != nullptr && segment->is_code ? address & ~1U : address);
  }

  void mask_code(ArmCode& code, const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    for (std::uint32_t at = section.offset; at + 4 <= end;) {
      const bool is_thumb = modes_.is_thumb(at);
      const std::uint32_t address = section.address + (at - section.offset);
      if (const std::uint32_t misaligned = address % (is_thumb ? 2 : 4); misaligned != 0) {
        at += (is_thumb ? 2 : 4) - misaligned;
        continue;
      }
      const ArmReference reference = code.look(file_.data() + at, end - at, address, is_thumb);
      if (reference.field != ArmField::none && image_.segment_at(reference.target) != nullptr)
        mask_reference(at, reference, is_thumb);
      at += reference.bytes;
    }
  }

  void mask_reference(std::uint32_t at, const ArmReference& reference, bool is_thumb) {
    const ArmField field = reference.field;
    if (field == ArmField::linkage) {
      const LinkageWords words = with_linkage_distance(file_.data() + at, name_of(reference.target) & 0x0fffffff);
      for (std::uint32_t i = 0; i < words.words.size(); ++i) put32(at + i * 4, words.words[i]);
      return;
    }
    // Jumps inside a function are short and change with the code between, and so do the places of words that it loads:
    // they do not help to identify functions.
    const bool identifies = field == ArmField::branch || field == ArmField::exchange ||
                            field == ArmField::wide_branch || field == ArmField::wide_exchange || is_half(field) ||
                            field == ArmField::word;
    const std::uint32_t name = identifies ? name_of(reference.target) & ~3U : 0;
    const std::uint32_t word = with_arm_distance(field, reference.word, name);
    if (is_short(field)) {
      store16(masked_.data() + at, static_cast<std::uint16_t>(word));
    } else {
      put32(at, is_thumb && field != ArmField::word ? word << 16 | word >> 16 : word);
    }
  }

  void mask_address(std::uint32_t at) {
    const std::uint32_t value = old32(at);
    if (value == 0 || value < image_.origin()) return;
    const std::uint32_t relative = value - static_cast<std::uint32_t>(image_.origin());
    if (image_.segment_at(relative) != nullptr) put32(at, name_of(relative));
  }

  void mask_distance31(std::uint32_t at, const Section& section) {
    const std::uint32_t value = old32(at);
    if ((value >> 31) != 0) return;
    const std::uint32_t target = section.address + (at - section.offset) + ((value ^ 0x40000000U) - 0x40000000U);
    if (image_.segment_at(target) != nullptr) put32(at, name_of(target) & 0x7fffffff);
  }

  void mask_table(const Section& section) {
    const std::uint32_t end = section.offset + section.bytes;
    switch (section.kind) {
      case SectionKind::words:
        for (std::uint32_t at = section.offset; at + 4 <= end; at += 4) mask_address(at);
        break;
      case SectionKind::symbols:
        for (std::uint32_t at = section.offset; at + 16 <= end; at += 16) mask_symbol(at, section);
        break;
      case SectionKind::relocations:
        for (std::uint32_t at = section.offset; at + 8 <= end; at += 8) mask_relocation(at, section);
        break;
      case SectionKind::unwind_index:
        for (std::uint32_t at = section.offset; at + 8 <= end; at += 8) {
          mask_distance31(at, section);
          if (old32(at + 4) != 1) mask_distance31(at + 4, section);
        }
        break;
      case SectionKind::unwind_table:
        for (std::uint32_t at = section.offset; at + 4 <= end; at += 4) {
          if ((old32(at) >> 24) == 0x7f) mask_distance31(at, section);
        }
        break;
      default: break;
    }
  }

  void mask_symbol(std::uint32_t at, const Section& section) {
    if (old32(at) != 0 && section.linked_offset != 0)
      put32(at, names_.of_offset(std::uint64_t{section.linked_offset} + old32(at)));
    mask_address(at + 4);
  }

  void mask_relocation(std::uint32_t at, const Section& section) {
    mask_address(at);
    const std::uint32_t info = old32(at + 4);
    if (info >> 8 == 0 || section.linked_offset == 0) return;
    const std::uint64_t symbol = std::uint64_t{section.linked_offset} + std::uint64_t{info >> 8} * 16;
    put32(at + 4, names_.of_symbol(symbol, 16, file_) << 8 | (info & 0xff));
  }

  const ElfImage& image_;
  ByteView file_;
  const ArmModes& modes_;
  Bytes masked_;
  TargetNames names_;
};

}  // namespace

Bytes mask_arm_references(const ElfImage& image, ByteView file, const ArmModes& modes) {
  return ArmMasker(image, file, modes).run();
}

}  // namespace instar::delta

// What identifies the target of a reference: a hash of the first bytes there.
#pragma once

#include <cstdint>

#include "core/base/bytes.hpp"
#include "core/delta/elf_image.hpp"

namespace instar::delta {

class TargetNames {
 public:
  // `image` must outlive it.
  explicit TargetNames(const ElfImage& image) : image_(image) {}

  // From then on targets have names: those of the bytes of `blank`, in which references are blanked.
  void set_blank(Bytes blank) { blank_ = std::move(blank); }

  // 0 while references are being blanked, and for memory without content.
  [[nodiscard]] std::uint32_t of_offset(std::uint64_t offset) const;
  [[nodiscard]] std::uint32_t of_address(std::uint32_t address) const;
  // Of a symbol, which is blanked itself: of its text in `file`. `symbol`: its place, `symbol_bytes` long.
  [[nodiscard]] std::uint32_t of_symbol(std::uint64_t symbol, std::uint32_t symbol_bytes, ByteView file) const;

 private:
  // Bytes at a reference's target that identify the target: about the start of a function or the first words of a text.
  static constexpr std::uint32_t kTargetBytes = 20;

  [[nodiscard]] static std::uint32_t name(ByteView bytes, std::uint64_t offset);

  const ElfImage& image_;
  Bytes blank_;
};

}  // namespace instar::delta

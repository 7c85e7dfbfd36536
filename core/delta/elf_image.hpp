// What reference prediction needs to know of an ELF file: which bytes are loaded where, and which sections have
// references. System V ABI, object file format; little-endian, ELF-64 for x86-64 and AArch64, ELF-32 for Arm.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/delta/delta_head.hpp"

namespace instar::delta {

enum class Machine : std::uint8_t { none, x86_64, aarch64, arm };

// Loaded at `address`, relative to the lowest address of the image.
struct Segment {
  std::uint32_t offset = 0;
  std::uint32_t file_bytes = 0;
  std::uint32_t address = 0;
  std::uint32_t memory_bytes = 0;
  bool is_code = false;
};

enum class SectionKind : std::uint8_t {
  code,
  words,
  frames,
  frame_table,
  relocations,
  symbols,
  // Of 32-bit Arm: .ARM.exidx, pairs of a function and how it is unwound; .ARM.extab, the words that they lead to.
  unwind_index,
  unwind_table,
};

struct Section {
  SectionKind kind = SectionKind::words;
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
  std::uint32_t address = 0;        // relative; 0 and not loaded: see is_loaded
  std::uint32_t linked_offset = 0;  // of the string table of symbols, of the symbols of relocations; 0 = none
  bool is_loaded = false;
};

// At most kDeltaSegmentsMax and kDeltaSectionsMax of each: what is past that is taken for plain bytes.
class ElfImage {
 public:
  // The segments, read from the first bytes of a file (its ELF header and program headers). nullopt if it is not such a
  // file, or spans 4 GiB or more.
  [[nodiscard]] static std::optional<ElfImage> read_layout(ByteView first, std::uint64_t file_bytes);
  // The segments and the sections.
  [[nodiscard]] static std::optional<ElfImage> read(const ReadAt& read, std::uint64_t file_bytes);

  [[nodiscard]] Machine machine() const noexcept { return machine_; }
  // The lowest address: what relative addresses are relative to.
  [[nodiscard]] std::uint64_t origin() const noexcept { return origin_; }
  [[nodiscard]] const std::vector<Segment>& segments() const noexcept { return segments_; }
  [[nodiscard]] const std::vector<Section>& sections() const noexcept { return sections_; }
  // Linked to a fixed address: its words may be addresses without any relocation.
  [[nodiscard]] bool is_fixed() const noexcept { return is_fixed_; }
  // Of 32-bit Arm: the global offset table, from whose start code counts. No bytes: there is none.
  [[nodiscard]] const Section& offset_table() const noexcept { return offset_table_; }

  [[nodiscard]] std::optional<std::uint32_t> address_of(std::uint32_t offset) const noexcept;
  [[nodiscard]] const Segment* segment_at(std::uint32_t address) const noexcept;

  // Bytes at the start of a file that read_layout() may need.
  static constexpr std::size_t kLayoutBytes = 4096;

 private:
  void read_sections(const ReadAt& read, std::uint64_t file_bytes);

  Machine machine_ = Machine::none;
  bool is_fixed_ = false;
  std::uint64_t origin_ = 0;
  std::uint64_t section_headers_ = 0;
  std::uint32_t section_count_ = 0;
  Section offset_table_;
  std::vector<Segment> segments_;  // by address
  std::vector<Section> sections_;  // by offset, not overlapping
};

}  // namespace instar::delta

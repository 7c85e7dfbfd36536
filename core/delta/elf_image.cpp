#include "core/delta/elf_image.hpp"

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"
#include "core/delta/little_endian.hpp"

namespace instar::delta {
namespace {

// Where the fields of the file's header are, and how large the headers are. `sizes_at`: the size of a program header;
// their count, the size of a section header, their count, and the number of the one with names follow, 2 bytes each.
struct HeaderForm {
  bool is_wide;
  std::uint64_t header_bytes;
  std::uint64_t programs_at;
  std::uint64_t sections_at;
  std::uint64_t sizes_at;
  std::uint64_t program_bytes;
  std::uint64_t section_bytes;
};
constexpr HeaderForm kElf64{true, 64, 32, 40, 54, 56, 64};
constexpr HeaderForm kElf32{false, 52, 28, 32, 42, 32, 40};
constexpr std::uint64_t kHeaderRoom = 64;   // of a file or a section
constexpr std::uint16_t kFixedAddress = 2;  // ET_EXEC

const HeaderForm& form_of(Machine machine) {
  return machine == Machine::arm ? kElf32 : kElf64;
}

// Of a program or section header: 8 bytes in ELF-64, 4 in ELF-32.
std::uint64_t load_word(const std::uint8_t* at, const HeaderForm& form) {
  return form.is_wide ? load64(at) : load32(at);
}

constexpr std::uint32_t kLoad = 1;          // PT_LOAD
constexpr std::uint32_t kExecutable = 1;    // PF_X
constexpr std::uint64_t kAllocated = 2;     // SHF_ALLOC
constexpr std::uint64_t kWritable = 1;      // SHF_WRITE
constexpr std::uint64_t kInstructions = 4;  // SHF_EXECINSTR
// Section types.
constexpr std::uint32_t kProgbits = 1;
constexpr std::uint32_t kSymtab = 2;
constexpr std::uint32_t kRela = 4;
constexpr std::uint32_t kDynamic = 6;
constexpr std::uint32_t kRel = 9;
constexpr std::uint32_t kDynsym = 11;
constexpr std::uint32_t kInitArray = 14;
constexpr std::uint32_t kFiniArray = 15;
constexpr std::uint32_t kUnwind = 0x70000001;  // SHT_X86_64_UNWIND, and SHT_ARM_EXIDX

struct RawSection {
  std::uint32_t name = 0;
  std::uint32_t type = 0;
  std::uint64_t flags = 0;
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t link = 0;
};

RawSection read_raw(const std::uint8_t* at, const HeaderForm& form) {
  const std::uint64_t word = form.is_wide ? 8 : 4;
  const std::uint8_t* const words = at + 8;
  return {load32(at),
          load32(at + 4),
          load_word(words, form),
          load_word(words + word, form),
          load_word(words + 2 * word, form),
          load_word(words + 3 * word, form),
          load32(words + 4 * word)};
}

struct RawSegment {
  std::uint32_t type = 0;
  std::uint32_t flags = 0;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t memory_bytes = 0;
};

RawSegment read_segment(const std::uint8_t* at, const HeaderForm& form) {
  if (form.is_wide)
    return {load32(at), load32(at + 4), load64(at + 8), load64(at + 16), load64(at + 32), load64(at + 40)};
  return {load32(at), load32(at + 24), load32(at + 4), load32(at + 8), load32(at + 16), load32(at + 20)};
}

Machine machine_of(ByteView first) {
  constexpr std::array<std::uint8_t, 4> kMagic{0x7f, 'E', 'L', 'F'};
  if (first.size() < kHeaderRoom || !std::equal(kMagic.begin(), kMagic.end(), first.begin()) || first[5] != 1)
    return Machine::none;  // 1: little-endian
  const std::uint16_t machine = load16(first.data() + 18);
  if (first[4] == 2) return machine == 62 ? Machine::x86_64 : machine == 183 ? Machine::aarch64 : Machine::none;
  return first[4] == 1 && machine == 40 ? Machine::arm : Machine::none;
}

bool is_read_only_data(std::string_view name) {
  return name == ".rodata" || name == ".typelink" || name == ".itablink" || name == ".gopclntab";
}

std::optional<SectionKind> kind_of(const RawSection& section, std::string_view name) {
  if (section.type == kDynsym || section.type == kSymtab) return SectionKind::symbols;
  if (section.type == kRela) return SectionKind::relocations;
  if (name == ".eh_frame") return SectionKind::frames;
  if (name == ".eh_frame_hdr") return SectionKind::frame_table;
  if ((section.flags & kAllocated) == 0) return std::nullopt;
  if (section.type == kDynamic || section.type == kInitArray || section.type == kFiniArray) return SectionKind::words;
  if (section.type != kProgbits && section.type != kUnwind) return std::nullopt;
  if ((section.flags & kInstructions) != 0) return SectionKind::code;
  if ((section.flags & kWritable) != 0) return SectionKind::words;
  // Go's tables and read-only data hold addresses too in files that are linked to a fixed address.
  return is_read_only_data(name) ? std::optional(SectionKind::words) : std::nullopt;
}

std::optional<SectionKind> arm_kind_of(const RawSection& section, std::string_view name, bool is_fixed) {
  if (section.type == kDynsym || section.type == kSymtab) return SectionKind::symbols;
  if (section.type == kRel) return SectionKind::relocations;
  if ((section.flags & kAllocated) == 0) return std::nullopt;
  if (section.type == kUnwind) return SectionKind::unwind_index;
  if (section.type == kDynamic || section.type == kInitArray || section.type == kFiniArray) return SectionKind::words;
  if (section.type != kProgbits) return std::nullopt;
  if ((section.flags & kInstructions) != 0) return SectionKind::code;
  if ((section.flags & kWritable) != 0) return SectionKind::words;
  if (name == ".ARM.extab") return SectionKind::unwind_table;
  // Elsewhere most small numbers would look like addresses.
  return is_fixed && is_read_only_data(name) ? std::optional(SectionKind::words) : std::nullopt;
}

}  // namespace

std::optional<ElfImage> ElfImage::read_layout(ByteView first, std::uint64_t file_bytes) {
  ElfImage image;
  image.machine_ = machine_of(first);
  if (image.machine_ == Machine::none || file_bytes > 0xffffffff) return std::nullopt;
  const HeaderForm& form = form_of(image.machine_);
  image.is_fixed_ = load16(first.data() + 16) == kFixedAddress;
  const std::uint64_t headers = load_word(first.data() + form.programs_at, form);
  const std::uint16_t count = load16(first.data() + form.sizes_at + 2);
  if (load16(first.data() + form.sizes_at) != form.program_bytes) return std::nullopt;
  if (headers > first.size() || count * form.program_bytes > first.size() - headers) return std::nullopt;
  image.section_headers_ = load_word(first.data() + form.sections_at, form);
  image.section_count_ =
      load16(first.data() + form.sizes_at + 4) == form.section_bytes ? load16(first.data() + form.sizes_at + 6) : 0;

  std::uint64_t lowest = ~std::uint64_t{0};
  std::uint64_t highest = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (std::uint16_t i = 0; i < count && image.segments_.size() < limits::kDeltaSegmentsMax; ++i) {
      const RawSegment raw = read_segment(first.data() + headers + i * form.program_bytes, form);
      if (raw.type != kLoad) continue;
      if (raw.memory_bytes == 0 || raw.memory_bytes > 0xffffffff ||
          raw.address > ~std::uint64_t{0} - raw.memory_bytes || raw.file_bytes > raw.memory_bytes ||
          raw.offset > file_bytes) {
        return std::nullopt;
      }
      lowest = std::min(lowest, raw.address);
      highest = std::max(highest, raw.address + raw.memory_bytes);
      if (pass == 0) continue;
      image.segments_.push_back({static_cast<std::uint32_t>(raw.offset),
                                 static_cast<std::uint32_t>(std::min(raw.file_bytes, file_bytes - raw.offset)),
                                 static_cast<std::uint32_t>(raw.address - lowest),
                                 static_cast<std::uint32_t>(raw.memory_bytes), (raw.flags & kExecutable) != 0});
    }
    if (highest <= lowest || highest - lowest > 0xffffffff) return std::nullopt;
  }
  image.origin_ = lowest;
  std::sort(image.segments_.begin(), image.segments_.end(),
            [](const Segment& a, const Segment& b) { return a.address < b.address; });
  return image;
}

std::optional<ElfImage> ElfImage::read(const ReadAt& read, std::uint64_t file_bytes) {
  Bytes first(static_cast<std::size_t>(std::min<std::uint64_t>(kLayoutBytes, file_bytes)));
  const auto got = read(0, first);
  if (!got || *got != first.size()) return std::nullopt;
  auto image = read_layout(first, file_bytes);
  if (image) image->read_sections(read, file_bytes);
  return image;
}

void ElfImage::read_sections(const ReadAt& read, std::uint64_t file_bytes) {
  const HeaderForm& form = form_of(machine_);
  std::array<std::uint8_t, kHeaderRoom> header_buffer{};
  const auto header = std::span(header_buffer).first(static_cast<std::size_t>(form.section_bytes));
  const auto read_header = [&](std::uint32_t i) -> std::optional<RawSection> {
    const auto got = read(section_headers_ + i * form.section_bytes, header);
    if (!got || *got != header.size()) return std::nullopt;
    return read_raw(header.data(), form);
  };
  if (section_count_ == 0 || section_headers_ > file_bytes ||
      section_count_ * form.section_bytes > file_bytes - section_headers_)
    return;
  if (section_count_ > limits::kDeltaSectionsMax) section_count_ = limits::kDeltaSectionsMax;
  // The ELF header says which section has the names.
  std::array<std::uint8_t, 2> names_index{};
  if (const auto got = read(form.sizes_at + 8, names_index); !got || *got != 2) return;
  const auto names = read_header(load16(names_index.data()));
  for (std::uint32_t i = 0; i < section_count_; ++i) {
    const auto raw = read_header(i);
    if (!raw || raw->offset > file_bytes || raw->bytes > file_bytes - raw->offset || raw->bytes == 0 || raw->type == 8)
      continue;
    std::array<char, 16> name{};
    if (names && names->offset + raw->name + name.size() < file_bytes) {
      std::array<std::uint8_t, 15> bytes{};
      const auto got = read(names->offset + raw->name, bytes);
      if (got) std::copy_n(bytes.begin(), *got, name.begin());
    }
    const auto kind = machine_ == Machine::arm ? arm_kind_of(*raw, name.data(), is_fixed_) : kind_of(*raw, name.data());
    if (!kind) continue;
    Section section;
    section.kind = *kind;
    section.offset = static_cast<std::uint32_t>(raw->offset);
    section.bytes = static_cast<std::uint32_t>(raw->bytes);
    section.is_loaded = (raw->flags & kAllocated) != 0;
    if (section.is_loaded && (raw->address < origin_ || raw->address - origin_ > 0xffffffff - raw->bytes)) continue;
    if (section.is_loaded) section.address = static_cast<std::uint32_t>(raw->address - origin_);
    if ((*kind == SectionKind::symbols || *kind == SectionKind::relocations) && raw->link < section_count_) {
      if (const auto linked = read_header(raw->link); linked && linked->offset <= file_bytes) {
        section.linked_offset = static_cast<std::uint32_t>(linked->offset);
      }
    }
    if (machine_ == Machine::arm && name.data() == std::string_view(".got")) offset_table_ = section;
    sections_.push_back(section);
  }
  std::sort(sections_.begin(), sections_.end(), [](const Section& a, const Section& b) { return a.offset < b.offset; });
  // A linker does not make overlapping sections. The later one is left out.
  std::uint64_t end = 0;
  std::erase_if(sections_, [&](const Section& section) {
    if (section.offset < end) return true;
    end = std::uint64_t{section.offset} + section.bytes;
    return false;
  });
}

std::optional<std::uint32_t> ElfImage::address_of(std::uint32_t offset) const noexcept {
  for (const Segment& segment : segments_) {
    if (offset >= segment.offset && offset - segment.offset < segment.file_bytes)
      return segment.address + (offset - segment.offset);
  }
  return std::nullopt;
}

const Segment* ElfImage::segment_at(std::uint32_t address) const noexcept {
  for (const Segment& segment : segments_) {
    if (address >= segment.address && address - segment.address < segment.memory_bytes) return &segment;
  }
  return nullptr;
}

}  // namespace instar::delta

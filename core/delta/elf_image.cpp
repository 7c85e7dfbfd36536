#include "core/delta/elf_image.hpp"

#include <algorithm>
#include <array>

#include "core/base/limits.hpp"
#include "core/delta/little_endian.hpp"

namespace instar::delta {
namespace {

constexpr std::uint64_t kHeaderBytes = 64;
constexpr std::uint64_t kProgramHeaderBytes = 56;
constexpr std::uint64_t kSectionHeaderBytes = 64;
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
constexpr std::uint32_t kDynsym = 11;
constexpr std::uint32_t kInitArray = 14;
constexpr std::uint32_t kFiniArray = 15;
constexpr std::uint32_t kUnwind = 0x70000001;  // SHT_X86_64_UNWIND

struct RawSection {
  std::uint32_t name = 0;
  std::uint32_t type = 0;
  std::uint64_t flags = 0;
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t link = 0;
};

RawSection read_raw(ByteView header) {
  return {load32(header.data()),      load32(header.data() + 4),  load64(header.data() + 8), load64(header.data() + 16),
          load64(header.data() + 24), load64(header.data() + 32), load32(header.data() + 40)};
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
  if (name == ".rodata" || name == ".typelink" || name == ".itablink" || name == ".gopclntab")
    return SectionKind::words;
  return std::nullopt;
}

}  // namespace

std::optional<ElfImage> ElfImage::read_layout(ByteView first, std::uint64_t file_bytes) {
  if (first.size() < kHeaderBytes || file_bytes > 0xffffffff) return std::nullopt;
  constexpr std::array<std::uint8_t, 6> kIdent{0x7f, 'E', 'L', 'F', 2, 1};  // 64 bits, little-endian
  if (!std::equal(kIdent.begin(), kIdent.end(), first.begin())) return std::nullopt;
  ElfImage image;
  const std::uint16_t machine = load16(first.data() + 18);
  image.machine_ = machine == 62 ? Machine::x86_64 : machine == 183 ? Machine::aarch64 : Machine::none;
  const std::uint64_t headers = load64(first.data() + 32);
  const std::uint16_t count = load16(first.data() + 56);
  if (image.machine_ == Machine::none || load16(first.data() + 54) != kProgramHeaderBytes) return std::nullopt;
  if (headers > first.size() || count * kProgramHeaderBytes > first.size() - headers) return std::nullopt;
  image.section_headers_ = load64(first.data() + 40);
  image.section_count_ = load16(first.data() + 58) == kSectionHeaderBytes ? load16(first.data() + 60) : 0;

  std::uint64_t lowest = ~std::uint64_t{0};
  std::uint64_t highest = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (std::uint16_t i = 0; i < count && image.segments_.size() < limits::kDeltaSegmentsMax; ++i) {
      const std::uint8_t* header = first.data() + headers + i * kProgramHeaderBytes;
      if (load32(header) != kLoad) continue;
      const std::uint64_t offset = load64(header + 8);
      const std::uint64_t address = load64(header + 16);
      const std::uint64_t in_file = load64(header + 32);
      const std::uint64_t in_memory = load64(header + 40);
      if (in_memory == 0 || in_memory > 0xffffffff || address > ~std::uint64_t{0} - in_memory || in_file > in_memory ||
          offset > file_bytes) {
        return std::nullopt;
      }
      lowest = std::min(lowest, address);
      highest = std::max(highest, address + in_memory);
      if (pass == 0) continue;
      image.segments_.push_back({static_cast<std::uint32_t>(offset),
                                 static_cast<std::uint32_t>(std::min(in_file, file_bytes - offset)),
                                 static_cast<std::uint32_t>(address - lowest), static_cast<std::uint32_t>(in_memory),
                                 (load32(header + 4) & kExecutable) != 0});
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
  std::array<std::uint8_t, kSectionHeaderBytes> header{};
  const auto read_header = [&](std::uint32_t i) -> std::optional<RawSection> {
    const auto got = read(section_headers_ + i * kSectionHeaderBytes, header);
    if (!got || *got != header.size()) return std::nullopt;
    return read_raw(header);
  };
  if (section_count_ == 0 || section_headers_ > file_bytes ||
      section_count_ * kSectionHeaderBytes > file_bytes - section_headers_)
    return;
  if (section_count_ > limits::kDeltaSectionsMax) section_count_ = limits::kDeltaSectionsMax;
  // The ELF header says which section has the names.
  std::array<std::uint8_t, 2> names_index{};
  if (const auto got = read(62, names_index); !got || *got != 2) return;
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
    const auto kind = kind_of(*raw, name.data());
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

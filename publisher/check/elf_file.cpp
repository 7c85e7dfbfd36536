#include "publisher/check/elf_file.hpp"

#include <elf.h>

#include <algorithm>
#include <optional>

#include "core/base/limits.hpp"

namespace instar::publisher {
namespace {

// Numbers in the byte order of the file. What is beyond the end is zero: sizes are checked before.
class ElfNumbers {
 public:
  ElfNumbers(ByteView bytes, const Machine& machine) : bytes_(bytes), machine_(machine) {}
  [[nodiscard]] std::uint64_t get(std::size_t offset, std::size_t size) const noexcept {
    std::uint64_t value = 0;
    if (offset > bytes_.size() || size > bytes_.size() - offset) return 0;
    for (std::size_t i = 0; i < size; ++i)
      value = value << 8 | bytes_[offset + (machine_.is_big_endian ? i : size - 1 - i)];
    return value;
  }
  // A field that has 4 bytes in a 32-bit file and 8 in a 64-bit one.
  [[nodiscard]] std::uint64_t word(std::size_t offset_32, std::size_t offset_64) const noexcept {
    return machine_.is_64_bit ? get(offset_64, 8) : get(offset_32, 4);
  }

 private:
  ByteView bytes_;
  Machine machine_;
};

struct ElfSegment {
  std::uint64_t type = 0;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint64_t file_bytes = 0;
};

tl::unexpected<Error> damaged(const std::string& what) {
  return fail(Code::malformed, what);
}

class ElfParser {
 public:
  ElfParser(const ReadElf& read, std::uint64_t file_bytes) : read_(read), file_bytes_(file_bytes) {}

  Result<ElfFile> run() {
    INSTAR_CHECK(read_header());
    INSTAR_CHECK(read_segments());
    for (const auto& segment : segments_) {
      if (segment.type != PT_INTERP) continue;
      if (segment.file_bytes > limits::kElfTextBytesMax) return damaged("the name of its loader is too long");
      INSTAR_TRY(elf_.loader, text_at(segment.offset));
    }
    INSTAR_CHECK(read_dynamic());
    return std::move(elf_);
  }

 private:
  Result<Bytes> exactly(std::uint64_t offset, std::uint64_t size, const char* what) const {
    if (offset > file_bytes_ || size > file_bytes_ - offset)
      return damaged(std::string(what) + " lie beyond its end: it is cut off or damaged");
    INSTAR_TRY(auto bytes, read_(offset, static_cast<std::size_t>(size)));
    if (bytes.size() < size) return damaged(std::string(what) + " lie beyond its end: it is cut off or damaged");
    return bytes;
  }

  Status read_header() {
    INSTAR_TRY(const auto ident, exactly(0, EI_NIDENT, "its first bytes"));
    const std::uint8_t bits = ident[EI_CLASS];
    const std::uint8_t order = ident[EI_DATA];
    if (!is_elf(ident) || (bits != ELFCLASS32 && bits != ELFCLASS64) || (order != ELFDATA2LSB && order != ELFDATA2MSB))
      return damaged("its header is none of an ELF file: it is damaged");
    elf_.machine.is_64_bit = bits == ELFCLASS64;
    elf_.machine.is_big_endian = order == ELFDATA2MSB;
    const std::size_t header_bytes = elf_.machine.is_64_bit ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
    INSTAR_TRY(const auto bytes, exactly(0, header_bytes, "parts of its header"));
    const ElfNumbers header(bytes, elf_.machine);
    elf_.machine.number =
        static_cast<std::uint16_t>(header.get(offsetof(Elf64_Ehdr, e_machine), sizeof(Elf64_Ehdr::e_machine)));
    switch (header.get(offsetof(Elf64_Ehdr, e_type), sizeof(Elf64_Ehdr::e_type))) {
      case ET_REL: elf_.type = ElfFile::Type::object; break;
      case ET_EXEC: elf_.type = ElfFile::Type::program; break;
      case ET_DYN: elf_.type = ElfFile::Type::shared; break;
      case ET_CORE: elf_.type = ElfFile::Type::core; break;
      default: elf_.type = ElfFile::Type::other;
    }
    elf_.has_entry = header.word(offsetof(Elf32_Ehdr, e_entry), offsetof(Elf64_Ehdr, e_entry)) != 0;
    headers_offset_ = header.word(offsetof(Elf32_Ehdr, e_phoff), offsetof(Elf64_Ehdr, e_phoff));
    const auto half = [&](std::size_t offset_32, std::size_t offset_64) {
      return header.get(elf_.machine.is_64_bit ? offset_64 : offset_32, 2);
    };
    header_size_ = half(offsetof(Elf32_Ehdr, e_phentsize), offsetof(Elf64_Ehdr, e_phentsize));
    header_count_ = half(offsetof(Elf32_Ehdr, e_phnum), offsetof(Elf64_Ehdr, e_phnum));
    return {};
  }

  Status read_segments() {
    if (header_count_ == 0) return {};
    const std::size_t wanted = elf_.machine.is_64_bit ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (header_size_ != wanted) return damaged("its program headers have a wrong size: it is damaged");
    // The kernel's own bound.
    if (header_count_ * wanted > limits::kElfHeadersBytesMax)
      return damaged("it has more program headers than Linux reads");
    INSTAR_TRY(const auto bytes, exactly(headers_offset_, header_count_ * wanted, "its program headers"));
    for (std::size_t i = 0; i < header_count_; ++i) {
      const ElfNumbers row(ByteView(bytes).subspan(i * wanted, wanted), elf_.machine);
      ElfSegment segment;
      segment.type = row.get(offsetof(Elf64_Phdr, p_type), 4);
      segment.offset = row.word(offsetof(Elf32_Phdr, p_offset), offsetof(Elf64_Phdr, p_offset));
      segment.address = row.word(offsetof(Elf32_Phdr, p_vaddr), offsetof(Elf64_Phdr, p_vaddr));
      segment.file_bytes = row.word(offsetof(Elf32_Phdr, p_filesz), offsetof(Elf64_Phdr, p_filesz));
      const bool is_used = segment.type == PT_LOAD || segment.type == PT_INTERP || segment.type == PT_DYNAMIC;
      const bool is_inside = segment.offset <= file_bytes_ && segment.file_bytes <= file_bytes_ - segment.offset;
      if (is_used && !is_inside) return damaged("parts of it lie beyond its end: it is cut off or damaged");
      segments_.push_back(segment);
    }
    return {};
  }

  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address) const {
    for (const auto& segment : segments_) {
      if (segment.type != PT_LOAD || address < segment.address) continue;
      if (address - segment.address < segment.file_bytes) return segment.offset + (address - segment.address);
    }
    return std::nullopt;
  }

  // A text that ends with a zero byte.
  Result<std::string> text_at(std::uint64_t offset) const {
    if (offset >= file_bytes_) return damaged("a name in it lies beyond its end: it is damaged");
    INSTAR_TRY(const auto bytes, read_(offset, limits::kElfTextBytesMax));
    const auto end = std::ranges::find(bytes, std::uint8_t{0});
    if (end == bytes.end()) return damaged("a name in it has no end: it is damaged");
    return std::string(bytes.begin(), end);
  }

  Result<std::string> name_at(std::uint64_t strings, std::uint64_t offset) const {
    const auto place = offset_of(strings + offset);
    if (!place) return damaged("a name in it lies beyond its end: it is damaged");
    return text_at(*place);
  }

  Status read_dynamic() {
    const auto found =
        std::ranges::find(segments_, std::uint64_t{PT_DYNAMIC}, [](const auto& segment) { return segment.type; });
    if (found == segments_.end()) return {};
    elf_.has_dynamic = true;
    if (found->file_bytes > limits::kElfDynamicBytesMax) return damaged("its dynamic section is too large");
    INSTAR_TRY(const auto bytes, exactly(found->offset, found->file_bytes, "parts of its dynamic section"));
    const ElfNumbers numbers(bytes, elf_.machine);
    const std::size_t half = elf_.machine.is_64_bit ? 8 : 4;
    std::uint64_t strings = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> names;  // tag, offset in the strings
    for (std::size_t at = 0; at + 2 * half <= bytes.size(); at += 2 * half) {
      const auto tag = numbers.get(at, half);
      const auto value = numbers.get(at + half, half);
      if (tag == DT_NULL) break;
      if (tag == DT_STRTAB) strings = value;
      if (tag == DT_NEEDED || tag == DT_RPATH || tag == DT_RUNPATH) names.emplace_back(tag, value);
    }
    if (names.size() > limits::kElfLibrariesMax) return damaged("it names too many libraries");
    for (const auto& [tag, offset] : names) {
      INSTAR_TRY(auto name, name_at(strings, offset));
      if (tag == DT_NEEDED) {
        elf_.needed.push_back(std::move(name));
      } else {
        (tag == DT_RPATH ? elf_.rpath : elf_.runpath) = std::move(name);
      }
    }
    return {};
  }

  const ReadElf& read_;
  std::uint64_t file_bytes_;
  ElfFile elf_;
  std::uint64_t headers_offset_ = 0;
  std::uint64_t header_size_ = 0;
  std::uint64_t header_count_ = 0;
  std::vector<ElfSegment> segments_;
};

}  // namespace

bool is_elf(ByteView first) noexcept {
  return as_text(first).starts_with(std::string_view(ELFMAG, SELFMAG));
}

Result<ElfFile> read_elf(const ReadElf& read, std::uint64_t file_bytes) {
  return ElfParser(read, file_bytes).run();
}

}  // namespace instar::publisher

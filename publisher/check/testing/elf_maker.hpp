// ELF files for tests: headers, a dynamic section and its texts, without code.
#pragma once

#include <elf.h>

#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "publisher/check/machine.hpp"

namespace instar::publisher {

struct MadeElf {
  Machine machine = {EM_X86_64, true, false};
  std::uint16_t type = ET_DYN;
  std::string loader = "/lib64/ld-linux-x86-64.so.2";
  std::vector<std::string> needed = {};
  std::string rpath = {};
  std::string runpath = {};
  std::uint64_t entry = 0x10040;
};

class ElfMaker {
 public:
  explicit ElfMaker(const MadeElf& made) : made_(made), word_(made.machine.is_64_bit ? 8 : 4) {}

  Bytes make() {
    const bool has_dynamic = !made_.needed.empty() || !made_.rpath.empty() || !made_.runpath.empty();
    const std::size_t header_bytes = word_ == 8 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
    const std::size_t segment_bytes = word_ == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    const std::size_t count = 1 + (made_.loader.empty() ? 0 : 1) + (has_dynamic ? 1 : 0);
    const std::size_t texts = header_bytes + count * segment_bytes;
    std::string text(1, '\0');
    const std::size_t loader = add(text, made_.loader);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> dynamic;
    for (const auto& name : made_.needed) dynamic.emplace_back(DT_NEEDED, add(text, name));
    if (!made_.rpath.empty()) dynamic.emplace_back(DT_RPATH, add(text, made_.rpath));
    if (!made_.runpath.empty()) dynamic.emplace_back(DT_RUNPATH, add(text, made_.runpath));
    dynamic.emplace_back(DT_STRTAB, kAddress + texts);
    dynamic.emplace_back(DT_NULL, 0);
    const std::size_t dynamic_at = texts + text.size();
    const std::size_t all = dynamic_at + (has_dynamic ? dynamic.size() * 2 * word_ : 0);
    header(count, segment_bytes, header_bytes);
    segment(PT_LOAD, 0, all);
    if (!made_.loader.empty()) segment(PT_INTERP, texts + loader, made_.loader.size() + 1);
    if (has_dynamic) segment(PT_DYNAMIC, dynamic_at, dynamic.size() * 2 * word_);
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    if (has_dynamic) {
      for (const auto& [tag, value] : dynamic) {
        put(tag, word_);
        put(value, word_);
      }
    }
    return bytes_;
  }

 private:
  static constexpr std::uint64_t kAddress = 0x10000;

  static std::size_t add(std::string& text, const std::string& name) {
    const std::size_t at = text.size();
    text += name;
    text += '\0';
    return at;
  }
  void put(std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      bytes_.push_back(static_cast<std::uint8_t>(value >> 8 * (made_.machine.is_big_endian ? size - 1 - i : i)));
  }
  void header(std::size_t count, std::size_t segment_bytes, std::size_t header_bytes) {
    const std::uint8_t ident[EI_NIDENT] = {
        0x7f,
        'E',
        'L',
        'F',
        static_cast<std::uint8_t>(word_ == 8 ? ELFCLASS64 : ELFCLASS32),
        static_cast<std::uint8_t>(made_.machine.is_big_endian ? ELFDATA2MSB : ELFDATA2LSB),
        EV_CURRENT};
    bytes_.assign(std::begin(ident), std::end(ident));
    put(made_.type, 2);
    put(made_.machine.number, 2);
    put(EV_CURRENT, 4);
    put(made_.entry, word_);
    put(header_bytes, word_);  // program headers
    put(0, word_);
    put(0, 4);
    put(header_bytes, 2);
    put(segment_bytes, 2);
    put(count, 2);
    put(0, 2);
    put(0, 2);
    put(0, 2);
  }
  void segment(std::uint64_t type, std::uint64_t offset, std::uint64_t size) {
    put(type, 4);
    if (word_ == 8) put(PF_R, 4);
    put(offset, word_);
    put(kAddress + offset, word_);
    put(kAddress + offset, word_);
    put(size, word_);
    put(size, word_);
    if (word_ == 4) put(PF_R, 4);
    put(1, word_);
  }

  const MadeElf& made_;
  std::size_t word_;
  Bytes bytes_;
};

inline Bytes make_elf(const MadeElf& made) {
  return ElfMaker(made).make();
}

}  // namespace instar::publisher

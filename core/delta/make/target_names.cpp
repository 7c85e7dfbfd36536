#include "core/delta/make/target_names.hpp"

#include <algorithm>

#include "core/delta/little_endian.hpp"

namespace instar::delta {

std::uint32_t TargetNames::name(ByteView bytes, std::uint64_t offset) {
  if (offset >= bytes.size()) return 0;
  const std::uint64_t end = std::min<std::uint64_t>(offset + kTargetBytes, bytes.size());
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (std::uint64_t i = offset; i < end; ++i) hash = (hash ^ bytes[static_cast<std::size_t>(i)]) * 16777619U;
  return hash;
}

std::uint32_t TargetNames::of_offset(std::uint64_t offset) const {
  return name(blank_, offset);
}

std::uint32_t TargetNames::of_address(std::uint32_t address) const {
  const Segment* segment = image_.segment_at(address);
  if (segment == nullptr || address - segment->address >= segment->file_bytes) return 0;
  return of_offset(std::uint64_t{segment->offset} + (address - segment->address));
}

std::uint32_t TargetNames::of_symbol(std::uint64_t symbol, std::uint32_t symbol_bytes, ByteView file) const {
  for (const Section& section : image_.sections()) {
    if (section.kind == SectionKind::symbols && symbol >= section.offset &&
        symbol + symbol_bytes <= std::uint64_t{section.offset} + section.bytes) {
      return name(file, std::uint64_t{section.linked_offset} + load32(file.data() + symbol));
    }
  }
  return 0;
}

}  // namespace instar::delta

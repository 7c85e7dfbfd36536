// References in tables: words, relocations, symbols, frames.
#include <algorithm>

#include "core/delta/little_endian.hpp"
#include "core/delta/references.hpp"

namespace instar::delta {

namespace {

constexpr std::size_t kRecordBufferBytes = 4096;

// Bytes from `offset` to the next entry of a table that starts at `start`.
std::size_t bytes_to_entry(std::uint32_t offset, std::uint32_t start, std::uint32_t entry) {
  const std::uint32_t inside = (offset - start) % entry;
  return inside == 0 ? 0 : entry - inside;
}
}  // namespace

std::size_t References::step_words(Exchange& exchange, std::size_t at, const Section& section, std::size_t left) {
  const std::size_t before = bytes_to_entry(old_at(at), section.offset - section.offset % 8, 8);
  if (before != 0 || left < 8) {
    const std::size_t bytes = std::min(left, before != 0 ? before : left);
    plain(exchange, at, bytes);
    return bytes;
  }
  address64(exchange, at);
  return 8;
}

// Elf64_Sym: name 4, info 1, other 1, section 2, value 8, size 8.
std::size_t References::step_symbols(Exchange& exchange, std::size_t at, const Section& section, std::size_t left) {
  const std::size_t before = bytes_to_entry(old_at(at), section.offset, 24);
  if (before != 0 || left < 24) {
    const std::size_t bytes = std::min(left, before != 0 ? before : left);
    plain(exchange, at, bytes);
    return bytes;
  }
  offset32(exchange, at, section.linked_offset, 1);
  plain(exchange, at + 4, 4);
  address64(exchange, at + 8);
  plain(exchange, at + 16, 8);
  return 24;
}

// Elf64_Rela: offset 8, type 4, symbol 4, addend 8.
std::size_t References::step_relocations(Exchange& exchange, std::size_t at, const Section& section, std::size_t left) {
  const std::size_t before = bytes_to_entry(old_at(at), section.offset, 24);
  if (before != 0 || left < 24) {
    const std::size_t bytes = std::min(left, before != 0 ? before : left);
    plain(exchange, at, bytes);
    return bytes;
  }
  address64(exchange, at);
  plain(exchange, at + 8, 4);
  offset32(exchange, at + 12, section.linked_offset, 24);
  address64(exchange, at + 16);
  return 24;
}

// DWARF call frame information as in the LSB: length 4, distance to the CIE 4 (0 in a CIE itself), then in an FDE the
// start of its code as a distance 4, its size 4, and with C++ the length of the augmentation (4) and a distance to the
// table of landing pads.
std::size_t References::step_frames(Exchange& exchange, std::size_t at, const Section& section, std::size_t left) {
  const auto record = record_from(section, old_at(at));
  const std::size_t before = record ? *record - old_at(at) : left;
  if (before != 0 || left < 24) {
    const std::size_t bytes = std::min({left, before != 0 ? before : left, kLookahead});
    plain(exchange, at, bytes);
    return bytes;
  }
  const std::uint32_t length = load32(exchange.old + at);
  const bool is_frame = length >= 20 && length != 0xffffffff && load32(exchange.old + at + 4) != 0;
  if (!is_frame) {
    plain(exchange, at, 4);
    return 4;
  }
  plain(exchange, at, 4);
  frame_owner32(exchange, at + 4);
  if (!relative32(exchange, at + 8, 0, true)) plain(exchange, at + 8, 4);
  plain(exchange, at + 12, 5);
  const bool has_pads = exchange.old[at + 16] == 4;
  if (!has_pads || !relative32(exchange, at + 17, 0, false)) plain(exchange, at + 17, 4);
  return 21;
}

// The distance back from a frame to what it has in common with others (its CIE).
void References::frame_owner32(Exchange& exchange, std::size_t at) {
  const std::uint32_t distance = load32(exchange.old + at);
  const auto owner = distance <= old_at(at) ? map_.find(old_at(at) - distance) : std::nullopt;
  if (!owner) return plain(exchange, at, 4);
  static_cast<void>(exchange32(exchange, at, now_at(at) - static_cast<std::uint32_t>(*owner)));
}

// The first offset at or after `offset` at which a record of .eh_frame begins.
std::optional<std::uint32_t> References::record_from(const Section& section, std::uint32_t offset) {
  if (record_ < section.offset || record_ > section.offset + section.bytes || record_ > offset)
    record_ = section.offset;
  while (record_ < offset) {
    if (record_steps_left_ == 0 || section.offset + section.bytes - record_ < 4) return std::nullopt;
    --record_steps_left_;
    if (record_ < record_buffer_at_ || record_ + 4 > record_buffer_at_ + record_buffer_.size()) {
      record_buffer_.resize(std::min<std::size_t>(kRecordBufferBytes, section.offset + section.bytes - record_));
      record_buffer_at_ = record_;
      const auto got = read_(record_, record_buffer_);
      if (!got || *got != record_buffer_.size()) {
        record_buffer_.clear();
        return std::nullopt;
      }
    }
    const std::uint32_t length = load32(record_buffer_.data() + (record_ - record_buffer_at_));
    if (length > section.offset + section.bytes - record_ - 4) return std::nullopt;
    record_ += 4 + length;
  }
  return record_;
}

// .eh_frame_hdr: 4 bytes of encodings, the distance to .eh_frame 4, a count 4, then pairs: function and its frame, from
// the section's start.
std::size_t References::step_frame_table(Exchange& exchange, std::size_t at, const Section& section, std::size_t left) {
  const std::uint32_t inside = old_at(at) - section.offset;
  if (inside == 4 && left >= 4) {
    if (!relative32(exchange, at, 0, false)) plain(exchange, at, 4);
    return 4;
  }
  if (inside < 12 || inside % 4 != 0 || left < 4) {
    const std::size_t bytes = std::min<std::size_t>(left, inside < 4    ? 4 - inside
                                                          : inside < 12 ? 12 - inside
                                                                        : 4 - inside % 4);
    plain(exchange, at, bytes);
    return bytes;
  }
  const auto now_start = map_.find(section.offset);
  const auto from_now = now_start && *now_start >= 0 && *now_start <= 0xffffffff
                            ? now_->address_of(static_cast<std::uint32_t>(*now_start))
                            : std::nullopt;
  if (!from_now || !distance32(exchange, at, section.address, *from_now)) plain(exchange, at, 4);
  return 4;
}

}  // namespace instar::delta

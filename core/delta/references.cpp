#include "core/delta/references.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/delta/little_endian.hpp"

namespace instar::delta {
namespace {

// A table of 4 to 16 thousand targets is enough for the largest files of a gateway; 64 thousand are worse, since old ones stay in it.
constexpr std::size_t kTargets = 8192;
// Records of .eh_frame that one file's stretches may pass over in all.
constexpr std::uint32_t kRecordStepsMax = 4'000'000;
constexpr std::size_t kRecordBufferBytes = 4096;

std::size_t slot_of(std::uint32_t address) noexcept {
  return (address * 2654435761U) >> 19;  // Knuth's multiplicative hash, 13 bits
}

}  // namespace

References::References(const ElfImage& old, ReadAt read, const CopyMap& map)
    : old_(old), read_(std::move(read)), map_(map), targets_(kTargets), record_steps_left_(kRecordStepsMax) {}

void References::set_layout(const std::optional<ElfImage>& now) {
  now_ = now;
  if (now_ && now_->machine() != old_.machine()) now_.reset();
}

void References::begin(std::uint32_t old_offset, std::uint32_t now_offset, std::uint32_t bytes) {
  old_offset_ = old_offset;
  now_offset_ = now_offset;
  bytes_ = bytes;
  done_ = 0;
  before_.reset();
  pages_ = {};
}

std::size_t References::decode(ByteView old, const std::uint8_t* difference, std::uint8_t* now) {
  return run({old.data(), difference, now, old.size(), false});
}

std::size_t References::encode(ByteView old, const std::uint8_t* now, std::uint8_t* difference) {
  return run({old.data(), now, difference, old.size(), true});
}

// The section that holds `offset`, or else the next one.
const Section* References::section_from(std::uint32_t offset) const noexcept {
  const auto& sections = old_.sections();
  const auto at = std::upper_bound(sections.begin(), sections.end(), offset,
                                   [](std::uint32_t value, const Section& section) { return value < section.offset + section.bytes; });
  return at == sections.end() ? nullptr : &*at;
}

std::size_t References::run(Exchange exchange) {
  INSTAR_ASSERT(exchange.bytes <= bytes_ - done_);
  const bool whole = exchange.bytes == bytes_ - done_;
  std::size_t at = 0;
  while (at < exchange.bytes) {
    const std::uint32_t old_offset = old_at(at);
    std::size_t left = bytes_ - done_ - at;  // of the region: the part of the stretch that lies in one section, or in none
    const Section* section = nullptr;
    if (now_at(at) < ElfImage::kLayoutBytes) {
      left = std::min<std::size_t>(left, ElfImage::kLayoutBytes - now_at(at));
    } else if (now_) {
      section = section_from(old_offset);
      if (section != nullptr && section->offset > old_offset) {
        left = std::min<std::size_t>(left, section->offset - old_offset);
        section = nullptr;
      } else if (section != nullptr) {
        left = std::min<std::size_t>(left, section->offset + section->bytes - old_offset);
      }
    }
    if (section == nullptr) {
      const std::size_t bytes = std::min(left, exchange.bytes - at);
      plain(exchange, at, bytes);
      at += bytes;
      before_.reset();
      continue;
    }
    const std::size_t end = at + left;
    while (at < end) {
      if (!whole && exchange.bytes - at < std::min(kLookahead, end - at)) {
        done_ += static_cast<std::uint32_t>(at);
        return at;
      }
      at += step(exchange, at, *section, end - at);
    }
    before_.reset();
    pages_ = {};
  }
  done_ += static_cast<std::uint32_t>(at);
  return at;
}

// One instruction, entry or byte; at most kLookahead bytes, and never more than `left`.
std::size_t References::step(Exchange& exchange, std::size_t at, const Section& section, std::size_t left) {
  switch (section.kind) {
    case SectionKind::code: return old_.machine() == Machine::x86_64 ? step_x86(exchange, at, left) : step_arm(exchange, at, left);
    case SectionKind::words: return step_words(exchange, at, section, left);
    case SectionKind::frames: return step_frames(exchange, at, section, left);
    case SectionKind::frame_table: return step_frame_table(exchange, at, section, left);
    case SectionKind::relocations: return step_relocations(exchange, at, section, left);
    case SectionKind::symbols: return step_symbols(exchange, at, section, left);
  }
  plain(exchange, at, 1);
  return 1;
}

void References::plain(Exchange& exchange, std::size_t at, std::size_t bytes) noexcept {
  for (std::size_t i = at; i < at + bytes; ++i) {
    exchange.out[i] = static_cast<std::uint8_t>(exchange.encoding ? exchange.in[i] - exchange.old[i] : exchange.in[i] + exchange.old[i]);
  }
}

// Returns the new value.
std::uint32_t References::exchange32(Exchange& exchange, std::size_t at, std::uint32_t predicted) noexcept {
  const std::uint32_t in = load32(exchange.in + at);
  if (exchange.encoding) {
    store32(exchange.out + at, in - predicted);
    return in;
  }
  store32(exchange.out + at, in + predicted);
  return in + predicted;
}

std::optional<std::uint32_t> References::predict(std::uint32_t old_address) noexcept {
  const Target& known = targets_[slot_of(old_address)];
  if (known.old == old_address + 1) return known.now;
  const Segment* segment = old_.segment_at(old_address);
  if (segment == nullptr) return std::nullopt;
  const std::uint32_t inside = old_address - segment->address;
  if (inside < segment->file_bytes) {
    const auto now_offset = map_.find(segment->offset + inside);
    if (!now_offset || *now_offset < 0 || *now_offset > 0xffffffff) return std::nullopt;
    return now_->address_of(static_cast<std::uint32_t>(*now_offset));
  }
  // Memory without file content (.bss) follows the end of its segment's content.
  for (const Segment& now : now_->segments()) {
    if (now.is_code == segment->is_code && now.memory_bytes > now.file_bytes) {
      return now.address + now.file_bytes + (inside - segment->file_bytes);
    }
  }
  return std::nullopt;
}

void References::learn(std::uint32_t old_address, std::uint32_t now_address) noexcept {
  targets_[slot_of(old_address)] = {old_address + 1, now_address};
}

// `extra`: what the distance counts from, beyond the field's own address.
bool References::relative32(Exchange& exchange, std::size_t at, std::int64_t extra, bool code_only) {
  const auto from_old = old_.address_of(old_at(at));
  const auto from_now = now_->address_of(now_at(at));
  if (!from_old || !from_now) return false;
  const std::uint32_t old_target = *from_old + static_cast<std::uint32_t>(extra) + load32(exchange.old + at);
  const Segment* segment = old_.segment_at(old_target);
  if (segment == nullptr || (code_only && !segment->is_code)) return false;
  return distance32(exchange, at, *from_old + static_cast<std::uint32_t>(extra), *from_now + static_cast<std::uint32_t>(extra));
}

bool References::distance32(Exchange& exchange, std::size_t at, std::uint32_t from_old, std::uint32_t from_now) {
  const std::uint32_t old_target = from_old + load32(exchange.old + at);
  const auto target = predict(old_target);
  if (!target) return false;
  const std::uint32_t value = exchange32(exchange, at, *target - from_now);
  learn(old_target, from_now + value);
  return true;
}

// An 8-byte absolute address, if that is what it looks like.
void References::address64(Exchange& exchange, std::size_t at) {
  const std::uint64_t value = load64(exchange.old + at);
  const std::uint64_t relative = value - old_.origin();
  std::optional<std::uint32_t> target;
  if (value != 0 && value >= old_.origin() && relative <= 0xffffffff && old_.segment_at(static_cast<std::uint32_t>(relative)) != nullptr) {
    target = predict(static_cast<std::uint32_t>(relative));
  }
  if (!target) return plain(exchange, at, 8);
  const std::uint64_t predicted = now_->origin() + *target;
  const std::uint64_t in = load64(exchange.in + at);
  const std::uint64_t now = exchange.encoding ? in : in + predicted;
  store64(exchange.out + at, exchange.encoding ? in - predicted : now);
  learn(static_cast<std::uint32_t>(relative), static_cast<std::uint32_t>(now - now_->origin()));
}

void References::offset32(Exchange& exchange, std::size_t at, std::uint32_t table, std::uint32_t unit) {
  const std::uint32_t value = load32(exchange.old + at);
  if (value != 0 && table != 0 && value <= (0xffffffff - table) / unit) {
    const auto now_table = map_.find(table);
    const auto now_entry = map_.find(table + value * unit);
    if (now_table && now_entry && *now_entry >= *now_table) {
      static_cast<void>(exchange32(exchange, at, static_cast<std::uint32_t>((*now_entry - *now_table) / unit)));
      return;
    }
  }
  plain(exchange, at, 4);
}

// --- code of x86-64 ------------------------------------------------------------------------------------

namespace {

// May the byte before a ModRM byte be an opcode that has one? (Intel SDM volume 2, appendix A, one-byte map; two-byte opcodes are any byte,
// of which the usual ones are taken.)
constexpr std::array<bool, 256> make_modrm_opcodes() {
  std::array<bool, 256> has{};
  for (unsigned op = 0; op < 0x40; ++op) has[op] = (op & 7) < 4;
  for (const unsigned op : {0x63U, 0x69U, 0x6bU, 0xc0U, 0xc1U, 0xc6U, 0xc7U, 0xf6U, 0xf7U, 0xfeU, 0xffU}) has[op] = true;
  for (unsigned op = 0x80; op < 0x90; ++op) has[op] = true;
  for (unsigned op = 0xd0; op < 0xe0; ++op) has[op] = true;
  // Two-byte opcodes: moves and arithmetic of SSE, cmov, setcc, movzx, movsx …
  for (unsigned op = 0x10; op < 0x18; ++op) has[op] = true;
  for (unsigned op = 0x40; op < 0x80; ++op) has[op] = true;
  for (unsigned op = 0x90; op < 0xa0; ++op) has[op] = true;
  for (const unsigned op : {0x28U, 0x29U, 0x2aU, 0x2eU, 0x2fU, 0xafU, 0xb0U, 0xb1U, 0xb6U, 0xb7U, 0xbeU, 0xbfU}) has[op] = true;
  return has;
}
constexpr std::array<bool, 256> kModrmOpcodes = make_modrm_opcodes();

}  // namespace

std::size_t References::step_x86(Exchange& exchange, std::size_t at, std::size_t left) {
  const std::uint8_t* old = exchange.old + at;
  std::size_t prefix = 0;  // bytes before the operand
  bool code_only = true;
  if (left >= 5 && (old[0] == 0xe8 || old[0] == 0xe9)) {
    prefix = 1;
  } else if (left >= 6 && old[0] == 0x0f && (old[1] & 0xf0) == 0x80) {
    prefix = 2;
  } else if (left >= 5 && (old[0] & 0xc7) == 0x05 && before_ && kModrmOpcodes[*before_]) {
    prefix = 1;
    code_only = false;
  }
  if (prefix != 0) {
    if (relative32(exchange, at + prefix, 4, code_only)) {
      plain(exchange, at, prefix);
      before_.reset();
      return prefix + 4;
    }
  }
  plain(exchange, at, 1);
  before_ = old[0];
  return 1;
}

// --- code of AArch64 -----------------------------------------------------------------------------------
// Arm Architecture Reference Manual, C4.1: encodings of branches, ADR, ADRP, ADD (immediate), LDR and STR (immediate and literal).

namespace {
constexpr std::size_t kPageWindow = 24 * 4;  // bytes behind an ADRP in which its register is looked for

// The log2 of the unit of the 12-bit offset when `word` is ADD (immediate), LDR or STR (unsigned immediate).
std::optional<unsigned> low_bits_scale(std::uint32_t word) {
  if ((word & 0xffc00000) == 0x91000000) return 0;
  if ((word & 0x3b000000) != 0x39000000) return std::nullopt;
  const bool vector128 = (word & 0x04000000) != 0 && (word >> 30) == 0 && (word & 0x00800000) != 0;
  return vector128 ? 4 : word >> 30;
}
unsigned base_register(std::uint32_t word) {
  return (word >> 5) & 31;
}
// Immediate of ADR and ADRP.
std::uint32_t adr_immediate(std::uint32_t word) {
  return ((word >> 5) & 0x7ffff) << 2 | ((word >> 29) & 3);
}
std::uint32_t sign_extend(std::uint32_t value, unsigned bits) {
  const std::uint32_t sign = 1U << (bits - 1);
  return (value ^ sign) - sign;
}
}  // namespace

std::size_t References::step_arm(Exchange& exchange, std::size_t at, std::size_t left) {
  const std::size_t misaligned = old_at(at) % 4;
  if (misaligned != 0 || left < 4) {
    const std::size_t bytes = std::min(left, 4 - misaligned);
    plain(exchange, at, bytes);
    return bytes;
  }
  const std::uint32_t word = load32(exchange.old + at);
  if ((word & 0x7c000000) == 0x14000000) return step_branch(exchange, at, word, 0, 26);  // B, BL
  if ((word & 0x9f000000) == 0x90000000) return step_adrp(exchange, at, left, word);
  if ((word & 0xff000010) == 0x54000000) return step_branch(exchange, at, word, 5, 19);  // B.cond
  if ((word & 0x7e000000) == 0x34000000) return step_branch(exchange, at, word, 5, 19);  // CBZ, CBNZ
  if ((word & 0x7e000000) == 0x36000000) return step_branch(exchange, at, word, 5, 14);  // TBZ, TBNZ
  if ((word & 0x3b000000) == 0x18000000) return step_branch(exchange, at, word, 5, 19);  // LDR (literal)
  if (const auto scale = low_bits_scale(word)) return step_low_bits(exchange, at, word, *scale);
  plain(exchange, at, 4);
  return 4;
}

std::size_t References::step_branch(Exchange& exchange, std::size_t at, std::uint32_t word, unsigned low_bit, unsigned bits) {
  const auto from_old = old_.address_of(old_at(at));
  const auto from_now = now_->address_of(now_at(at));
  const std::uint32_t mask = ((1U << bits) - 1) << low_bit;
  if (from_old && from_now) {
    const std::uint32_t old_target = *from_old + (sign_extend((word & mask) >> low_bit, bits) << 2);
    if (const auto target = predict(old_target)) {
      const std::uint32_t predicted = (word & ~mask) | ((((*target - *from_now) >> 2) << low_bit) & mask);
      const std::uint32_t now = exchange32(exchange, at, predicted);
      if ((now & ~mask) == (word & ~mask)) learn(old_target, *from_now + (sign_extend((now & mask) >> low_bit, bits) << 2));
      return 4;
    }
  }
  plain(exchange, at, 4);
  return 4;
}

std::size_t References::step_adrp(Exchange& exchange, std::size_t at, std::size_t left, std::uint32_t word) {
  const auto from_old = old_.address_of(old_at(at));
  const auto from_now = now_->address_of(now_at(at));
  Page& page = pages_[word & 31];
  page.set_at = 0;
  if (from_old && from_now) {
    const std::uint32_t old_page = ((*from_old >> 12) + sign_extend(adr_immediate(word), 21)) << 12;
    // The instruction that adds the low bits tells the whole target.
    std::uint32_t old_target = old_page;
    const std::size_t window = std::min(left, kPageWindow + 4);
    for (std::size_t i = 4; i + 4 <= window; i += 4) {
      const std::uint32_t other = load32(exchange.old + at + i);
      const auto scale = low_bits_scale(other);
      if (scale && base_register(other) == (word & 31)) {
        old_target += ((other >> 10) & 0xfff) << *scale;
        break;
      }
    }
    if (const auto target = predict(old_target)) {
      const std::uint32_t pages = (*target >> 12) - (*from_now >> 12);
      const std::uint32_t predicted = (word & 0x9f00001f) | (pages & 3) << 29 | ((pages >> 2) & 0x7ffff) << 5;
      const std::uint32_t now = exchange32(exchange, at, predicted);
      if ((now & 0x9f00001f) == (word & 0x9f00001f)) {
        page = {old_at(at) + 1, old_page, ((*from_now >> 12) + sign_extend(adr_immediate(now), 21)) << 12};
      }
      return 4;
    }
  }
  plain(exchange, at, 4);
  return 4;
}

std::size_t References::step_low_bits(Exchange& exchange, std::size_t at, std::uint32_t word, unsigned scale) {
  const Page& page = pages_[base_register(word)];
  if (page.set_at != 0 && old_at(at) - (page.set_at - 1) <= kPageWindow) {
    const std::uint32_t old_target = page.old + (((word >> 10) & 0xfff) << scale);
    if (const auto target = predict(old_target)) {
      const std::uint32_t predicted = (word & ~(0xfffU << 10)) | (((*target & 0xfff) >> scale) & 0xfff) << 10;
      const std::uint32_t now = exchange32(exchange, at, predicted);
      if ((now & ~(0xfffU << 10)) == (word & ~(0xfffU << 10))) learn(old_target, page.now + (((now >> 10) & 0xfff) << scale));
      return 4;
    }
  }
  plain(exchange, at, 4);
  return 4;
}

// --- tables --------------------------------------------------------------------------------------------

namespace {
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

// DWARF call frame information as in the LSB: length 4, distance to the CIE 4 (0 in a CIE itself), then in an FDE the start of its code as
// a distance 4, its size 4, and with C++ the length of the augmentation (4) and a distance to the table of landing pads.
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
  if (record_ < section.offset || record_ > section.offset + section.bytes || record_ > offset) record_ = section.offset;
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

// .eh_frame_hdr: 4 bytes of encodings, the distance to .eh_frame 4, a count 4, then pairs: function and its frame, from the section's
// start.
std::size_t References::step_frame_table(Exchange& exchange, std::size_t at, const Section& section, std::size_t left) {
  const std::uint32_t inside = old_at(at) - section.offset;
  if (inside == 4 && left >= 4) {
    if (!relative32(exchange, at, 0, false)) plain(exchange, at, 4);
    return 4;
  }
  if (inside < 12 || inside % 4 != 0 || left < 4) {
    const std::size_t bytes = std::min<std::size_t>(left, inside < 4 ? 4 - inside : inside < 12 ? 12 - inside : 4 - inside % 4);
    plain(exchange, at, bytes);
    return bytes;
  }
  const auto now_start = map_.find(section.offset);
  const auto from_now =
      now_start && *now_start >= 0 && *now_start <= 0xffffffff ? now_->address_of(static_cast<std::uint32_t>(*now_start)) : std::nullopt;
  if (!from_now || !distance32(exchange, at, section.address, *from_now)) plain(exchange, at, 4);
  return 4;
}

}  // namespace instar::delta

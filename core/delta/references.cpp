#include "core/delta/references.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/delta/little_endian.hpp"

namespace instar::delta {
namespace {

// A table of 4 to 16 thousand targets is enough for the largest files of a gateway; 64 thousand are worse, since old
// ones stay in it.
constexpr std::size_t kTargets = 8192;

std::size_t slot_of(std::uint32_t address) noexcept {
  return (address * 2654435761U) >> 19;  // Knuth's multiplicative hash, 13 bits
}

}  // namespace

References::References(const ElfImage& old, ReadAt read, const CopyMap& map, ArmModes modes)
    : old_(old),
      read_(std::move(read)),
      map_(map),
      targets_(kTargets),
      modes_(std::move(modes)),
      record_steps_left_(limits::kDeltaRecordStepsMax) {
  if (old_.machine() == Machine::arm) arm_code_.emplace(old_);
}

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
  const auto at = std::upper_bound(
      sections.begin(), sections.end(), offset,
      [](std::uint32_t value, const Section& section) { return value < section.offset + section.bytes; });
  return at == sections.end() ? nullptr : &*at;
}

std::size_t References::run(Exchange exchange) {
  INSTAR_ASSERT(exchange.bytes <= bytes_ - done_);
  const bool whole = exchange.bytes == bytes_ - done_;
  std::size_t at = 0;
  while (at < exchange.bytes) {
    const std::uint32_t old_offset = old_at(at);
    std::size_t left =
        bytes_ - done_ - at;  // of the region: the part of the stretch that lies in one section, or in none
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
  if (arm_code_) return step32(exchange, at, section, left);
  switch (section.kind) {
    case SectionKind::code:
      return old_.machine() == Machine::x86_64 ? step_x86(exchange, at, left) : step_arm(exchange, at, left);
    case SectionKind::words: return step_words(exchange, at, section, left);
    case SectionKind::frames: return step_frames(exchange, at, section, left);
    case SectionKind::frame_table: return step_frame_table(exchange, at, section, left);
    case SectionKind::relocations: return step_relocations(exchange, at, section, left);
    case SectionKind::symbols: return step_symbols(exchange, at, section, left);
    case SectionKind::unwind_index:
    case SectionKind::unwind_table: break;
  }
  plain(exchange, at, 1);
  return 1;
}

void References::plain(Exchange& exchange, std::size_t at, std::size_t bytes) noexcept {
  for (std::size_t i = at; i < at + bytes; ++i) {
    exchange.out[i] = static_cast<std::uint8_t>(exchange.encoding ? exchange.in[i] - exchange.old[i]
                                                                  : exchange.in[i] + exchange.old[i]);
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
  return distance32(exchange, at, *from_old + static_cast<std::uint32_t>(extra),
                    *from_now + static_cast<std::uint32_t>(extra));
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
  if (value != 0 && value >= old_.origin() && relative <= 0xffffffff &&
      old_.segment_at(static_cast<std::uint32_t>(relative)) != nullptr) {
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
  const auto now = offset_now(load32(exchange.old + at), table, unit);
  if (!now) return plain(exchange, at, 4);
  static_cast<void>(exchange32(exchange, at, *now));
}

std::optional<std::uint32_t> References::offset_now(std::uint32_t offset, std::uint32_t table,
                                                    std::uint32_t unit) const {
  if (offset == 0 || table == 0 || offset > (0xffffffff - table) / unit) return std::nullopt;
  const auto now_table = map_.find(table);
  const auto now_entry = map_.find(table + offset * unit);
  if (!now_table || !now_entry || *now_entry < *now_table) return std::nullopt;
  return static_cast<std::uint32_t>((*now_entry - *now_table) / unit);
}

// --- code ----------------------------------------------------------------------------------------------

std::size_t References::step_x86(Exchange& exchange, std::size_t at, std::size_t left) {
  const auto reference = find_x86_reference(exchange.old + at, left, before_);
  if (reference && relative32(exchange, at + reference->operand_at, 4, reference->into_code)) {
    plain(exchange, at, reference->operand_at);
    before_.reset();
    return reference->operand_at + 4;
  }
  plain(exchange, at, 1);
  before_ = exchange.old[at];
  return 1;
}

namespace {
constexpr std::size_t kPageWindow = 24 * 4;  // bytes behind an ADRP in which its register is looked for
}  // namespace

std::size_t References::step_arm(Exchange& exchange, std::size_t at, std::size_t left) {
  const std::size_t misaligned = old_at(at) % 4;
  if (misaligned != 0 || left < 4) {
    const std::size_t bytes = std::min(left, 4 - misaligned);
    plain(exchange, at, bytes);
    return bytes;
  }
  const std::uint32_t word = load32(exchange.old + at);
  if (const auto branch = find_arm_branch(word)) return step_branch(exchange, at, word, *branch);
  if (is_arm_page(word)) return step_page(exchange, at, left, word);
  if (const auto scale = find_arm_low_bits(word)) return step_low_bits(exchange, at, word, *scale);
  plain(exchange, at, 4);
  return 4;
}

std::size_t References::step_branch(Exchange& exchange, std::size_t at, std::uint32_t word, ArmBranch branch) {
  const auto from_old = old_.address_of(old_at(at));
  const auto from_now = now_->address_of(now_at(at));
  if (from_old && from_now) {
    const std::uint32_t old_target = *from_old + branch.distance(word);
    if (const auto target = predict(old_target)) {
      const std::uint32_t mask = branch.mask();
      const std::uint32_t predicted = (word & ~mask) | ((((*target - *from_now) >> 2) << branch.low_bit) & mask);
      const std::uint32_t now = exchange32(exchange, at, predicted);
      if ((now & ~mask) == (word & ~mask)) learn(old_target, *from_now + branch.distance(now));
      return 4;
    }
  }
  plain(exchange, at, 4);
  return 4;
}

std::size_t References::step_page(Exchange& exchange, std::size_t at, std::size_t left, std::uint32_t word) {
  const auto from_old = old_.address_of(old_at(at));
  const auto from_now = now_->address_of(now_at(at));
  Page& page = pages_[word & 31];
  page.set_at = 0;
  if (from_old && from_now) {
    const std::uint32_t old_page = ((*from_old >> 12) + arm_page_distance(word)) << 12;
    // With the instruction that adds the low bits the whole target is known.
    std::uint32_t old_target = old_page;
    const std::size_t window = std::min(left, kPageWindow + 4);
    for (std::size_t i = 4; i + 4 <= window; i += 4) {
      const std::uint32_t other = load32(exchange.old + at + i);
      const auto scale = find_arm_low_bits(other);
      if (scale && arm_base_register(other) == (word & 31)) {
        old_target += ((other >> 10) & 0xfff) << *scale;
        break;
      }
    }
    if (const auto target = predict(old_target)) {
      const std::uint32_t predicted = with_arm_page_distance(word, (*target >> 12) - (*from_now >> 12));
      const std::uint32_t now = exchange32(exchange, at, predicted);
      if ((now & ~kArmPageMask) == (word & ~kArmPageMask)) {
        page = {old_at(at) + 1, old_page, ((*from_now >> 12) + arm_page_distance(now)) << 12};
      }
      return 4;
    }
  }
  plain(exchange, at, 4);
  return 4;
}

std::size_t References::step_low_bits(Exchange& exchange, std::size_t at, std::uint32_t word, unsigned scale) {
  const Page& page = pages_[arm_base_register(word)];
  if (page.set_at != 0 && old_at(at) - (page.set_at - 1) <= kPageWindow) {
    const std::uint32_t old_target = page.old + (((word >> 10) & 0xfff) << scale);
    if (const auto target = predict(old_target)) {
      const std::uint32_t predicted = (word & ~kArmLowBitsMask) | (((*target & 0xfff) >> scale) & 0xfff) << 10;
      const std::uint32_t now = exchange32(exchange, at, predicted);
      if ((now & ~kArmLowBitsMask) == (word & ~kArmLowBitsMask))
        learn(old_target, page.now + (((now >> 10) & 0xfff) << scale));
      return 4;
    }
  }
  plain(exchange, at, 4);
  return 4;
}

}  // namespace instar::delta

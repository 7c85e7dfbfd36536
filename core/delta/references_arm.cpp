// References in programs for 32-bit Arm: A32 and Thumb code, and tables of ELF-32.
#include <algorithm>

#include "core/delta/little_endian.hpp"
#include "core/delta/references.hpp"

namespace instar::delta {
namespace {

constexpr std::uint32_t kWordBytes = 4;
constexpr std::uint32_t kSymbolBytes = 16;     // Elf32_Sym: name 4, value 4, size 4, info 1, other 1, section 2
constexpr std::uint32_t kRelocationBytes = 8;  // Elf32_Rel: offset 4, type 1, symbol 3
constexpr std::uint32_t kUnwindPairBytes = 8;  // of .ARM.exidx: the function, and how it is unwound
constexpr std::uint32_t kIsNoDistance = 1U << 31;
constexpr std::uint32_t kDistanceMask = kIsNoDistance - 1;

std::uint32_t swap_halves(std::uint32_t word) noexcept {
  return word << 16 | word >> 16;
}

std::size_t entry_bytes(SectionKind kind) noexcept {
  switch (kind) {
    case SectionKind::symbols: return kSymbolBytes;
    case SectionKind::relocations: return kRelocationBytes;
    case SectionKind::unwind_index: return kUnwindPairBytes;
    default: return kWordBytes;
  }
}

}  // namespace

std::size_t References::step32(Exchange& exchange, std::size_t at, const Section& section, std::size_t left) {
  if (section.kind == SectionKind::code) return step_arm32(exchange, at, left);
  const std::size_t bytes = entry_bytes(section.kind);
  const std::size_t inside = (old_at(at) - section.offset) % bytes;
  if (inside != 0 || left < bytes) {
    const std::size_t some = std::min(left, bytes - inside);
    plain(exchange, at, some);
    return some;
  }
  switch (section.kind) {
    case SectionKind::words: address32(exchange, at); break;
    case SectionKind::symbols:
      offset32(exchange, at, section.linked_offset, 1);
      address32(exchange, at + 4);
      plain(exchange, at + 8, 8);
      break;
    case SectionKind::relocations: relocation32(exchange, at, section.linked_offset); break;
    case SectionKind::unwind_index: step_unwind_pair(exchange, at); break;
    case SectionKind::unwind_table:
      // The words of a table that are no distances are small, or have the highest bit.
      if ((load32(exchange.old + at) >> 24) != 0x7f || !distance31(exchange, at)) plain(exchange, at, kWordBytes);
      break;
    default: plain(exchange, at, bytes);
  }
  return bytes;
}

// --- tables --------------------------------------------------------------------------------------------

std::uint32_t References::mark_of(std::uint32_t old_address) const noexcept {
  const Segment* segment = old_.segment_at(old_address);
  return segment != nullptr && segment->is_code ? old_address & 1 : 0;
}

std::optional<std::uint32_t> References::predict_marked(std::uint32_t old_address) noexcept {
  const std::uint32_t mark = mark_of(old_address);
  const auto now = predict(old_address - mark);
  return now ? std::optional(*now + mark) : std::nullopt;
}

void References::learn_marked(std::uint32_t old_address, std::uint32_t now_address) noexcept {
  const std::uint32_t mark = mark_of(old_address);
  learn(old_address - mark, now_address - mark);
}

void References::address32(Exchange& exchange, std::size_t at) {
  const std::uint32_t value = load32(exchange.old + at);
  const std::uint64_t relative = std::uint64_t{value} - old_.origin();
  std::optional<std::uint32_t> target;
  if (value != 0 && value >= old_.origin() && old_.segment_at(static_cast<std::uint32_t>(relative)) != nullptr)
    target = predict_marked(static_cast<std::uint32_t>(relative));
  if (!target) return plain(exchange, at, kWordBytes);
  const auto origin = static_cast<std::uint32_t>(now_->origin());
  const std::uint32_t now = exchange32(exchange, at, origin + *target);
  learn_marked(static_cast<std::uint32_t>(relative), now - origin);
}

void References::relocation32(Exchange& exchange, std::size_t at, std::uint32_t symbols) {
  address32(exchange, at);
  const std::uint32_t info = load32(exchange.old + at + 4);
  const auto symbol = offset_now(info >> 8, symbols, kSymbolBytes);
  if (!symbol) return plain(exchange, at + 4, kWordBytes);
  static_cast<void>(exchange32(exchange, at + 4, *symbol << 8 | (info & 0xff)));
}

bool References::distance31(Exchange& exchange, std::size_t at) {
  const std::uint32_t value = load32(exchange.old + at);
  const auto from_old = old_.address_of(old_at(at));
  const auto from_now = now_->address_of(now_at(at));
  if ((value & kIsNoDistance) != 0 || !from_old || !from_now) return false;
  const std::uint32_t old_target = *from_old + ((value ^ (kIsNoDistance >> 1)) - (kIsNoDistance >> 1));
  const auto target = old_.segment_at(old_target) != nullptr ? predict_marked(old_target) : std::nullopt;
  if (!target) return false;
  const std::uint32_t now = exchange32(exchange, at, (*target - *from_now) & kDistanceMask);
  if ((now & kIsNoDistance) == 0)
    learn_marked(old_target, *from_now + ((now ^ (kIsNoDistance >> 1)) - (kIsNoDistance >> 1)));
  return true;
}

// The second word may be how the function is unwound, or say that it is not, in the place of a distance.
void References::step_unwind_pair(Exchange& exchange, std::size_t at) {
  if (!distance31(exchange, at)) plain(exchange, at, kWordBytes);
  const bool is_distance = load32(exchange.old + at + kWordBytes) != 1;
  if (!is_distance || !distance31(exchange, at + kWordBytes)) plain(exchange, at + kWordBytes, kWordBytes);
}

// --- code ----------------------------------------------------------------------------------------------

// Returns the new value.
std::uint16_t References::exchange16(Exchange& exchange, std::size_t at, std::uint32_t predicted) noexcept {
  const std::uint16_t in = load16(exchange.in + at);
  const auto by = static_cast<std::uint16_t>(predicted);
  store16(exchange.out + at, static_cast<std::uint16_t>(exchange.encoding ? in - by : in + by));
  return exchange.encoding ? in : static_cast<std::uint16_t>(in + by);
}

std::size_t References::step_arm32(Exchange& exchange, std::size_t at, std::size_t left) {
  const bool is_thumb = modes_.is_thumb(old_at(at));
  const std::size_t unit = is_thumb ? 2 : 4;
  const auto from_old = old_.address_of(old_at(at));
  const std::size_t misaligned = from_old ? *from_old % unit : 0;
  if (misaligned != 0 || left < kWordBytes || !from_old) {
    const std::size_t bytes = std::min(left, unit - misaligned);
    plain(exchange, at, bytes);
    return bytes;
  }
  const ArmReference reference = arm_code_->look(exchange.old + at, left, *from_old, is_thumb);
  if (reference.field == ArmField::none || !exchange_reference(exchange, at, reference))
    plain(exchange, at, reference.bytes);
  return reference.bytes;
}

// From where the distance counts in the new file. `here`: where the instruction is there.
std::optional<std::uint32_t> References::base_now(const ArmReference& reference, std::uint32_t here) {
  if (reference.from == ArmBase::here) return arm_counts_from(reference.field, here);
  if (reference.from == ArmBase::origin) return 0 - static_cast<std::uint32_t>(now_->origin());
  const auto place = predict(reference.base);
  return place ? std::optional(*place + reference.counter_bytes) : std::nullopt;
}

// False when nothing is predicted.
bool References::exchange_reference(Exchange& exchange, std::size_t at, const ArmReference& reference) {
  const auto here = now_->address_of(now_at(at));
  const auto base = here ? base_now(reference, *here) : std::nullopt;
  const auto target =
      base && old_.segment_at(reference.target) != nullptr ? predict_marked(reference.target) : std::nullopt;
  if (!target) return false;
  const ArmField field = reference.field;
  if (field == ArmField::linkage) {
    exchange_linkage(exchange, at, reference.target, *base, *target - *base);
    return true;
  }
  const std::uint32_t predicted = with_arm_distance(field, reference.word, *target - *base);
  std::uint32_t now = 0;
  if (is_short(field)) {
    now = exchange16(exchange, at, predicted);
  } else if (modes_.is_thumb(old_at(at)) && field != ArmField::word) {
    now = swap_halves(exchange32(exchange, at, swap_halves(predicted)));
  } else {
    now = exchange32(exchange, at, predicted);
  }
  const std::uint32_t fixed = ~arm_field_mask(field);
  if ((now & fixed) != (reference.word & fixed)) return true;
  if (is_half(field)) {
    learn_half(reference, now, *base);
  } else if (!is_near(field)) {
    learn_marked(reference.target, *base + arm_distance(field, now));
  }
  return true;
}

void References::learn_half(const ArmReference& reference, std::uint32_t now_word, std::uint32_t base) {
  std::uint32_t& low = low_halves_[arm_register(reference.field, reference.word)];
  const std::uint32_t half = arm_distance(reference.field, now_word);
  if (is_low_half(reference.field)) {
    low = half;
  } else {
    learn_marked(reference.target, base + (half << 16 | low));
  }
}

void References::exchange_linkage(Exchange& exchange, std::size_t at, std::uint32_t target, std::uint32_t base,
                                  std::uint32_t predicted) {
  const LinkageWords words = with_linkage_distance(exchange.old + at, predicted);
  std::array<std::uint8_t, kLinkageBytes> now{};
  for (std::size_t i = 0; i < words.words.size(); ++i)
    store32(now.data() + i * kWordBytes, exchange32(exchange, at + i * kWordBytes, words.words[i]));
  learn_marked(target, base + linkage_distance(now.data()));
}

}  // namespace instar::delta

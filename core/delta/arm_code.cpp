#include "core/delta/arm_code.hpp"

#include <algorithm>

#include "core/delta/little_endian.hpp"

namespace instar::delta {
namespace {

// Words that may be loaded by the code behind them: a load reaches 4 KiB far.
constexpr std::size_t kLoadedWords = 1024;
// Bytes after a load in which the program counter is added to what it loaded.
constexpr std::uint32_t kAdditionBytes = 256;
constexpr std::uint32_t kCounterBytesA32 = 8;
constexpr std::uint32_t kCounterBytesThumb = 4;

}  // namespace

ArmCode::ArmCode(const ElfImage& image) : image_(image), loaded_(kLoadedWords) {}

ArmCode::Instruction ArmCode::read(const std::uint8_t* at, std::size_t left, bool is_thumb) noexcept {
  if (!is_thumb) {
    const std::uint32_t word = load32(at);
    return {find_a32_field(word), 4, word};
  }
  const std::uint16_t half = load16(at);
  if (!is_wide_thumb(half)) return {find_thumb_field(half), 2, half};
  if (left < 4) return {ArmField::none, 2, half};
  const std::uint32_t word = std::uint32_t{half} << 16 | load16(at + 2);
  return {find_wide_field(word), 4, word};
}

// A32: ADD Rd, PC, Rd; ADD Rd, Rd, PC; a load or store at [PC, Rd]. Thumb: ADD Rd, PC.
std::optional<ArmCode::Addition> ArmCode::find_addition(const Instruction& instruction, bool is_thumb) noexcept {
  const std::uint32_t word = instruction.word;
  if (is_thumb) {
    if (instruction.bytes != 2 || (word & 0xff78) != 0x4478) return std::nullopt;
    return Addition{(word & 7) | ((word >> 4) & 8), kCounterBytesThumb};
  }
  if ((word & 0x0fff0ff0) == 0x008f0000 || (word & 0x0faf0ff0) == 0x078f0000)
    return Addition{word & 15, kCounterBytesA32};
  if ((word & 0x0ff00fff) == 0x0080000f) return Addition{(word >> 16) & 15, kCounterBytesA32};
  return std::nullopt;
}

void ArmCode::note_load(const Instruction& instruction, std::uint32_t address, std::uint32_t word_at) {
  if (word_at % 4 != 0) return;
  Loaded& slot = slot_of(word_at);
  if (slot.address != word_at + 1) slot = {word_at + 1, 0, 0};
  registers_[arm_register(instruction.field, instruction.word)] = {address + 1, word_at, {}};
}

void ArmCode::note_addition(const Addition& addition, std::uint32_t address) {
  Register& held = registers_[addition.index];
  if (held.set_at == 0 || held.pair.field != ArmField::none || address - (held.set_at - 1) > kAdditionBytes) return;
  Loaded& slot = slot_of(held.word_at);
  if (slot.address == held.word_at + 1) slot = {slot.address, address + 1, addition.counter_bytes};
  held.set_at = 0;
}

std::optional<ArmReference> ArmCode::as_address(std::uint32_t value) const {
  const std::uint64_t relative = std::uint64_t{value} - image_.origin();
  if (value == 0 || value < image_.origin() || image_.segment_at(static_cast<std::uint32_t>(relative)) == nullptr)
    return std::nullopt;
  ArmReference reference;
  reference.from = ArmBase::origin;
  reference.target = static_cast<std::uint32_t>(relative);
  return reference;
}

ArmReference ArmCode::look_at_word(const Loaded& loaded, std::uint32_t value) const {
  ArmReference reference;
  const Section& table = image_.offset_table();
  if (loaded.base != 0) {
    reference.from = ArmBase::place;
    reference.base = loaded.base - 1;
    reference.counter_bytes = loaded.counter_bytes;
    reference.target = reference.base + loaded.counter_bytes + value;
  } else if (image_.is_fixed()) {
    const auto address = as_address(value);
    if (!address) return reference;
    reference = *address;
  } else if (value < table.bytes && value % 4 == 0 && value != 0) {
    reference.from = ArmBase::place;
    reference.base = table.address;
    reference.target = table.address + value;
  } else {
    return reference;
  }
  reference.field = ArmField::word;
  reference.word = value;
  return reference;
}

// The value of a pair, found by the instruction that sets its low half: the next one that sets the high half, and one
// behind them that adds the program counter.
std::optional<ArmReference> ArmCode::find_pair(const Instruction& low, const std::uint8_t* at, std::size_t left,
                                               std::uint32_t address, bool is_thumb) const {
  const unsigned index = arm_register(low.field, low.word);
  const std::size_t window = std::min(left, kWindow);
  std::optional<std::uint32_t> value;
  for (std::size_t i = 4; i + 4 <= window;) {
    const Instruction other = read(at + i, window - i, is_thumb);
    const auto addition = find_addition(other, is_thumb);
    if (!value && is_half(other.field) && arm_register(other.field, other.word) == index) {
      if (is_low_half(other.field)) return std::nullopt;
      value = arm_distance(other.field, other.word) << 16 | arm_distance(low.field, low.word);
    } else if (value && addition && addition->index == index) {
      ArmReference reference;
      reference.from = ArmBase::place;
      reference.base = address + static_cast<std::uint32_t>(i);
      reference.counter_bytes = addition->counter_bytes;
      reference.target = reference.base + addition->counter_bytes + *value;
      return reference;
    }
    i += other.bytes;
  }
  return value && image_.is_fixed() ? as_address(*value) : std::nullopt;
}

ArmReference ArmCode::look_at_half(const Instruction& instruction, const std::uint8_t* at, std::size_t left,
                                   std::uint32_t address, bool is_thumb) {
  Register& held = registers_[arm_register(instruction.field, instruction.word)];
  if (is_low_half(instruction.field)) {
    held = {};
    const auto pair = find_pair(instruction, at, left, address, is_thumb);
    if (pair) {
      held = {address + 1, 0, *pair};
      held.pair.field = instruction.field;
    }
  }
  const bool is_held = held.set_at != 0 && held.pair.field != ArmField::none && address - (held.set_at - 1) < kWindow;
  ArmReference reference = is_held ? held.pair : ArmReference{};
  if (is_held) reference.field = instruction.field;
  reference.word = instruction.word;
  return reference;
}

ArmReference ArmCode::look_at_linkage(const std::uint8_t* at, std::size_t left, std::uint32_t address) const {
  ArmReference reference;
  if (left < kLinkageBytes || (load32(at + 4) & 0xffffff00) != 0xe28cca00 ||
      (load32(at + 8) & 0xfffff000) != 0xe5bcf000)
    return reference;
  reference.bytes = kLinkageBytes;
  reference.field = ArmField::linkage;
  reference.target = arm_counts_from(ArmField::linkage, address) + linkage_distance(at);
  return reference;
}

ArmReference ArmCode::look(const std::uint8_t* at, std::size_t left, std::uint32_t address, bool is_thumb) {
  if (address % 4 == 0) {
    if (const Loaded& loaded = slot_of(address); loaded.address == address + 1) return look_at_word(loaded, load32(at));
  }
  const Instruction instruction = read(at, left, is_thumb);
  if (is_half(instruction.field)) return look_at_half(instruction, at, left, address, is_thumb);
  if (instruction.field == ArmField::linkage) return look_at_linkage(at, left, address);
  if (const auto addition = find_addition(instruction, is_thumb)) note_addition(*addition, address);
  ArmReference reference;
  reference.bytes = instruction.bytes;
  if (instruction.field == ArmField::none) return reference;
  reference.field = instruction.field;
  reference.word = instruction.word;
  reference.target = arm_counts_from(instruction.field, address) + arm_distance(instruction.field, instruction.word);
  const bool is_load = instruction.field == ArmField::load || instruction.field == ArmField::wide_load ||
                       instruction.field == ArmField::short_load;
  if (is_load) note_load(instruction, address, reference.target);
  return reference;
}

std::uint32_t linkage_distance(const std::uint8_t* at) noexcept {
  return (load32(at) & 0xff) << 20 | (load32(at + 4) & 0xff) << 12 | (load32(at + 8) & 0xfff);
}

LinkageWords with_linkage_distance(const std::uint8_t* at, std::uint32_t distance) noexcept {
  return {{(load32(at) & ~0xffU) | ((distance >> 20) & 0xff), (load32(at + 4) & ~0xffU) | ((distance >> 12) & 0xff),
           (load32(at + 8) & ~0xfffU) | (distance & 0xfff)}};
}

}  // namespace instar::delta

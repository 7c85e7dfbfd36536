// Finds the references in code for 32-bit Arm: what an instruction, or a word among the code, leads to. Addresses are
// relative to the origin of the image.
//
// A word that code loads is often a distance, and from where it counts only the instruction says that adds the program
// counter to it. So the code is gone through in order, and words that were loaded are remembered. What is found depends
// on the old bytes and their order alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/delta/arm_fields.hpp"
#include "core/delta/elf_image.hpp"

namespace instar::delta {

// From what the distance of a reference counts.
enum class ArmBase : std::uint8_t {
  here,    // the instruction itself
  place,   // another instruction or the offset table, at `base`
  origin,  // nothing: it is an address
};

struct ArmReference {
  std::uint8_t bytes = 4;           // of the instruction or word, also where there is no reference
  ArmField field = ArmField::none;  // none: no reference
  ArmBase from = ArmBase::here;
  std::uint8_t counter_bytes = 0;  // by which the program counter is ahead of `base`
  std::uint32_t word = 0;          // a wide Thumb instruction has its first half on top
  std::uint32_t target = 0;
  std::uint32_t base = 0;
};

class ArmCode {
 public:
  // Memory: 12 KiB.
  explicit ArmCode(const ElfImage& image);

  // The bytes at `at`, of which `left` may be read, at least 4; `address` is a multiple of 4, or of 2 in Thumb code.
  // Looks at no more than kWindow bytes.
  [[nodiscard]] ArmReference look(const std::uint8_t* at, std::size_t left, std::uint32_t address, bool is_thumb);

  static constexpr std::size_t kWindow = 120;

 private:
  // A word that some instruction loads.
  struct Loaded {
    std::uint32_t address = 0;  // plus 1; 0 = free
    std::uint32_t base = 0;     // the instruction that adds the program counter, plus 1; 0 = none was seen
    std::uint8_t counter_bytes = 0;
  };
  // What the last load or pair left in a register.
  struct Register {
    std::uint32_t set_at = 0;  // the address of the instruction, plus 1; 0 = nothing
    std::uint32_t word_at = 0;
    ArmReference pair;
  };
  struct Instruction {
    ArmField field = ArmField::none;
    std::uint8_t bytes = 4;
    std::uint32_t word = 0;
  };
  // Of a register to which an instruction adds the program counter.
  struct Addition {
    unsigned index = 0;
    std::uint8_t counter_bytes = 0;
  };

  [[nodiscard]] static Instruction read(const std::uint8_t* at, std::size_t left, bool is_thumb) noexcept;
  [[nodiscard]] static std::optional<Addition> find_addition(const Instruction& instruction, bool is_thumb) noexcept;
  [[nodiscard]] Loaded& slot_of(std::uint32_t address) noexcept { return loaded_[address / 4 % loaded_.size()]; }
  void note_load(const Instruction& instruction, std::uint32_t address, std::uint32_t word_at);
  void note_addition(const Addition& addition, std::uint32_t address);
  [[nodiscard]] ArmReference look_at_word(const Loaded& loaded, std::uint32_t value) const;
  [[nodiscard]] ArmReference look_at_half(const Instruction& instruction, const std::uint8_t* at, std::size_t left,
                                          std::uint32_t address, bool is_thumb);
  [[nodiscard]] std::optional<ArmReference> find_pair(const Instruction& low, const std::uint8_t* at, std::size_t left,
                                                      std::uint32_t address, bool is_thumb) const;
  [[nodiscard]] ArmReference look_at_linkage(const std::uint8_t* at, std::size_t left, std::uint32_t address) const;
  // An address as the program has it, if it is one.
  [[nodiscard]] std::optional<ArmReference> as_address(std::uint32_t value) const;

  const ElfImage& image_;
  std::vector<Loaded> loaded_;
  std::array<Register, 16> registers_;
};

// The three instructions of an entry of the linkage table.
inline constexpr std::size_t kLinkageBytes = 12;
[[nodiscard]] std::uint32_t linkage_distance(const std::uint8_t* at) noexcept;
struct LinkageWords {
  std::array<std::uint32_t, 3> words;
};
// Those at `at` with another distance.
[[nodiscard]] LinkageWords with_linkage_distance(const std::uint8_t* at, std::uint32_t distance) noexcept;

}  // namespace instar::delta

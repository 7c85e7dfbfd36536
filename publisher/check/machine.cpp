#include "publisher/check/machine.hpp"

#include <elf.h>

#include <algorithm>
#include <array>

namespace instar::publisher {
namespace {

constexpr std::uint16_t kLoongArch = 258;  // glibc's elf.h of Debian 12 has it, older ones do not

// Which names of `uname -m` run a program. One that ends in '*' is the beginning of the name.
struct MachineRow {
  Machine machine;
  std::string_view name;
  std::array<std::string_view, 3> unames;
};

constexpr MachineRow kMachines[] = {
    {{EM_X86_64, true, false}, "x86_64", {"x86_64"}},
    {{EM_X86_64, false, false}, "x86_64 (x32)", {"x86_64"}},
    {{EM_386, false, false}, "32-bit x86", {"i?86", "x86_64"}},
    {{EM_AARCH64, true, false}, "aarch64", {"aarch64", "arm64"}},
    {{EM_AARCH64, true, true}, "aarch64_be", {"aarch64_be"}},
    {{EM_ARM, false, false}, "32-bit ARM", {"arm*", "aarch64"}},
    {{EM_ARM, false, true}, "big-endian 32-bit ARM", {"arm*", "aarch64_be"}},
    {{EM_RISCV, true, false}, "riscv64", {"riscv64"}},
    {{EM_RISCV, false, false}, "riscv32", {"riscv32", "riscv64"}},
    {{EM_PPC64, true, false}, "ppc64le", {"ppc64le"}},
    {{EM_PPC64, true, true}, "ppc64", {"ppc64"}},
    {{EM_PPC, false, true}, "32-bit PowerPC", {"ppc", "ppc64"}},
    {{EM_S390, true, true}, "s390x", {"s390x"}},
    {{EM_S390, false, true}, "s390", {"s390*"}},
    {{EM_MIPS, false, true}, "32-bit MIPS", {"mips*"}},
    {{EM_MIPS, false, false}, "little-endian 32-bit MIPS", {"mips*"}},
    {{EM_MIPS, true, true}, "64-bit MIPS", {"mips64*"}},
    {{EM_MIPS, true, false}, "little-endian 64-bit MIPS", {"mips64*"}},
    {{EM_SPARCV9, true, true}, "sparc64", {"sparc64"}},
    {{kLoongArch, true, false}, "loongarch64", {"loongarch64"}},
};

const MachineRow* row_of(const Machine& machine) {
  const auto* const found = std::ranges::find(kMachines, machine, &MachineRow::machine);
  return found == std::end(kMachines) ? nullptr : found;
}

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return false;
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return std::ranges::equal(pattern, name, [](char wanted, char given) { return wanted == '?' || wanted == given; });
}

}  // namespace

std::string machine_name(const Machine& machine) {
  const auto* const row = row_of(machine);
  return row != nullptr ? std::string(row->name) : "machine " + std::to_string(machine.number);
}

bool may_run_on(const Machine& machine, std::string_view uname) {
  const auto* const row = row_of(machine);
  return row == nullptr || std::ranges::any_of(row->unames, [&](auto pattern) { return matches(pattern, uname); });
}

bool may_share_kernel(const Machine& one, const Machine& other) {
  const auto* const first = row_of(one);
  const auto* const second = row_of(other);
  if (one == other || first == nullptr || second == nullptr) return true;
  return std::ranges::any_of(first->unames, [&](auto name) { return !name.empty() && may_run_on(other, name); });
}

}  // namespace instar::publisher

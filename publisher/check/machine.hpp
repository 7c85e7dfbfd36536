// For which machines a program is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace instar::publisher {

// What an ELF file's header says of it.
struct Machine {
  std::uint16_t number = 0;  // e_machine
  bool is_64_bit = false;
  bool is_big_endian = false;
  friend bool operator==(const Machine&, const Machine&) = default;
};

// "x86_64", "armv7l or another 32-bit ARM", "machine 1234".
[[nodiscard]] std::string machine_name(const Machine& machine);

// Whether a kernel that calls its machine `uname` (uname -m) may run such a program, perhaps by its support of 32-bit
// programs. True for machines that are not known here: nothing is said of them.
[[nodiscard]] bool may_run_on(const Machine& machine, std::string_view uname);
// Whether one kernel may run both.
[[nodiscard]] bool may_share_kernel(const Machine& one, const Machine& other);

}  // namespace instar::publisher

// What a kernel and a dynamic loader read of an ELF file (System V ABI, elf(5)). Pure but for the reading that the
// caller does; hostile bytes give an error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "publisher/check/machine.hpp"

namespace instar::publisher {

struct ElfFile {
  enum class Type : std::uint8_t { object, program, shared, core, other };
  Machine machine;
  Type type = Type::other;
  bool has_entry = false;           // an address to begin at
  bool has_dynamic = false;         // a dynamic section
  std::string loader;               // PT_INTERP; empty = none
  std::vector<std::string> needed;  // DT_NEEDED, in order
  std::string rpath;
  std::string runpath;
};

[[nodiscard]] bool is_elf(ByteView first) noexcept;

// Reads up to `size` bytes at `offset` of a file; fewer only at its end.
using ReadElf = std::function<Result<Bytes>(std::uint64_t offset, std::size_t size)>;

// `file_bytes`: the size of the file. Errors: malformed (a sentence without the file's name, like "its program headers
// lie beyond its end"), and those of `read`.
[[nodiscard]] Result<ElfFile> read_elf(const ReadElf& read, std::uint64_t file_bytes);

}  // namespace instar::publisher

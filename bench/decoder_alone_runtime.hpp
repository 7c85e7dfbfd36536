// What decoder_alone asks of the kernel. The static C library of a desktop brings 650 KiB of itself, resident, to a
// program that does nothing: this has what the decoder needs of one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace instar::bench {

// As the POSIX functions of these names; negative after an error.
int open(const char* path, int flags, unsigned mode) noexcept;
void close(int fd) noexcept;
long pread(int fd, void* out, std::size_t bytes, std::uint64_t offset) noexcept;
long write(int fd, const void* bytes, std::size_t count) noexcept;
// By seeking to the end; 0 for what has none.
std::uint64_t size_of(int fd) noexcept;

// The program, called by its first instruction.
int decoder_main(int argc, char** argv);

}  // namespace instar::bench

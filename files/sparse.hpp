// Writing files so that blocks of zeros take no room (core/artifact/holes.hpp).
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

namespace instar::files {

// As write_all_at(), but leaves holes for whole blocks of zeros (core/artifact/holes.hpp). What was there before is
// zero afterwards, and its space is free if the file system can free it. Does not make the file larger when `bytes`
// end in a hole.
[[nodiscard]] Status write_with_holes(int fd, ByteView bytes, std::uint64_t offset, std::string_view path);

}  // namespace instar::files

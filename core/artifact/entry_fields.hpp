// The parts of an encoded entry that the index and its delta have in common: docs/formats/index.md.
#pragma once

#include <string_view>

#include "core/artifact/index.hpp"
#include "core/artifact/varint.hpp"
#include "core/base/bytes.hpp"

namespace instar::artifact {

inline constexpr std::uint64_t kLargestNumber = 0xffffffff;  // of user, group, device numbers and counts

// The first bytes of both.
[[nodiscard]] std::size_t shared_bytes(std::string_view left, std::string_view right) noexcept;

void append_owner(Bytes& out, const Entry& entry);
// The xattrs, and the time if there is one.
void append_xattrs(Bytes& out, const Entry& entry);
void append_device(Bytes& out, const Entry& entry);

// These replace the fields of `entry`. The result counts only if the cursor is neither starved nor broken in the end.
void read_mode(ByteCursor& cursor, Entry& entry);
void read_owner(ByteCursor& cursor, Entry& entry);
// Takes at most limits::kXattrBytesMax bytes of names and values.
void read_xattrs(ByteCursor& cursor, Entry& entry);
void read_device(ByteCursor& cursor, Entry& entry);

}  // namespace instar::artifact

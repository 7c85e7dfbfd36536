#include "core/artifact/entry_fields.hpp"

#include <algorithm>

#include "core/base/limits.hpp"

namespace instar::artifact {

namespace {
// Is added to the number of xattrs where a time follows.
constexpr std::uint64_t kTimeGiven = 32;
static_assert(limits::kXattrsMax < kTimeGiven);
}  // namespace

std::size_t shared_bytes(std::string_view left, std::string_view right) noexcept {
  const std::size_t most = std::min(left.size(), right.size());
  std::size_t count = 0;
  while (count < most && left[count] == right[count]) ++count;
  return count;
}

void append_owner(Bytes& out, const Entry& entry) {
  append_varint(out, entry.uid);
  append_varint(out, entry.gid);
}

void append_xattrs(Bytes& out, const Entry& entry) {
  append_varint(out, entry.xattrs.size() + (entry.time ? kTimeGiven : 0));
  if (entry.time) append_varint(out, *entry.time);
  for (const Xattr& xattr : entry.xattrs) {
    append_text(out, xattr.name);
    append_text(out, as_text(xattr.value));
  }
}

void append_device(Bytes& out, const Entry& entry) {
  append_varint(out, entry.device_major);
  append_varint(out, entry.device_minor);
}

void read_mode(ByteCursor& cursor, Entry& entry) {
  entry.mode = static_cast<std::uint16_t>(cursor.varint(07777, "a mode"));
}

void read_owner(ByteCursor& cursor, Entry& entry) {
  entry.uid = static_cast<std::uint32_t>(cursor.varint(kLargestNumber, "a user id"));
  entry.gid = static_cast<std::uint32_t>(cursor.varint(kLargestNumber, "a group id"));
}

void read_xattrs(ByteCursor& cursor, Entry& entry) {
  entry.xattrs.clear();
  entry.time.reset();
  const std::uint64_t head = cursor.varint(kTimeGiven + limits::kXattrsMax, "the number of xattrs");
  const std::uint64_t count = head & (kTimeGiven - 1);
  if (count > limits::kXattrsMax) {
    cursor.break_off(Code::too_large, "the number of xattrs is " + std::to_string(count) + ", more than " +
                                          std::to_string(limits::kXattrsMax));
  }
  if ((head & kTimeGiven) != 0) entry.time = static_cast<std::uint32_t>(cursor.varint(kLargestNumber, "a time"));
  std::size_t bytes_left = limits::kXattrBytesMax;
  for (std::uint64_t i = 0; i < count && !cursor.starved() && !cursor.broken(); ++i) {
    Xattr xattr;
    xattr.name = std::string(as_text(cursor.text(bytes_left, "the size of an xattr's name")));
    bytes_left -= xattr.name.size();
    xattr.value = to_bytes(cursor.text(bytes_left, "the size of an xattr's value"));
    bytes_left -= xattr.value.size();
    entry.xattrs.push_back(std::move(xattr));
  }
}

void read_device(ByteCursor& cursor, Entry& entry) {
  entry.device_major = static_cast<std::uint32_t>(cursor.varint(kLargestNumber, "a device number"));
  entry.device_minor = static_cast<std::uint32_t>(cursor.varint(kLargestNumber, "a device number"));
}

}  // namespace instar::artifact

#include "core/artifact/varint.hpp"

namespace instar::artifact {

void append_varint(Bytes& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

void append_text(Bytes& out, std::string_view text) {
  append_varint(out, text.size());
  const ByteView bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::uint8_t ByteCursor::byte() noexcept {
  if (starved_ || broken()) return 0;
  if (position_ == bytes_.size()) {
    starved_ = true;
    return 0;
  }
  return bytes_[position_++];
}

std::uint64_t ByteCursor::varint(std::uint64_t value_max, const char* what) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t next = byte();
    if (starved_ || broken()) return 0;
    const std::uint64_t bits = next & 0x7fU;
    if (shift == 63 && bits > 1) break;
    value |= bits << shift;
    if ((next & 0x80U) != 0) continue;
    if (next == 0 && shift > 0) {
      break_off(Code::malformed, std::string(what) + " is not in its shortest form");
      return 0;
    }
    if (value > value_max) {
      break_off(Code::too_large,
                std::string(what) + " is " + std::to_string(value) + ", more than " + std::to_string(value_max));
      return 0;
    }
    return value;
  }
  break_off(Code::malformed, std::string(what) + " does not fit 64 bits");
  return 0;
}

ByteView ByteCursor::take(std::size_t count) noexcept {
  if (starved_ || broken()) return {};
  if (bytes_.size() - position_ < count) {
    starved_ = true;
    return {};
  }
  const ByteView view = bytes_.subspan(position_, count);
  position_ += count;
  return view;
}

ByteView ByteCursor::text(std::size_t bytes_max, const char* what) {
  const std::uint64_t size = varint(bytes_max, what);
  return take(static_cast<std::size_t>(size));
}

void ByteCursor::break_off(Code code, std::string message) {
  if (!broken()) error_ = {code, std::move(message)};
}

}  // namespace instar::artifact

#include "core/base/text.hpp"

#include <cstdint>

namespace instar {
namespace {

bool is_control(std::uint32_t point) noexcept {
  if (point == '\n' || point == '\t') return false;
  return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

// Bytes of the clean character at the start of `text` (not empty), or 0 if there is none. RFC 3629, section 4.
std::size_t character_bytes(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return is_control(first) ? 0 : 1;
  std::size_t size = 0;
  std::uint32_t least = 0;
  if (first >= 0xc2 && first < 0xe0) {
    size = 2;
    least = 0x80;
  } else if (first >= 0xe0 && first < 0xf0) {
    size = 3;
    least = 0x800;
  } else if (first >= 0xf0 && first < 0xf5) {
    size = 4;
    least = 0x10000;
  }
  if (size == 0 || text.size() < size) return 0;
  std::uint32_t point = first & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  return point < least || point > 0x10ffff || surrogate || is_control(point) ? 0 : size;
}

}  // namespace

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool is_clean_text(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string clean_text(std::string_view text, std::size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    const std::size_t taken = size == 0 ? 1 : size;
    if (out.size() + taken > bytes_max) break;
    if (size == 0) {
      out.push_back('?');
    } else {
      out.append(text.substr(0, size));
    }
    text.remove_prefix(taken);
  }
  return out;
}

}  // namespace instar

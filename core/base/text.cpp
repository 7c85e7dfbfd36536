#include "core/base/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace instar {
namespace {

bool is_control(std::uint32_t point) noexcept {
  if (point == '\n' || point == '\t') return false;
  return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

struct Points {
  std::uint32_t first;
  std::uint32_t last;
};
// Default_Ignorable_Code_Point of Unicode 15.1 (DerivedCoreProperties.txt), separators of lines and paragraphs, marks
// of annotations. In order.
constexpr std::array<Points, 18> kHidden{{
    {0xad, 0xad},
    {0x34f, 0x34f},
    {0x61c, 0x61c},
    {0x115f, 0x1160},
    {0x17b4, 0x17b5},
    {0x180b, 0x180f},
    {0x200b, 0x200f},
    {0x2028, 0x202e},
    {0x2060, 0x206f},
    {0x3164, 0x3164},
    {0xfe00, 0xfe0f},
    {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},
    {0x13430, 0x13440},
    {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff},
}};

bool is_hidden(std::uint32_t point) noexcept {
  const auto* const range = std::ranges::lower_bound(kHidden, point, {}, &Points::last);
  return range != kHidden.end() && point >= range->first;
}

struct Character {
  std::uint32_t point = 0;
  std::size_t bytes = 0;  // 0: no valid UTF-8
};

// The character at the start of `text`, which is not empty. RFC 3629, section 4.
Character first_character(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
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
  if (size == 0 || text.size() < size) return {};
  std::uint32_t point = first & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    point = point << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (point < least || point > 0x10ffff || surrogate) return {};
  return {point, size};
}

void append_escape(std::string& out, std::uint32_t unit) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\u";
  for (unsigned shift = 16; shift > 0; shift -= 4) out += kDigits[unit >> (shift - 4) & 0xf];
}

}  // namespace

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::size_t clean_character_bytes(std::string_view text) noexcept {
  const auto [point, bytes] = first_character(text);
  return is_control(point) || is_hidden(point) ? 0 : bytes;
}

bool is_clean_text(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t size = clean_character_bytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string clean_text(std::string_view text, std::size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    const std::size_t size = clean_character_bytes(text);
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

std::string clean_line(std::string_view text) {
  auto out = clean_text(text, text.size());
  std::ranges::replace_if(
      out, [](char c) { return c == '\n' || c == '\t'; }, '?');
  return out;
}

std::string clean_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const auto [point, bytes] = first_character(json);
    const bool shown = bytes > 0 && !is_control(point) && !is_hidden(point);
    if (shown) {
      out.append(json.substr(0, bytes));
    } else if (bytes == 0) {
      out += '?';  // not JSON then
    } else if (point < 0x10000) {
      append_escape(out, point);
    } else {
      append_escape(out, 0xd800 + ((point - 0x10000) >> 10));
      append_escape(out, 0xdc00 + ((point - 0x10000) & 0x3ff));
    }
    json.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return out;
}

}  // namespace instar

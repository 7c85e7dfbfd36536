#include "publisher/console/clean_stream.hpp"

#include <cstddef>
#include <string_view>

#include "core/base/text.hpp"

namespace instar::publisher {
namespace {

// Bytes of the character that begins with `lead`, if it is whole.
std::size_t whole_bytes(char lead) noexcept {
  const auto byte = static_cast<unsigned char>(lead);
  return byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
}

bool is_tail(std::string_view text) noexcept {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xc0U) != 0x80U) return false;
  }
  return true;
}

// The rest of the character may still come.
bool is_begun(std::string_view text) noexcept {
  return text.size() < whole_bytes(text.front()) && is_tail(text.substr(1));
}

}  // namespace

void CleanStream::Buffer::pass_on(bool all) {
  std::string clean;
  std::string_view rest = held_;
  while (!rest.empty() && (all || !is_begun(rest))) {
    const auto bytes = clean_character_bytes(rest);
    const char c = rest.front();
    if (bytes > 0) {
      clean.append(rest.substr(0, bytes));
    } else {
      clean += c == '\r' || c == '\x1b' ? c : '?';
    }
    rest.remove_prefix(bytes > 0 ? bytes : 1);
  }
  held_ = std::string(rest);
  out_ << clean;
}

CleanStream::Buffer::int_type CleanStream::Buffer::overflow(int_type c) {
  if (!traits_type::eq_int_type(c, traits_type::eof())) {
    held_ += traits_type::to_char_type(c);
    pass_on(false);
  }
  return out_ ? traits_type::not_eof(c) : traits_type::eof();
}

std::streamsize CleanStream::Buffer::xsputn(const char* text, std::streamsize size) {
  held_.append(text, static_cast<std::size_t>(size));
  pass_on(false);
  return out_ ? size : 0;
}

int CleanStream::Buffer::sync() {
  pass_on(true);
  out_.flush();
  return out_ ? 0 : -1;
}

}  // namespace instar::publisher

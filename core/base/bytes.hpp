// Views of bytes and owned bytes, which all modules use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace instar {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// The bytes of `text`; valid as long as the text is.
[[nodiscard]] inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// `bytes` read as text; valid as long as the bytes are.
[[nodiscard]] inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline Bytes to_bytes(ByteView view) {
  return {view.begin(), view.end()};
}
[[nodiscard]] inline Bytes to_bytes(std::string_view text) {
  return to_bytes(as_bytes(text));
}

// Lower-case hexadecimal.
[[nodiscard]] std::string to_hex(ByteView bytes);

// Parses lower or upper case of even length. Returns false, and leaves `out` unchanged, for anything else.
[[nodiscard]] bool from_hex(std::string_view hex, Bytes& out);

}  // namespace instar

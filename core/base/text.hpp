// Text for people from an untrusted source: reasons, notes, labels.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace instar {

// `text` without blanks (space, tab, carriage return) at its ends; valid as long as the text is.
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;

// Bytes of the character at the start of `text` (not empty) if it is valid UTF-8 and clean, 0 if it is not. Clean is
// what a reader sees and what cannot steer a terminal. Control characters are not, but for line feed and tab. Nor are
// characters that show nothing or turn the order of others around: bidi marks and overrides, joiners and blanks without
// width, variation selectors, tags, separators of lines.
[[nodiscard]] std::size_t clean_character_bytes(std::string_view text) noexcept;

// Whether all characters of the text are clean.
[[nodiscard]] bool is_clean_text(std::string_view text) noexcept;

// `text` with '?' for each byte that is not clean, cut between characters to at most `bytes_max` bytes. Clean text that
// is short enough is returned unchanged.
[[nodiscard]] std::string clean_text(std::string_view text, std::size_t bytes_max);

// The same on one line, of any length: '?' for line feeds and tabs too.
[[nodiscard]] std::string clean_line(std::string_view text);

// Valid JSON with \u escapes for the characters in it that are not clean: it says the same, and shows what it says.
[[nodiscard]] std::string clean_json(std::string_view json);

}  // namespace instar

// Text for people from an untrusted source: reasons, notes, labels.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace instar {

// `text` without blanks (space, tab, carriage return) at its ends; valid as long as the text is.
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;

// Whether the text is valid UTF-8 without control characters other than line feed and tab, so that it cannot steer a
// terminal.
[[nodiscard]] bool is_clean_text(std::string_view text) noexcept;

// `text` with '?' for each byte that is not clean, cut between characters to at most `bytes_max` bytes. Clean text that
// is short enough is returned unchanged.
[[nodiscard]] std::string clean_text(std::string_view text, std::size_t bytes_max);

}  // namespace instar

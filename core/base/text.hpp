// Text that people read and that strangers wrote: reasons, notes, labels.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace instar {

// `text` without blanks (space, tab, carriage return) at its ends; valid as long as the text is.
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;

// Valid UTF-8 without control characters other than line feed and tab: nothing that steers a terminal.
[[nodiscard]] bool is_clean_text(std::string_view text) noexcept;

// `text` with each offending byte as '?', cut to at most `bytes_max` bytes between characters. Clean text that is short
// enough comes back as it is.
[[nodiscard]] std::string clean_text(std::string_view text, std::size_t bytes_max);

}  // namespace instar

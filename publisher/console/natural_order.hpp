// The order in which people look for names.
#pragma once

#include <string_view>

namespace instar::publisher {

// Digits that stand together count as one number: fleet-2 is before fleet-10. A strict order of all texts.
[[nodiscard]] bool natural_less(std::string_view a, std::string_view b) noexcept;

}  // namespace instar::publisher

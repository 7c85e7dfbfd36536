#include "publisher/console/natural_order.hpp"

#include <algorithm>

namespace instar::publisher {
namespace {

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

// Takes the digits at the front of `text`, without the zeros before them.
std::string_view take_digits(std::string_view& text) noexcept {
  const auto end = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
  auto digits = text.substr(0, end);
  text.remove_prefix(end);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

}  // namespace

bool natural_less(std::string_view a, std::string_view b) noexcept {
  auto one = a;
  auto two = b;
  while (!one.empty() && !two.empty()) {
    if (is_digit(one.front()) && is_digit(two.front())) {
      const auto left = take_digits(one);
      const auto right = take_digits(two);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
      continue;
    }
    if (one.front() != two.front())
      return static_cast<unsigned char>(one.front()) < static_cast<unsigned char>(two.front());
    one.remove_prefix(1);
    two.remove_prefix(1);
  }
  if (one.empty() != two.empty()) return one.empty();
  return a < b;  // box-01 and box-1
}

}  // namespace instar::publisher

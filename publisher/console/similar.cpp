#include "publisher/console/similar.hpp"

#include <algorithm>
#include <cctype>

namespace instar::publisher {
namespace {

// Words are short; what is longer is nobody's slip.
constexpr std::size_t kLongestWord = 64;
constexpr std::size_t kMostMistakes = 3;

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::string one = lower(a);
  const std::string two = lower(b);
  // rows[i][j]: of the first i letters of one, and the first j of two.
  std::vector<std::vector<std::size_t>> rows(one.size() + 1, std::vector<std::size_t>(two.size() + 1));
  for (std::size_t i = 0; i <= one.size(); ++i) rows[i][0] = i;
  for (std::size_t j = 0; j <= two.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= one.size(); ++i) {
    for (std::size_t j = 1; j <= two.size(); ++j) {
      const std::size_t changed = rows[i - 1][j - 1] + (one[i - 1] == two[j - 1] ? 0 : 1);
      rows[i][j] = std::min({rows[i - 1][j] + 1, rows[i][j - 1] + 1, changed});
      const bool swapped = i > 1 && j > 1 && one[i - 1] == two[j - 2] && one[i - 2] == two[j - 1];
      if (swapped) rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows.back().back();
}

std::string most_similar(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > kLongestWord) return {};
  if (word.size() > 1) {
    const auto begins = [&](const std::string& candidate) { return candidate.starts_with(word); };
    if (std::ranges::count_if(candidates, begins) == 1) return *std::ranges::find_if(candidates, begins);
  }
  const std::size_t most = std::clamp<std::size_t>(word.size() / 3, 1, kMostMistakes);
  std::string found;
  std::size_t best = most + 1;
  for (const auto& candidate : candidates) {
    if (candidate.size() > kLongestWord) continue;
    const auto distance = edit_distance(word, candidate);
    // A word of one letter is not near to another one of one letter.
    if (distance >= best || distance >= std::max(word.size(), candidate.size())) continue;
    best = distance;
    found = candidate;
  }
  return found;
}

}  // namespace instar::publisher

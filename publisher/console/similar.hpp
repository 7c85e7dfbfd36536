// What somebody meant who has mistyped a word.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace instar::publisher {

// How many letters must be added, left out, changed, or swapped with the next one, to make `b` of `a`. Upper and lower
// case are the same.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that `word` is the beginning of, if it is the only one; else the one that is nearest, if a third of its
// letters at most are wrong. Empty: none is near.
[[nodiscard]] std::string most_similar(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace instar::publisher

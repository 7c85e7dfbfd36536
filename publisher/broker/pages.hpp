// Lists come from the broker in pages. This requests one page after the other.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "publisher/broker/session.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

// Rows of one answer. A command may set another number with the parameter `count`.
inline constexpr std::size_t kPageRows = 200;

// Calls `each` with every row under `key` in the answers to a list command (docs/formats/control.md), in the broker's
// order, until all `totalCount` rows have come or `rows_max` of them. Returns the last answer. Errors: those of
// Session::request.
[[nodiscard]] Outcome<Json> for_each_row(Session& session, const std::string& command, const std::string& key,
                                         const Json& parameters, const std::function<void(const Json&)>& each,
                                         std::size_t rows_max = SIZE_MAX);

}  // namespace instar::publisher

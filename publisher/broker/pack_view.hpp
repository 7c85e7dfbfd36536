// Packs as the broker lists them (docs/formats/control.md), shown to people.
#pragma once

#include <string>

#include "core/base/time.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

// Rows of listPacks. `bytes`: of all packs that stay.
[[nodiscard]] std::string packs_text(const Json& rows, std::uint64_t bytes, WallMs now);
// The full id of the one row that `name` is the beginning of. Errors: invalid_argument (no hex digits, or several rows
// begin so), not_found.
[[nodiscard]] Result<std::string> find_pack(const Json& rows, const std::string& name);

}  // namespace instar::publisher

// The times of files whose index has none: docs/decisions/0021-times-of-files.md
#pragma once

#include <cstdint>

#include "core/artifact/index.hpp"

namespace instar::artifact {

// Seconds since 1970 for an entry of a tree that belongs to no release, such as one that is unpacked: the time in the
// index, or one that follows from the content, between 2000 and 2020, so that another content has another time.
// Everything that has no content gets the first of these.
[[nodiscard]] std::int64_t time_by_content(const Entry& entry) noexcept;

}  // namespace instar::artifact

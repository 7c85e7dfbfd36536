// Weekly maintenance windows in local time. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/time.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// Local time is UTC and `utc_offset_s` seconds (east of Greenwich positive, summer time included). A window that passes
// midnight goes on into the next day, also from Sunday into Monday.
[[nodiscard]] bool is_window_open(const std::vector<wire::MaintenanceWindow>& windows, WallMs utc,
                                  std::int32_t utc_offset_s) noexcept;
// Milliseconds until one opens; 0: one is open; nullopt: there are none.
[[nodiscard]] std::optional<std::int64_t> ms_until_window(const std::vector<wire::MaintenanceWindow>& windows,
                                                          WallMs utc, std::int32_t utc_offset_s) noexcept;

}  // namespace instar::revision

// Who is who in a story, by name.
#pragma once

#include <string_view>

namespace instar::sim {

inline constexpr const char* kFleetProduct = "pump";

// A device that the operator owns.
[[nodiscard]] inline bool is_of_fleet(std::string_view name) {
  return name.starts_with("dev-");
}
// Somebody with a login, and another product or other groups.
[[nodiscard]] inline bool is_foreign(std::string_view name) {
  return name.starts_with("foreign-");
}
// Somebody with a login and the fleet's product and groups, who came while a rollout went on.
[[nodiscard]] inline bool is_late(std::string_view name) {
  return name.starts_with("late-");
}

}  // namespace instar::sim

// Names that travel in topics. A value of these types has been checked once and for all.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace instar {

// `A-Z a-z 0-9 _ -`, 1 to 64 bytes: the same as the MQTT client id, and one whole topic level.
class DeviceId {
 public:
  DeviceId() = default;
  [[nodiscard]] static Result<DeviceId> parse(std::string_view text);
  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  friend auto operator<=>(const DeviceId&, const DeviceId&) = default;

 private:
  std::string text_;
};

// The MQTT client id of an operator's program: the alphabet and the length of a device's, and one topic level too. A
// type of its own, so that neither is taken for the other.
class ClientId {
 public:
  ClientId() = default;
  [[nodiscard]] static Result<ClientId> parse(std::string_view text);
  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  friend auto operator<=>(const ClientId&, const ClientId&) = default;

 private:
  std::string text_;
};

// Levels of the device alphabet joined by '/', at most four: `plant-7/line-a`.
class GroupPath {
 public:
  GroupPath() = default;
  [[nodiscard]] static Result<GroupPath> parse(std::string_view text);
  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  // The group itself, then its parents: `a/b/c`, `a/b`, `a`.
  [[nodiscard]] std::vector<GroupPath> with_parents() const;
  // True if this is `other` or one of its parents.
  [[nodiscard]] bool covers(const GroupPath& other) const noexcept;
  // Filters: "#" (all), "plant-7/#" (plant-7 and below), "plant-7" (exactly).
  [[nodiscard]] bool matches(std::string_view filter) const noexcept;
  friend auto operator<=>(const GroupPath&, const GroupPath&) = default;

 private:
  std::string text_;
};

// A name of the device alphabet plus '.', 1 to 64 bytes, not starting with '.': releases, containers, volumes.
[[nodiscard]] bool is_name(std::string_view text) noexcept;

// One topic level of the device alphabet, 1 to 64 bytes: a product. It stands in the topics of its releases.
[[nodiscard]] bool is_product(std::string_view text) noexcept;
// What is_product() asks for, after "product ".
inline constexpr std::string_view kProductRule =
    "must be 1 to 64 of A-Z a-z 0-9 _ - (it is a topic level: no dot, no space, no slash)";

}  // namespace instar

template <>
struct std::hash<instar::DeviceId> {
  std::size_t operator()(const instar::DeviceId& id) const noexcept { return std::hash<std::string>{}(id.str()); }
};
template <>
struct std::hash<instar::ClientId> {
  std::size_t operator()(const instar::ClientId& id) const noexcept { return std::hash<std::string>{}(id.str()); }
};
template <>
struct std::hash<instar::GroupPath> {
  std::size_t operator()(const instar::GroupPath& group) const noexcept {
    return std::hash<std::string>{}(group.str());
  }
};

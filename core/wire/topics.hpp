// Builds and parses all topics. No other code does. docs/formats/topics.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"

namespace instar::wire {

enum class TopicKind : std::uint8_t {
  root,
  root_version,
  group_manifest,
  group_gate,
  device_fetch,
  device_chunk,
  device_report,
  device_ack,
  device_hello,
  device_presence,
  device_assignment,
  rollout_status,
  operator_put,
  operator_stored,
  control,
  control_response,
};

// A parsed topic of ours. Only the fields of its kind are set.
struct Topic {
  TopicKind kind = TopicKind::root;
  GroupPath group;                 // group_*
  std::string product;             // group_*
  DeviceId device;                 // device_*
  std::string rollout;             // rollout_status: 16 hex digits
  ClientId client;                 // operator_*
  std::uint32_t root_version = 0;  // root_version: from 1
};

// `prefix`: one or two levels of the device alphabet joined by '/', default "instar/v1". With more levels, a topic of a
// product in a group with four levels would have more than the seven slashes that cloud brokers allow.
class Topics {
 public:
  [[nodiscard]] static Result<Topics> with_prefix(std::string_view prefix);
  Topics() : prefix_("instar/v1") {}

  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }
  // True for anything under "<prefix>/", well-formed or not. The plugin guards these topics.
  [[nodiscard]] bool owns(std::string_view topic) const noexcept;
  // nullopt: not ours, or not one of the forms.
  [[nodiscard]] std::optional<Topic> parse(std::string_view topic) const;

  // The newest root document, and one version of the chain. In a filter, root_versions() stands for all of them.
  [[nodiscard]] std::string root() const;
  [[nodiscard]] std::string root(std::uint32_t version) const;
  [[nodiscard]] std::string root_versions() const;
  // Of the releases for one product in one group: is_product().
  [[nodiscard]] std::string manifest(const GroupPath& group, std::string_view product) const;
  [[nodiscard]] std::string gate(const GroupPath& group, std::string_view product) const;
  // kind: one of device_*.
  [[nodiscard]] std::string device(const DeviceId& device, TopicKind kind) const;
  [[nodiscard]] std::string status(std::string_view rollout) const;
  [[nodiscard]] std::string put(const ClientId& client) const;
  [[nodiscard]] std::string stored(const ClientId& client) const;
  // "$CONTROL/<prefix>" and its "/response".
  [[nodiscard]] std::string control() const;
  [[nodiscard]] std::string control_response() const;

 private:
  std::string prefix_;
};

}  // namespace instar::wire

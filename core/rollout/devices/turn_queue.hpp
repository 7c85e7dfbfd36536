// Who of a rollout's members asks for a turn, who has one and is under way, and who has one without knowing it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "core/base/ids.hpp"
#include "core/rollout/exchange/record.hpp"

namespace instar::rollout {

class TurnQueue {
 public:
  // The member's record changes from `before` (nullptr: it is new) to `after`.
  void update(const DeviceId& device, const MemberRecord* before, const MemberRecord& after);
  void remove(const DeviceId& device, const MemberRecord& record);
  void clear();
  // The device has its turn and asks for it again: the ack did not arrive.
  void repeat(const DeviceId& device);
  void drop_repeat();  // the first of them
  // The first whose turn is to be repeated; nullopt: nobody's.
  [[nodiscard]] std::optional<DeviceId> first_to_repeat() const;
  // The first that asks; nullopt: nobody does.
  [[nodiscard]] std::optional<DeviceId> first_asking() const;
  // The first of those that `may`. Time: through those that ask before it.
  [[nodiscard]] std::optional<DeviceId> first_asking(const std::function<bool(const DeviceId&)>& may) const;
  [[nodiscard]] const std::set<DeviceId>& in_flight() const noexcept { return in_flight_; }
  [[nodiscard]] std::size_t asking() const noexcept { return asking_.size(); }
  [[nodiscard]] bool asks(const DeviceId& device, std::uint64_t place) const;
  void assert_invariants() const;

 private:
  std::map<std::uint64_t, DeviceId> asking_;  // by place in the queue, which is the member's `asks`
  std::set<DeviceId> in_flight_;              // have been given a turn, and have not ended
  std::deque<DeviceId> to_repeat_;            // each once; one that has moved on since is dropped when its place comes
};

}  // namespace instar::rollout

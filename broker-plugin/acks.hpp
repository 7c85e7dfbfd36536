// Acks on their way to devices: those of one device that become durable together go out as one, and never so many at
// once that other messages wait for them.
#pragma once

#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/time.hpp"
#include "core/wire/messages.hpp"

namespace instar::broker {

class Acks {
 public:
  // What it says is durable.
  void add(const DeviceId& device, const wire::Ack& ack);
  // Those that are to be sent now. Once a tick.
  [[nodiscard]] std::vector<std::pair<DeviceId, wire::Ack>> take(MonotonicMs now);
  // The next tick has some to send, and should not wait for an event.
  [[nodiscard]] bool has_more() const noexcept { return !leaving_.empty(); }

  void assert_invariants() const;

 private:
  std::unordered_map<DeviceId, wire::Ack> gathered_;
  std::vector<std::pair<DeviceId, wire::Ack>> leaving_;
  MonotonicMs not_before_;
};

}  // namespace instar::broker

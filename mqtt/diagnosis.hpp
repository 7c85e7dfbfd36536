// Why a connection failed, or why nobody answers: found by a short connection of its own, step by step: name, TCP, TLS,
// and MQTT 5, whose brokers say why. What it finds has a name in the table of fault.hpp.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "mqtt/client.hpp"
#include "mqtt/fault.hpp"

namespace instar::mqtt {

// What a client has sent since it connected.
struct Traffic {
  std::size_t packet_bytes_max = 0;
  bool with_qos = false;  // QoS 1 or more
  bool retained = false;
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

struct Question {
  Options options;
  Traffic sent;
  // What the library says of the failure: all there is where the diagnosis connects, or the broker knows no MQTT 5.
  std::string words;
  // The connection stood for a moment: somebody else may have taken it over.
  bool was_lost = false;
  std::optional<Silence> silence;
};

// Blocks the calling thread for some limits::kProbeStepMs at most, and for as long as the system takes to resolve a
// name. `stopped` ends it earlier. `unknown`: nothing was found.
[[nodiscard]] Finding diagnose(const Question& question, const std::atomic<bool>& stopped);

}  // namespace instar::mqtt

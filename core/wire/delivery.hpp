// How an MQTT message is to be delivered.
#pragma once

#include <cstdint>

namespace instar::wire {

// The numbers are MQTT's.
enum class Qos : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

// yes: the broker keeps the message, and sends it to later subscribers.
enum class Retain : bool { no = false, yes = true };

}  // namespace instar::wire

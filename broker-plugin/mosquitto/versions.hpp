// What differs between Mosquitto 2.0 and 2.1. The plugin is built with the headers of 2.0 and is one file for both, so
// which one it runs in is found out at run time. What only 2.1 declares is repeated here; the names in comments are
// those of its <mosquitto/broker.h> and src/mosquitto_broker_internal.h, at 2.1.2.
#pragma once

#include <cstdint>

struct mosquitto_plugin_id_t;
struct mosquitto_opt;

namespace instar::broker {

// MOSQ_EVT_CLIENT_OFFLINE: a client has gone whose session stays. 2.0 raises MOSQ_EVT_DISCONNECT for it. The struct of
// both events has the client in the same place.
inline constexpr int kEventClientOffline = 28;

// Whether the broker is 2.1 or later.
[[nodiscard]] bool is_since_2_1() noexcept;

// Gives 2.1 a name and a version to log. 2.0 has no place for them.
void introduce(mosquitto_plugin_id_t* identifier, const char* version) noexcept;

enum class Reach : std::uint8_t {
  all_listeners,
  some_listeners,  // what clients of the others do, the plugin does not see
  unknown,         // the broker is newer than this plugin
};
// Which listeners the `plugin` line stands for. `options` and `option_count` are those that the broker has passed with
// `identifier`: they show whether the identifier looks as it does in the versions that are known here. To be called on
// the broker's main thread.
[[nodiscard]] Reach reach_of(const mosquitto_plugin_id_t* identifier, const mosquitto_opt* options,
                             int option_count) noexcept;

// `event`: of MOSQ_EVT_TICK. Asks 2.1 for a tick in each turn of its loop, and for a turn every 100 ms, as 2.0 has it.
void ask_for_next_tick(void* event) noexcept;

}  // namespace instar::broker

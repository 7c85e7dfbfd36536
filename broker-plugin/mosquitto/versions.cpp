#include "broker-plugin/mosquitto/versions.hpp"

#include <dlfcn.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <pthread.h>

#include <cstddef>
#include <cstring>

namespace instar::broker {
namespace {

// mosquitto_plugin_set_info(), which 2.0 lacks.
using SetInfo = int (*)(mosquitto_plugin_id_t*, const char* name, const char* version);

[[nodiscard]] SetInfo find_set_info() noexcept {
  return reinterpret_cast<SetInfo>(::dlsym(RTLD_DEFAULT, "mosquitto_plugin_set_info"));
}

// struct mosquitto_plugin_id_t of 2.1 begins with this: struct mosquitto__plugin_config.
struct PluginConfig {
  const char* path;
  const char* name;
  const mosquitto_opt* options;
  const void* const* security_options;
  int option_count;
  int security_option_count;
};

// struct mosquitto_evt_tick. 2.0 calls the third member next_ns.
struct Tick {
  void* future;
  long now_ns;
  long next_ms;
  time_t now_s;
  time_t next_s;
  void* future2[4];
};
static_assert(sizeof(Tick) == sizeof(mosquitto_evt_tick));
static_assert(offsetof(Tick, now_s) == offsetof(mosquitto_evt_tick, now_s));

// How often an idle Mosquitto 2.0 goes round its loop.
constexpr long kTickMs = 100;

// The settings that hold for all listeners are a part of the broker's configuration, which is a variable of its
// main(). Those of one listener are allocated.
[[nodiscard]] bool is_variable_of_broker(const void* address) noexcept {
  Dl_info image{};
  if (::dladdr(address, &image) != 0) return true;
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return false;
  void* stack = nullptr;
  std::size_t bytes = 0;
  const bool known = ::pthread_attr_getstack(&attributes, &stack, &bytes) == 0;
  (void)::pthread_attr_destroy(&attributes);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const auto from = reinterpret_cast<std::uintptr_t>(stack);
  return known && at >= from && at - from < bytes;
}

// Under per_listener_settings, 2.0 passes an identifier whose only member is the listener; else that is null.
[[nodiscard]] Reach reach_in_2_0(const mosquitto_plugin_id_t* identifier) noexcept {
  const void* listener = nullptr;
  std::memcpy(&listener, identifier, sizeof(listener));
  return listener == nullptr ? Reach::all_listeners : Reach::some_listeners;
}

}  // namespace

bool is_since_2_1() noexcept {
  return find_set_info() != nullptr;
}

void introduce(mosquitto_plugin_id_t* identifier, const char* version) noexcept {
  if (const auto set_info = find_set_info()) (void)set_info(identifier, "instar", version);
}

Reach reach_of(const mosquitto_plugin_id_t* identifier, const mosquitto_opt* options, int option_count) noexcept {
  if (!is_since_2_1()) return reach_in_2_0(identifier);
  PluginConfig config{};
  std::memcpy(&config, identifier, sizeof(config));
  if (config.options != options || config.option_count != option_count || config.security_options == nullptr ||
      config.security_option_count < 1) {
    return Reach::unknown;
  }
  for (int i = 0; i < config.security_option_count; ++i) {
    if (is_variable_of_broker(config.security_options[i])) return Reach::all_listeners;
  }
  return Reach::some_listeners;
}

// 2.1 makes no tick before `now` + `next`. With `now` left as it is, an ack would wait for up to 100 ms in a loop that
// was woken for it; so `now` is set back.
void ask_for_next_tick(void* event) noexcept {
  auto* tick = static_cast<Tick*>(event);
  tick->now_s = 0;
  tick->now_ns = 0;
  tick->next_s = 0;
  tick->next_ms = kTickMs;
}

}  // namespace instar::broker

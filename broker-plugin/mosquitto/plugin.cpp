// The Mosquitto plugin: the functions that the broker calls, and nothing else. Where a rule looks odd, docs/broker.md
// has the reason and tests/integration/test_plugin_*.py the test.
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <time.h>

#include <exception>
#include <memory>
#include <utility>

#include "broker-plugin/mosquitto/certificate.hpp"
#include "broker-plugin/mosquitto/instance.hpp"
#include "broker-plugin/mosquitto/plugin_port.hpp"
#include "broker-plugin/mosquitto/versions.hpp"

namespace instar::broker {
namespace {

// There is one for the whole process, however many `plugin` lines name this file.
struct Shared {
  MosquittoPort port;
  std::unique_ptr<Instance> instance;
  std::string control_topic;
  mosquitto_plugin_id_t* owner = nullptr;  // of the first line: the callbacks are its own
  int references = 0;
};
Shared* shared = nullptr;

// What Mosquitto stores for one `plugin` line.
struct Registration {
  mosquitto_plugin_id_t* identifier = nullptr;
};

[[nodiscard]] std::int64_t read_clock_ms(clockid_t clock) noexcept {
  timespec t{};
  ::clock_gettime(clock, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

[[nodiscard]] Now read_clocks() noexcept {
  return {.wall = {read_clock_ms(CLOCK_REALTIME)}, .monotonic = {read_clock_ms(CLOCK_MONOTONIC)}};
}

[[nodiscard]] std::string_view view(const char* text) noexcept {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// `topic`: what it is about. The certificate is looked at for ours only.
[[nodiscard]] Client client_of(const mosquitto* client, std::string_view topic = {}) noexcept {
  const auto id = view(::mosquitto_client_id(client));
  const bool looks =
      shared->instance->options().device_identity == DeviceIdentity::certificate && shared->instance->guards(topic);
  return {.connection = client,
          .id = id,
          .username = view(::mosquitto_client_username(client)),
          .address = view(::mosquitto_client_address(client)),
          .is_certified = looks && is_certified(client, id)};
}

[[nodiscard]] ByteView payload_of(const void* payload, std::uint32_t size) noexcept {
  return payload == nullptr ? ByteView() : ByteView(static_cast<const std::uint8_t*>(payload), size);
}

// The broker is written in C: no exception may leave a callback.
template <typename Body>
[[nodiscard]] int guarded(int when_broken, const char* where, Body&& body) noexcept {
  try {
    return std::forward<Body>(body)();
  } catch (const std::exception& error) {
    ::mosquitto_log_printf(MOSQ_LOG_ERR, "instar: %s failed: %s", where, error.what());
  } catch (...) {
    ::mosquitto_log_printf(MOSQ_LOG_ERR, "instar: %s failed", where);
  }
  return when_broken;
}

// 2.1 also has MOSQ_ERR_PLUGIN_IGNORE: as if the plugin were not there. The answer of the last plugin counts when
// nobody says yes or no, so after others that have deferred it would allow what they leave denied.
[[nodiscard]] int to_rc(AclAnswer answer) noexcept {
  if (answer == AclAnswer::allow) return MOSQ_ERR_SUCCESS;
  return answer == AclAnswer::deny ? MOSQ_ERR_ACL_DENIED : MOSQ_ERR_PLUGIN_DEFER;
}

int on_acl_check(int, void* data, void*) noexcept {
  const auto* event = static_cast<const mosquitto_evt_acl_check*>(data);
  if (event->topic == nullptr) return MOSQ_ERR_PLUGIN_DEFER;
  return guarded(MOSQ_ERR_ACL_DENIED, "an ACL check", [&] {
    const Access access = event->access == MOSQ_ACL_READ    ? Access::read
                          : event->access == MOSQ_ACL_WRITE ? Access::write
                                                            : Access::other;
    return to_rc(
        shared->instance->on_acl(client_of(event->client, event->topic), access, event->topic, event->payloadlen));
  });
}

int on_message(int, void* data, void*) noexcept {
  auto* event = static_cast<mosquitto_evt_message*>(data);
  if (event->topic == nullptr) return MOSQ_ERR_SUCCESS;
  return guarded(MOSQ_ERR_ACL_DENIED, "a message", [&] {
    if (!shared->instance->guards(event->topic)) {
      shared->instance->on_foreign_message();
      return static_cast<int>(MOSQ_ERR_SUCCESS);
    }
    const auto answer = shared->instance->on_message(
        client_of(event->client, event->topic), event->topic, payload_of(event->payload, event->payloadlen),
        static_cast<wire::Qos>(event->qos), event->retain ? wire::Retain::yes : wire::Retain::no, read_clocks());
    if (answer == MessageAnswer::deny) return static_cast<int>(MOSQ_ERR_ACL_DENIED);
    if (answer == MessageAnswer::swallow) event->retain = false;
    return static_cast<int>(MOSQ_ERR_SUCCESS);
  });
}

// Any result but success would close the operator's connection. Errors are in the response instead.
int on_control(int, void* data, void*) noexcept {
  const auto* event = static_cast<const mosquitto_evt_control*>(data);
  return guarded(MOSQ_ERR_SUCCESS, "a command", [&] {
    shared->instance->on_control(client_of(event->client), payload_of(event->payload, event->payloadlen),
                                 read_clocks());
    return static_cast<int>(MOSQ_ERR_SUCCESS);
  });
}

int on_disconnect(int, void* data, void*) noexcept {
  const auto* event = static_cast<const mosquitto_evt_disconnect*>(data);
  return guarded(MOSQ_ERR_SUCCESS, "a disconnect", [&] {
    shared->instance->on_disconnect(client_of(event->client), read_clocks());
    return static_cast<int>(MOSQ_ERR_SUCCESS);
  });
}

int on_tick(int, void* data, void*) noexcept {
  ask_for_next_tick(data);
  return guarded(MOSQ_ERR_SUCCESS, "a tick", [&] {
    shared->instance->on_tick(read_clocks());
    return static_cast<int>(MOSQ_ERR_SUCCESS);
  });
}

// Any other result makes Mosquitto 2.0 drop its acl_file and password_file; any but success ends 2.1.
int on_reload(int, void*, void*) noexcept {
  const int answer = is_since_2_1() ? MOSQ_ERR_SUCCESS : MOSQ_ERR_PLUGIN_DEFER;
  return guarded(answer, "a reload", [&] {
    shared->instance->on_reload();
    return answer;
  });
}

// BASIC_AUTH is not among them: one that defers breaks clients that send a username under allow_anonymous.
struct Callback {
  int event;
  MOSQ_FUNC_generic_callback function;
  bool is_since_2_1 = false;
};
constexpr Callback kCallbacks[] = {
    {MOSQ_EVT_ACL_CHECK, on_acl_check},
    {MOSQ_EVT_MESSAGE, on_message},
    {MOSQ_EVT_CONTROL, on_control},
    {MOSQ_EVT_DISCONNECT, on_disconnect},
    {kEventClientOffline, on_disconnect, true},
    {MOSQ_EVT_TICK, on_tick},
    {MOSQ_EVT_RELOAD, on_reload},
};

// 2.0 finds a callback by its function alone, 2.1 by the identifier that it was registered with too.
void unregister_callbacks() noexcept {
  for (const auto& callback : kCallbacks) {
    if (callback.is_since_2_1 && !is_since_2_1()) continue;
    (void)::mosquitto_callback_unregister(shared->owner, callback.event, callback.function,
                                          shared->control_topic.c_str());
  }
}

[[nodiscard]] Status register_callbacks() {
  for (const auto& callback : kCallbacks) {
    if (callback.is_since_2_1 && !is_since_2_1()) continue;
    const int rc = ::mosquitto_callback_register(shared->owner, callback.event, callback.function,
                                                 shared->control_topic.c_str(), nullptr);
    if (rc == MOSQ_ERR_SUCCESS) continue;
    unregister_callbacks();
    return fail(Code::refused, "the broker did not take a callback (event " + std::to_string(callback.event) + ", " +
                                   std::to_string(rc) + "): is another plugin at " + shared->control_topic + "?");
  }
  return {};
}

void shut_down() noexcept {
  delete std::exchange(shared, nullptr);
}

void tell_of_access(const PluginOptions& options) {
  if (options.acl_fallthrough == AclFallthrough::allow) {
    shared->port.log(LogLevel::notice, "acl_fallthrough allow: an acl_file, if this broker has one, is not asked");
    if (options.operators.empty()) {
      shared->port.log(
          LogLevel::warning,
          "acl_fallthrough allow without plugin_opt_operators: every client may publish manifests and send " +
              shared->control_topic + " commands");
    }
  } else {
    shared->port.log(
        LogLevel::notice,
        "acl_fallthrough defer: the acl_file or another plugin decides; a broker with neither denies everything and "
        "needs plugin_opt_acl_fallthrough allow");
  }
}

[[nodiscard]] Status start(mosquitto_plugin_id_t* identifier, PluginOptions options) {
  shared = new Shared;
  auto instance = Instance::open(std::move(options), shared->port, read_clocks());
  if (!instance.has_value()) {
    shut_down();
    return fail(std::move(instance.error()));
  }
  shared->instance = std::move(*instance);
  shared->control_topic = shared->instance->control_topic();
  shared->owner = identifier;
  const auto registered = register_callbacks();
  if (!registered.has_value()) {
    shut_down();
    return registered;
  }
  tell_of_access(shared->instance->options());
  return {};
}

// A listener that the plugin does not guard would take manifests and wills, and give chunks, without its rules.
[[nodiscard]] Status check_reach(const mosquitto_plugin_id_t* identifier, const mosquitto_opt* lines, int line_count) {
  switch (reach_of(identifier, lines, line_count)) {
    case Reach::all_listeners: return {};
    case Reach::unknown:
      MosquittoPort().log(LogLevel::warning,
                          "this Mosquitto is newer than the plugin, which cannot see whether it guards all listeners: "
                          "it must, so leave per_listener_settings false and use no plugin_use for it");
      return {};
    case Reach::some_listeners: break;
  }
  if (is_since_2_1()) {
    return fail(Code::unsupported,
                "per_listener_settings is true, or the plugin is given to single listeners by plugin_use: what clients "
                "of other listeners do it does not see. Name it by a global_plugin line in place of that");
  }
  return fail(Code::unsupported,
              "per_listener_settings is true, under which Mosquitto gives plugins no clock and hides bridges from "
              "them: set it to false, and give what differs between listeners by users and the acl_file");
}

[[nodiscard]] Status load(mosquitto_plugin_id_t* identifier, const mosquitto_opt* lines, int line_count) {
  INSTAR_CHECK(check_reach(identifier, lines, line_count));
  introduce(identifier, INSTAR_VERSION);
  std::vector<OptionLine> given;
  for (int i = 0; i < line_count; ++i) given.push_back({view(lines[i].key), view(lines[i].value)});
  INSTAR_TRY(auto options, parse_options(given));
  if (shared != nullptr) {
    if (shared->instance->options() == options) return {};
    return fail(Code::invalid_argument,
                "this file is loaded by two `plugin` lines whose options differ: it works once for all listeners, so "
                "keep one line");
  }
  return start(identifier, std::move(options));
}

[[nodiscard]] int initialize(mosquitto_plugin_id_t* identifier, void** userdata, const mosquitto_opt* lines,
                             int line_count) {
  const auto loaded = load(identifier, lines, line_count);
  if (!loaded.has_value()) {
    // Mosquitto ends now, so the store is closed first.
    if (shared != nullptr) unregister_callbacks();
    shut_down();
    MosquittoPort().log(LogLevel::error, "not started: " + loaded.error().message);
    return MOSQ_ERR_INVAL;
  }
  *userdata = new Registration{identifier};
  ++shared->references;
  return MOSQ_ERR_SUCCESS;
}

}  // namespace
}  // namespace instar::broker

#define INSTAR_EXPORT extern "C" __attribute__((visibility("default")))

INSTAR_EXPORT int mosquitto_plugin_version(int supported_version_count, const int* supported_versions) {
  for (int i = 0; i < supported_version_count; ++i) {
    if (supported_versions[i] == MOSQ_PLUGIN_VERSION) return MOSQ_PLUGIN_VERSION;
  }
  return -1;
}

INSTAR_EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t* identifier, void** userdata, mosquitto_opt* options,
                                        int option_count) {
  using namespace instar::broker;
  return guarded(MOSQ_ERR_UNKNOWN, "the start",
                 [&] { return initialize(identifier, userdata, options, option_count); });
}

INSTAR_EXPORT int mosquitto_plugin_cleanup(void* userdata, mosquitto_opt*, int) {
  using namespace instar::broker;
  return guarded(MOSQ_ERR_SUCCESS, "the stop", [&] {
    const std::unique_ptr<Registration> registration(static_cast<Registration*>(userdata));
    if (registration == nullptr || shared == nullptr) return static_cast<int>(MOSQ_ERR_SUCCESS);
    // The broker forgets the identifier after this.
    if (registration->identifier == shared->owner) unregister_callbacks();
    if (--shared->references > 0) return static_cast<int>(MOSQ_ERR_SUCCESS);
    // The store is closed even if this throws.
    (void)guarded(0, "saving at the stop", [] {
      shared->instance->on_stop();
      return 0;
    });
    shut_down();
    return static_cast<int>(MOSQ_ERR_SUCCESS);
  });
}

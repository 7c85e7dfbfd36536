// The plugin as one thing behind all of Mosquitto's callbacks: guards the prefix, keeps presence, answers ACL checks,
// hands messages to the service. Knows Mosquitto's rules, not its headers; runs on the broker's main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "broker-plugin/mosquitto/backend.hpp"
#include "broker-plugin/mosquitto/connections.hpp"
#include "broker-plugin/mosquitto/options.hpp"
#include "broker-plugin/mosquitto/transfer_file.hpp"
#include "broker-plugin/mosquitto/waker.hpp"
#include "broker-plugin/service.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

// Somebody connected. The address names the connection and is never looked into; the views may be empty.
struct Client {
  const void* connection = nullptr;
  std::string_view id;
  std::string_view username;
};

enum class Access : std::uint8_t { read, write, other };
enum class AclAnswer : std::uint8_t { allow, deny, defer };
enum class MessageAnswer : std::uint8_t {
  route,
  swallow,  // goes through the routing, retained nowhere and readable by nobody: a clean PUBACK in every version of
            // MQTT
  deny,
};

class Instance {
 public:
  // Opens everything and starts the service. `port` outlives the instance.
  [[nodiscard]] static Result<std::unique_ptr<Instance>> open(PluginOptions options, BrokerPort& port, Now now);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  [[nodiscard]] const PluginOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::string control_topic() const { return topics_.control(); }

  [[nodiscard]] AclAnswer on_acl(const Client& client, Access access, std::string_view topic,
                                 std::size_t payload_bytes);
  // A message on a topic that guards() does not name: not worth looking at the clock for.
  void on_foreign_message() noexcept { forget_last_event(); }
  // `topic` must be the very text that the ACL check before it saw: its address tells whether we were asked.
  [[nodiscard]] MessageAnswer on_message(const Client& client, std::string_view topic, ByteView payload, wire::Qos qos,
                                         wire::Retain retain, Now now);
  void on_control(const Client& client, ByteView payload, Now now);
  void on_disconnect(const Client& client, Now now);
  void on_tick(Now now);
  void on_reload();
  // The broker stops.
  void on_stop();
  // Topics under the prefix and $CONTROL/<prefix>.
  [[nodiscard]] bool guards(std::string_view topic) const noexcept;

 private:
  Instance(PluginOptions options, BrokerPort& port, wire::Topics topics);
  void forget_last_event() noexcept;
  [[nodiscard]] Sender sender_of(const Client& client) const;
  [[nodiscard]] bool may_write(const Client& client, std::string_view topic, std::size_t payload_bytes) const;
  [[nodiscard]] bool may_read(const Client& client, std::string_view topic) const;
  [[nodiscard]] MessageAnswer swallow(std::string_view topic, wire::Qos qos);
  [[nodiscard]] bool write_was_checked(const Client& client, std::string_view topic) const noexcept;
  [[nodiscard]] AclAnswer fallthrough() const noexcept;
  void flush_transfers(Now now);

  PluginOptions options_;
  BrokerPort& port_;
  wire::Topics topics_;
  std::string control_prefix_;
  std::set<std::string, std::less<>> bridges_;
  Connections connections_;
  std::optional<TransferFile> transfer_file_;
  Now now_;

  // The write that ACL_CHECK has just seen; a MESSAGE without one was let through by somebody who answered before us.
  const void* checked_connection_ = nullptr;
  const char* checked_topic_ = nullptr;
  bool told_of_bypass_ = false;
  // A connection that has just ended: what it still writes is its last will.
  const void* ended_connection_ = nullptr;
  // While Mosquitto routes a message that we took.
  std::string swallowed_topic_;
  bool ticked_ = false;
  bool told_of_no_tick_ = false;
  MonotonicMs opened_;
  MonotonicMs told_of_lost_;

  // The store's threads wake through it: it goes last.
  std::unique_ptr<Waker> waker_;
  Backend backend_;
};

}  // namespace instar::broker

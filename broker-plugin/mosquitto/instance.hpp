// The plugin behind all of Mosquitto's callbacks. It guards the prefix, keeps presence, answers ACL checks and hands
// messages to the service. It knows Mosquitto's rules but not its headers, and runs on the broker's main thread.
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

// A client that is connected. The address only names the connection and is never dereferenced. The views may be empty.
struct Client {
  const void* connection = nullptr;
  std::string_view id;
  std::string_view username;
  std::string_view address = {};
  bool is_certified = false;
};

enum class Access : std::uint8_t { read, write, other };
enum class AclAnswer : std::uint8_t { allow, deny, defer };
enum class MessageAnswer : std::uint8_t {
  route,
  swallow,  // it is routed, but nobody may read it and it is not retained: this gives a clean PUBACK in every version
            // of MQTT
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
  // A message on a topic that guards() does not name. It does not need the time.
  void on_foreign_message() noexcept { forget_last_event(); }
  // `topic` must be the same text, at the same address, as in the ACL check before it: the address shows whether that
  // check was made.
  [[nodiscard]] MessageAnswer on_message(const Client& client, std::string_view topic, ByteView payload, wire::Qos qos,
                                         wire::Retain retain, Now now);
  void on_control(const Client& client, ByteView payload, Now now);
  void on_disconnect(const Client& client, Now now);
  void on_tick(Now now);
  void on_reload();
  // The broker is about to stop.
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

  // The write that ACL_CHECK has just seen. A MESSAGE without one was let through by another plugin before us.
  const void* checked_connection_ = nullptr;
  const char* checked_topic_ = nullptr;
  bool logged_bypass_ = false;
  // A connection that has just ended. If it still writes, that is its last will.
  const void* ended_connection_ = nullptr;
  // The topic of a message that we took, while Mosquitto routes it.
  std::string swallowed_topic_;
  bool ticked_ = false;
  bool logged_no_tick_ = false;
  MonotonicMs opened_;
  MonotonicMs logged_lost_;
  std::optional<MonotonicMs> logged_command_;  // that one was refused

  // The store's threads use it, so it is destroyed after the backend.
  std::unique_ptr<Waker> waker_;
  Backend backend_;
};

}  // namespace instar::broker

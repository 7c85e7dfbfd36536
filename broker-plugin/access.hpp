// Who may use which of our topics. The deployment decides about everything outside our prefix.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker-plugin/sender.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/wire/topics.hpp"

namespace instar::broker {

// Immutable.
class Access {
 public:
  // `operators`: usernames that may command and publish. If it is empty, the deployment's own ACLs decide.
  Access(wire::Topics topics, std::vector<std::string> operators, DeviceIdentity identity = DeviceIdentity::clientid);

  // True: allowed, or not ours.
  [[nodiscard]] bool may_write(const Sender& sender, std::string_view topic) const;
  [[nodiscard]] bool may_read(const Sender& sender, std::string_view topic) const;
  // Commands carry no signature: they need a sender who is known.
  [[nodiscard]] bool may_command(const Sender& sender) const;
  // Checks what can be checked before the payload is read. `topic`: nullopt when it has none of our forms; what stands
  // there an operator may clear by a message without payload, and nobody else writes there. Errors: malformed,
  // too_large, refused.
  [[nodiscard]] Status check_message(const Sender& sender, const std::optional<wire::Topic>& topic,
                                     std::size_t payload_bytes) const;

 private:
  [[nodiscard]] bool is_operator(const Sender& sender) const;
  // What a broker has retained below our prefix on a topic that is none.
  [[nodiscard]] bool may_clear(const Sender& sender) const;
  // It may speak as this device.
  [[nodiscard]] bool is_device(const Sender& sender, const DeviceId& device) const;

  wire::Topics topics_;
  std::vector<std::string> operators_;
  DeviceIdentity identity_;
};

// The name under which the log and the history have a sender: the username, else the client id. One line of clean text.
[[nodiscard]] std::string name_of(const Sender& sender);
// Who answers for the connection: the user name, else the address. One line of clean text.
[[nodiscard]] std::string login_of(const Sender& sender);

}  // namespace instar::broker

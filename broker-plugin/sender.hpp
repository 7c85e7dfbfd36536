// Who sent a message, and what of that shows which device it is.
#pragma once

#include <cstdint>
#include <string_view>

namespace instar::broker {

// What must be the device's id, besides the client id (the option device_identity, docs/broker.md).
enum class DeviceIdentity : std::uint8_t {
  clientid,     // nothing else: the broker's ACLs say who may use a client id
  username,     // the user name of the login
  certificate,  // the common name, or an alternative name, of the client's certificate
};

// Views are valid during the call.
struct Sender {
  std::string_view client_id;
  std::string_view username;
  bool identity_known = true;     // false behind a bridge
  std::string_view address = {};  // of its connection; for people to read
  bool is_certified = false;      // a name in its certificate is its client id
};

}  // namespace instar::broker

// Who sent a message.
#pragma once

#include <string_view>

namespace instar::broker {

// Views are valid during the call.
struct Sender {
  std::string_view client_id;
  std::string_view username;
  bool identity_known = true;  // false behind a bridge
};

}  // namespace instar::broker

// Which connection speaks for which client id. Mosquitto reports the end of a connection, never its beginning. It also
// reports the end of one that a newer connection of the same client has replaced, and of a session that ended long ago.
// So presence depends on the connection: a client is gone when the connection that last spoke for it is gone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace instar::broker {

class Connections {
 public:
  // A message of `client_id` came over `connection`, an address that only serves as a name. Returns the client that
  // this address was used for before, if that was another one and no other connection speaks for it.
  std::optional<std::string> seen(const void* connection, std::string_view client_id);
  // `connection` is closed. Returns its client. Returns nothing if it never sent a message, or if a newer connection
  // speaks for the client.
  std::optional<std::string> gone(const void* connection);
  [[nodiscard]] std::size_t size() const noexcept { return clients_.size(); }

 private:
  std::unordered_map<const void*, std::string> clients_;
  std::unordered_map<std::string, const void*> speakers_;
};

}  // namespace instar::broker

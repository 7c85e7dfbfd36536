// Which connection speaks for which client id. Mosquitto tells of the end of a connection (also of one that a newer
// connection of the same client has replaced, and of a session long gone), never of its beginning: so presence hangs on
// the connection, and a client is gone when the connection that spoke for it last is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace instar::broker {

class Connections {
 public:
  // A message of `client_id` came over `connection`, an address used as a name only. Returns the client that this
  // address stood for until now, if that was another one and no other connection speaks for it.
  std::optional<std::string> seen(const void* connection, std::string_view client_id);
  // `connection` is closed. Returns its client, or nothing: it never spoke, or a newer connection speaks for it.
  std::optional<std::string> gone(const void* connection);
  [[nodiscard]] std::size_t size() const noexcept { return clients_.size(); }

 private:
  std::unordered_map<const void*, std::string> clients_;
  std::unordered_map<std::string, const void*> speakers_;
};

}  // namespace instar::broker

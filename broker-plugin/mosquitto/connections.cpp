#include "broker-plugin/mosquitto/connections.hpp"

namespace instar::broker {

std::optional<std::string> Connections::seen(const void* connection, std::string_view client_id) {
  std::optional<std::string> replaced;
  const auto known = clients_.find(connection);
  if (known != clients_.end()) {
    if (known->second == client_id) {
      speakers_[known->second] = connection;
      return std::nullopt;
    }
    replaced = gone(connection);
  }
  clients_.emplace(connection, client_id);
  speakers_[std::string(client_id)] = connection;
  return replaced;
}

std::optional<std::string> Connections::gone(const void* connection) {
  const auto known = clients_.find(connection);
  if (known == clients_.end()) return std::nullopt;
  std::string client = std::move(known->second);
  clients_.erase(known);
  const auto speaker = speakers_.find(client);
  if (speaker == speakers_.end() || speaker->second != connection) return std::nullopt;
  speakers_.erase(speaker);
  return client;
}

}  // namespace instar::broker

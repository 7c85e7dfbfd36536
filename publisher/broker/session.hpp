// An operator's session with the broker: control requests and their answers, publishing, and what arrives.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "core/base/ids.hpp"
#include "core/wire/topics.hpp"
#include "mqtt/client.hpp"
#include "publisher/broker/connection.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

// What interrupts waiting: Ctrl-C in the program, nothing in tests.
[[nodiscard]] bool interrupted() noexcept;
void interrupt() noexcept;

// One thread. The connection comes back by itself; requests that were under way are sent again.
class Session {
 public:
  // Connects, waiting at most the connection's timeout. Errors: unreachable, with what the operator may do about it.
  [[nodiscard]] static Outcome<std::unique_ptr<Session>> open(const Connection& connection, wire::Topics topics,
                                                              ClientId client_id, std::unique_ptr<mqtt::Client> client);
  ~Session();

  [[nodiscard]] const wire::Topics& topics() const noexcept { return topics_; }
  [[nodiscard]] const ClientId& client_id() const noexcept { return client_id_; }
  [[nodiscard]] std::int64_t timeout_ms() const noexcept { return connection_.timeout_ms; }

  // Sends one command of docs/formats/control.md and returns its `data`.
  // Errors: refused (the broker's error, its words), timed_out (no answer: no plugin, another prefix, an ACL),
  // unreachable.
  [[nodiscard]] Outcome<Json> request(const std::string& command, Json parameters = Json::object());
  // Hands over one message, waiting while the connection is away or full. Errors: unreachable.
  [[nodiscard]] Outcome<void> publish(mqtt::Message message);
  // Like publish(), but at once or `false`.
  [[nodiscard]] bool try_publish(mqtt::Message message);
  [[nodiscard]] Outcome<void> subscribe(const std::string& filter);
  // The next message or change of the connection, waiting at most `wait_ms`; answers to requests are not among them.
  [[nodiscard]] std::optional<mqtt::Event> next(std::uint32_t wait_ms);

 private:
  Session(Connection connection, wire::Topics topics, ClientId client_id, std::unique_ptr<mqtt::Client> client);
  [[nodiscard]] Outcome<void> wait_connected();
  // The answer with this correlation in a response message, if there is one; an error there that names no request goes
  // to `uncorrelated_error` (a broker that refuses a whole message does not read it).
  [[nodiscard]] static std::optional<Json> answer_in(const mqtt::Message& message, const std::string& correlation,
                                                     std::string& uncorrelated_error);
  [[nodiscard]] tl::unexpected<Failure> unreachable() const;

  Connection connection_;
  wire::Topics topics_;
  ClientId client_id_;
  std::unique_ptr<mqtt::Client> client_;
  std::deque<mqtt::Event> waiting_;  // came while a request was under way
  std::string last_reason_;
  std::uint64_t requests_ = 0;
  bool control_subscribed_ = false;
};

// The real thing: settles the options, makes a client id, connects by Paho.
[[nodiscard]] Outcome<std::unique_ptr<Session>> connect(const ConnectionOptions& options);

}  // namespace instar::publisher

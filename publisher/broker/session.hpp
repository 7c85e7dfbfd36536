// An operator's session with the broker: control requests and their answers, publishing, and incoming messages.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "core/base/ids.hpp"
#include "core/wire/topics.hpp"
#include "mqtt/client.hpp"
#include "publisher/broker/connection.hpp"
#include "publisher/broker/wait_notice.hpp"
#include "publisher/console/console.hpp"
#include "publisher/console/failure.hpp"

namespace instar::publisher {

// Whether to stop waiting: after Ctrl-C in the program, never in tests.
[[nodiscard]] bool interrupted() noexcept;
void interrupt() noexcept;

// For one thread. A lost connection comes back by itself, and requests without an answer are sent again.
class Session {
 public:
  // Connects, and waits at most the connection's timeout. Errors: unreachable, with what the operator may do about it.
  // `notices`: where it says what it waits for; null: nowhere.
  [[nodiscard]] static Outcome<std::unique_ptr<Session>> open(const Connection& connection, wire::Topics topics,
                                                              ClientId client_id, std::unique_ptr<mqtt::Client> client,
                                                              std::ostream* notices = nullptr);
  ~Session();

  [[nodiscard]] const wire::Topics& topics() const noexcept { return topics_; }
  // What the client has called itself, until the broker's answer to getVersion has said how it knows it: a broker may
  // make client ids out of user names.
  [[nodiscard]] const ClientId& client_id() const noexcept { return client_id_; }
  [[nodiscard]] std::int64_t timeout_ms() const noexcept { return connection_.timeout_ms; }

  // Sends one command of docs/formats/control.md and returns its `data`.
  // Errors: refused (with the broker's own text), timed_out (no answer: no plugin, another prefix, an ACL),
  // unreachable.
  [[nodiscard]] Outcome<Json> request(const std::string& command, Json parameters = Json::object());
  // Publishes one message. Waits while the connection is lost or full. Errors: unreachable.
  [[nodiscard]] Outcome<void> publish(mqtt::Message message);
  // Like publish(), but returns `false` instead of waiting.
  [[nodiscard]] bool try_publish(mqtt::Message message);
  // `is_needed`: no work without it. The broker may refuse what is not, and nothing comes then.
  [[nodiscard]] Outcome<void> subscribe(const std::string& filter, bool is_needed = true);
  // The next message or change of the connection, except answers to requests. Waits at most `wait_ms`.
  [[nodiscard]] std::optional<mqtt::Event> next(std::uint32_t wait_ms);
  // What was found that does not pass by itself, such as a message that is too large for the broker: waiting longer is
  // in vain. nullopt: nothing.
  [[nodiscard]] const std::optional<Failure>& fault() const noexcept { return fault_; }
  // Why there is no connection now; nullopt: there is one.
  [[nodiscard]] std::optional<Failure> lost() const;
  // To be called while something does not come: says what for after a moment.
  void waits_for(const std::string& what);
  void waits_no_more() noexcept { notice_.over(); }
  // Messages of QoS 1 on their way to the broker.
  [[nodiscard]] std::size_t unacknowledged() { return client_->unacknowledged(); }
  // Once in a session: begins to find out why nobody answers. What is found comes out in fault(), in the notices, and
  // in words_of_silence().
  void find_out_why(mqtt::Silence silence);
  // What was found of a silence, after a ". "; empty: nothing.
  [[nodiscard]] std::string words_of_silence() const { return silence_.empty() ? "" : ". " + silence_; }

 private:
  Session(Connection connection, wire::Topics topics, ClientId client_id, std::unique_ptr<mqtt::Client> client,
          std::ostream* notices);
  void note(const mqtt::Event& event);
  // Says what is waited for, and begins to find out why when nothing has ever been answered.
  void is_silent(const std::string& command, const mqtt::Message& message, MonotonicMs since);
  [[nodiscard]] tl::unexpected<Failure> not_answered(const std::string& command) const;
  [[nodiscard]] Outcome<void> wait_connected();
  // The answer with this correlation in a response message, if there is one. An error that names no request goes to
  // `uncorrelated_error`: a broker that refuses a whole message does not read what is in it.
  [[nodiscard]] static std::optional<Json> answer_in(const mqtt::Message& message, const std::string& correlation,
                                                     std::string& uncorrelated_error);
  [[nodiscard]] tl::unexpected<Failure> unreachable() const;
  void take_client_id(const Json& data);

  Connection connection_;
  wire::Topics topics_;
  ClientId client_id_;
  std::unique_ptr<mqtt::Client> client_;
  std::deque<mqtt::Event> waiting_;  // events that came during a request
  WaitNotice notice_;
  std::string last_reason_;  // of the library, why the connection is gone
  std::string explanation_;  // why, in full
  bool is_lasting_ = false;  // of the explanation
  std::string silence_;      // why nobody answers
  std::optional<Failure> fault_;
  bool was_answered_ = false;  // a request
  bool asked_why_ = false;
  std::uint64_t requests_ = 0;
  bool control_subscribed_ = false;
};

// For the program: settles the options, makes a client id and connects by Paho.
[[nodiscard]] Outcome<std::unique_ptr<Session>> connect(const ConnectionOptions& options);

}  // namespace instar::publisher

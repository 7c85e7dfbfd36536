// MQTT for a device or an operator: a narrow port with an MQTT library behind it. Two adapters implement it, paho_cpp/
// with Eclipse Paho MQTT C++ and paho_c/ with the C library below that. A program links one of them.
//
// Threads: events come from the library's own threads into a bounded queue. One owner thread calls take() and
// everything else. MQTT 3.1.1. take() also connects again after a failure, with exponential backoff and jitter. An
// owner that waits on event_fd() is woken for that too, and take() may then return nothing. Subscriptions are made
// again at each connect, before the owner receives `connected`, so that they come before all that it publishes then.
// Not at once where a connection that had lasted comes back and the broker has kept its session, and them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/wire/delivery.hpp"
#include "mqtt/fault.hpp"

namespace instar::mqtt {

struct Message {
  std::string topic;
  Bytes payload;
  wire::Qos qos = wire::Qos::at_most_once;
  wire::Retain retain = wire::Retain::no;  // of a message that came: the broker had kept it
};

// disconnected: the connection was lost, or an attempt to connect failed, or the broker refused a subscription that is
// needed. explained: the words for a `disconnected` that came before, or what find_out_why() has found. cut_off: the
// start of a message that was under way when the connection was lost; it comes before `disconnected`.
enum class EventKind : std::uint8_t { connected, disconnected, message, explained, cut_off };
struct Event {
  EventKind kind = EventKind::message;
  Message message;               // kind == message; of a refused subscription its topic is the filter
  std::string reason;            // disconnected: what the library says. explained: what happened and what mends it
  Fault fault = Fault::unknown;  // explained. `unknown`: no more than the library's words, or, of a silence, nothing
  bool is_opened = false;        // connected: the message of open_with() went out with the request to connect
  bool is_lasting = false;       // connected: the broker has kept the session
  std::size_t bytes = 0;         // cut_off: that the payload would have had
};

// A message that nobody answers.
struct Silence {
  Message message;
  std::vector<std::string> answers_on;  // the topics on which an answer would come
  // To be found out with the client's own id, because the topics have it in them. The client's connection ends by that,
  // and comes back.
  bool same_id = false;
  // Messages on that topic have been answered before, so the client may write there: that this one is refused is a word
  // of who answers, about the message.
  bool was_answered = false;
};

struct Subscription {
  std::string filter;
  wire::Qos qos = wire::Qos::at_least_once;
  bool is_needed = true;  // false: the broker may refuse it, and nothing comes then
};

struct Options {
  std::string server_uri;  // tcp://host:1883, ssl://host:8883
  std::string client_id;
  std::string username;
  std::string password;
  std::string ca_file;           // PEM; with ssl:// only
  std::string certificate_file;  // client certificate, optional
  std::string key_file;
  bool clean_session = false;
  std::uint32_t keepalive_s = 60;
  std::uint32_t reconnect_ms_min = 500;
  std::uint32_t reconnect_ms_max = 120'000;
  std::uint32_t connect_timeout_s = 30;
  std::optional<Message> will;
  std::vector<Subscription> subscriptions;
  // Events that are kept while the owner is busy. Past this bound incoming QoS 0 messages are dropped (and counted),
  // and for other messages the library's thread waits.
  std::size_t queue_events_max = 256;
  bool takes_cut_messages = false;  // `cut_off` is reported
};

class Client {
 public:
  virtual ~Client() = default;
  // Starts connecting in the background. Errors: invalid_argument (options), unavailable.
  [[nodiscard]] virtual Status start() = 0;
  // Passes the message to the connection. `unavailable` when it is not connected or its buffer is full; then nothing is
  // queued.
  [[nodiscard]] virtual Status publish(Message message) = 0;
  // Without a connection: the next attempt to connect sends this message right behind its request, so that it is there
  // a round trip earlier; once. QoS 0. Whether it went, `connected` says. Subscriptions are those that the broker has
  // kept.
  virtual void open_with(Message message) { static_cast<void>(message); }
  // Waits at most `timeout_ms` for the next event. Also makes the next attempt to connect when it is due.
  [[nodiscard]] virtual std::optional<Event> take(std::uint32_t timeout_ms) = 0;
  [[nodiscard]] virtual bool is_connected() const noexcept = 0;
  // Adds a subscription now and at each later connect.
  [[nodiscard]] virtual Status subscribe(Subscription subscription) = 0;
  // Removes a subscription, now and for later connects.
  [[nodiscard]] virtual Status unsubscribe(const std::string& filter) = 0;
  // Messages of QoS 1 or more that the broker has not acknowledged yet.
  [[nodiscard]] virtual std::size_t unacknowledged() { return 0; }
  // Begins to find out, by a connection of its own, why nobody answers. The message is sent once more. An `explained`
  // event comes when it is known, or when nothing was found. Does nothing while something else is being found out.
  virtual void find_out_why(Silence silence) { static_cast<void>(silence); }
  // A file descriptor that becomes readable when take() has something; -1 if none. An owner that waits for it takes
  // until there is nothing more.
  [[nodiscard]] virtual int event_fd() const noexcept = 0;
  // QoS 0 messages dropped because the owner was too slow.
  [[nodiscard]] virtual std::uint64_t dropped_messages() const noexcept = 0;
  // Disconnects in an orderly way: what was published is sent first, and the will is not sent. Waits at most
  // `timeout_ms`. There are no events after it.
  virtual void stop(std::uint32_t timeout_ms) = 0;
};

// A client of the adapter that the program is linked with. It is not started.
[[nodiscard]] std::unique_ptr<Client> make_client(Options options);

}  // namespace instar::mqtt

// What a client needs of an MQTT library: the part of the port that each adapter implements. Whatever does not depend
// on the library is done above it (reconnecting_client.hpp) or beside it (Reports).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "mqtt/client.hpp"
#include "mqtt/event_queue.hpp"
#include "mqtt/failure_text.hpp"

namespace instar::mqtt {

// What the library's threads report. Each function pushes into the queue and does nothing else.
class Reports {
 public:
  explicit Reports(const Options& options) : options_(options), queue_(options.queue_events_max) {}

  // The library's threads.
  // `is_lasting`: the broker has kept the session.
  void connected(bool is_lasting) noexcept;
  void connect_failed(const ConnectFailure& failure) noexcept;
  // Before it, what has arrived of a message is reported.
  void connection_lost(std::string_view cause) noexcept;
  void subscription_refused(const std::string& filter) noexcept;
  void subscription_granted() noexcept { ++granted_; }
  void message_arrived(Message message) noexcept { queue_.push({EventKind::message, std::move(message), {}}); }

  // Owner's thread.
  void set_connected(bool connected) noexcept { connected_ = connected; }
  void forget_granted() noexcept { granted_ = 0; }
  // Any thread.
  [[nodiscard]] std::size_t granted() const noexcept { return granted_; }
  [[nodiscard]] bool is_connected() const noexcept { return connected_; }
  [[nodiscard]] EventQueue& queue() noexcept { return queue_; }
  [[nodiscard]] const EventQueue& queue() const noexcept { return queue_; }

 private:
  void report_cut_message() noexcept;

  const Options options_;
  EventQueue queue_;
  // The owner has received `connected`, and the library has not lost that connection since.
  std::atomic<bool> connected_ = false;
  std::atomic<std::size_t> granted_ = 0;
};

// All functions: owner's thread, none waits for the network. An error's message is what the library says; nothing has
// begun then. Once created, a transport lasts as long as the process: Paho's threads may still be at work on a client
// while it is destroyed (https://github.com/eclipse-paho/paho.mqtt.c/issues/1669; here a command once ended with a
// corrupted heap, among some 30,000 that did not). A process makes one client or two: what stays is some KB, and
// Paho's threads, which have nothing to do.
class Transport {
 public:
  explicit Transport(const Options& options) : reports_(options) {}
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Once, before all else.
  [[nodiscard]] virtual Status create() = 0;
  // Begins an attempt to connect, whose outcome is reported.
  [[nodiscard]] virtual Status connect() = 0;
  [[nodiscard]] virtual Status publish(const Message& message) = 0;
  // The broker's answer is reported.
  [[nodiscard]] virtual Status subscribe(const Subscription& subscription) = 0;
  [[nodiscard]] virtual Status unsubscribe(const std::string& filter) = 0;
  // Messages of QoS 1 or more without an acknowledgement.
  [[nodiscard]] virtual std::size_t unacknowledged() = 0;
  // Ends a connection that stands, at once. Not reported.
  virtual void drop() = 0;
  // Lets what is in flight finish, then disconnects; waits for that at most `timeout_ms`.
  virtual void disconnect(std::uint32_t timeout_ms) = 0;

  [[nodiscard]] Reports& reports() noexcept { return reports_; }
  [[nodiscard]] const Reports& reports() const noexcept { return reports_; }

 private:
  Reports reports_;
};

}  // namespace instar::mqtt

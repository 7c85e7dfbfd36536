// The client of the port, for any library. It connects again when the connection is lost, and subscribes again.
#pragma once

#include <chrono>
#include <memory>
#include <random>
#include <vector>

#include "mqtt/backoff.hpp"
#include "mqtt/client.hpp"
#include "mqtt/diagnosis_thread.hpp"
#include "mqtt/transport.hpp"

namespace instar::mqtt {

class ReconnectingClient final : public Client {
 public:
  ReconnectingClient(Options options, std::unique_ptr<Transport> transport);
  ~ReconnectingClient() override;
  ReconnectingClient(const ReconnectingClient&) = delete;
  ReconnectingClient& operator=(const ReconnectingClient&) = delete;

  Status start() override;
  Status publish(Message message) override;
  void open_with(Message message) override;
  std::optional<Event> take(std::uint32_t timeout_ms) override;
  bool is_connected() const noexcept override { return transport_->reports().is_connected(); }
  Status subscribe(Subscription subscription) override;
  Status unsubscribe(const std::string& filter) override;
  std::size_t unacknowledged() override;
  void find_out_why(Silence silence) override;
  int event_fd() const noexcept override { return epoll_fd_; }
  std::uint64_t dropped_messages() const noexcept override { return queue().dropped(); }
  void stop(std::uint32_t timeout_ms) override;

 private:
  using Clock = std::chrono::steady_clock;

  void attempt();
  void schedule_attempt();
  void set_timer(std::uint32_t ms);
  bool timer_fired();
  void send_subscriptions(const std::vector<Subscription>& subscriptions);
  void subscribe_again();
  // Also of one that was given up meanwhile.
  [[nodiscard]] bool is_refusal_of_what_is_not_needed(const Event& event) const noexcept;
  // A connection that had lasted ended, as far as is known by a fault of the link: there is nothing to find out, and
  // the next attempt is made at once.
  [[nodiscard]] bool is_to_come_back(const Event& event, Clock::duration lasted);
  // After a failure: says the cause at once where it is known, or begins to find it out. The next attempt comes after
  // that.
  void explain(const Event& event, Clock::duration lasted);
  [[nodiscard]] std::optional<Event> take_explanation();
  // Updates our own state by an event before the owner gets the event.
  void note(Event& event);
  [[nodiscard]] bool can_send() const noexcept { return is_connected() && !stopped_; }
  [[nodiscard]] EventQueue& queue() noexcept { return transport_->reports().queue(); }
  [[nodiscard]] const EventQueue& queue() const noexcept { return transport_->reports().queue(); }

  Options options_;
  std::unique_ptr<Transport> transport_;
  Backoff backoff_;
  int timer_fd_ = -1;  // readable when the next attempt is due
  int epoll_fd_ = -1;  // over the timer, the queue and the diagnosis
  DiagnosisThread diagnosis_;
  Traffic sent_;
  std::string failure_;                 // what the library said of the last failure
  std::uint64_t failures_ = 0;          // in a row with these words
  std::size_t subscriptions_sent_ = 0;  // over this connection
  bool has_subscriptions_ = false;      // the broker, all of `options_`, if it grants those that were sent
  bool comes_back_ = false;             // from a connection that had lasted: one failure more says little
  std::uint64_t short_lived_ = 0;       // connections in a row that ended before they had proved good
  std::optional<Event> explained_;      // to be taken next
  std::optional<Finding> explanation_;  // of the last diagnosis, for failures with the same words
  bool asks_why_ = false;               // the diagnosis that runs is of a silence
  bool takes_over_ = false;             // it has our own id, so it ends our connection
  Clock::time_point connected_at_;
  bool created_ = false;
  bool stopped_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace instar::mqtt

// Passes events from the library's threads to the owner. Its descriptor is readable while there are some.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "mqtt/client.hpp"

namespace instar::mqtt {

class EventQueue {
 public:
  // At most so many events, and limits::kEventBytesMax bytes of messages.
  explicit EventQueue(std::size_t events_max);
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  // May be called by any thread. Connects and disconnects always fit. QoS 0 messages past the bound are dropped and
  // counted. Other messages wait for room.
  void push(Event event) noexcept;

  // To be called by the owner's thread.
  [[nodiscard]] std::optional<Event> pop();

  // While one exists, push() does not wait: the owner is inside the library, which may need the lock that a waiting
  // callback holds.
  class NoWaiting {
   public:
    explicit NoWaiting(EventQueue& queue) : queue_(queue) { queue_.change_no_waiting(1); }
    ~NoWaiting() { queue_.change_no_waiting(-1); }
    NoWaiting(const NoWaiting&) = delete;
    NoWaiting& operator=(const NoWaiting&) = delete;

   private:
    EventQueue& queue_;
  };

  // Drops all events, also later ones, and closes the descriptor. After it nobody waits in push().
  void close();

  // Readable while pop() has something; -1 when closed.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  void change_no_waiting(int by);
  [[nodiscard]] bool has_room(std::size_t bytes) const noexcept;

  const std::size_t events_max_;
  int fd_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::deque<Event> events_;
  std::size_t bytes_ = 0;  // of their payloads
  int no_waiting_ = 0;
  bool closed_ = false;
  std::uint64_t dropped_ = 0;
};

}  // namespace instar::mqtt

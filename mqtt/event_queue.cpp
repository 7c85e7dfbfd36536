#include "mqtt/event_queue.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"

namespace instar::mqtt {

EventQueue::EventQueue(std::size_t events_max)
    : events_max_(events_max), fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  INSTAR_ASSERT(fd_ >= 0);
  INSTAR_ASSERT(events_max_ > 0);
}

EventQueue::~EventQueue() {
  if (!closed_) ::close(fd_);
}

// One message always fits: a packet has a bound of its own.
bool EventQueue::has_room(std::size_t bytes) const noexcept {
  return events_.empty() || (events_.size() < events_max_ && bytes_ + bytes <= limits::kEventBytesMax);
}

void EventQueue::push(Event event) noexcept {
  std::unique_lock lock(mutex_);
  const auto bytes = event.message.payload.size();
  if (event.kind == EventKind::message && !has_room(bytes)) {
    if (event.message.qos == wire::Qos::at_most_once) {
      ++dropped_;
      return;
    }
    room_.wait(lock, [&] { return has_room(bytes) || no_waiting_ > 0 || closed_; });
  }
  if (closed_) return;
  bytes_ += bytes;
  events_.push_back(std::move(event));
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

std::optional<Event> EventQueue::pop() {
  const std::scoped_lock lock(mutex_);
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  INSTAR_ASSERT(bytes_ >= event.message.payload.size());
  bytes_ -= event.message.payload.size();
  if (events_.empty()) {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
  }
  room_.notify_all();
  return event;
}

void EventQueue::close() {
  const std::scoped_lock lock(mutex_);
  if (closed_) return;
  closed_ = true;
  events_.clear();
  bytes_ = 0;
  ::close(fd_);
  fd_ = -1;
  room_.notify_all();
}

std::uint64_t EventQueue::dropped() const noexcept {
  const std::scoped_lock lock(mutex_);
  return dropped_;
}

void EventQueue::change_no_waiting(int by) {
  const std::scoped_lock lock(mutex_);
  no_waiting_ += by;
  INSTAR_ASSERT(no_waiting_ >= 0);
  room_.notify_all();
}

}  // namespace instar::mqtt

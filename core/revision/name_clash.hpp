// Whether this device is alone under its name. The broker takes a hello only when it is later than the last one, by
// start and number; when it is not, its ack says of which start that one was. Then this device has lost its state, or
// another one speaks under the same name with the same key: it goes on above it. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "core/base/time.hpp"
#include "core/wire/messages.hpp"

namespace instar::revision {

class NameClash {
 public:
  enum class Told : std::uint8_t {
    nothing,  // an old hello of this device was sent again, by whoever it was: the broker has a later one of it
    go_on,    // starts go on above the one that the ack names
    too_far,  // that start is absurdly far away: an operator has to make room (instar devices replace)
  };
  // `ack`: its code is stale. `boot`, `instance`: this device's own; 0: not known.
  [[nodiscard]] Told told(const wire::Ack& ack, std::uint32_t boot, std::uint64_t instance, MonotonicMs now);
  // The broker takes what this device says, whose last hello went out at `hello_at`. True: that start is not too far
  // any more, an operator has made room.
  [[nodiscard]] bool taken(MonotonicMs hello_at) noexcept;
  // When what has happened again and again will be over an hour ago.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline(MonotonicMs now) const;
  // It has gone on once in this run.
  [[nodiscard]] bool is_first() const noexcept { return went_on_.size() == 1; }
  // What is wrong, for a person: it has happened again and again within an hour, or is too far. Empty: nothing is.
  [[nodiscard]] std::string trouble(MonotonicMs now) const;
  // What is remembered is in order and bounded.
  void assert_invariants() const;

 private:
  std::deque<MonotonicMs> went_on_;  // the last limits::kClashesMax
  std::uint32_t far_ = 0;            // the start that is too far; 0: none is
  MonotonicMs far_at_;               // when the broker said so last
};

}  // namespace instar::revision

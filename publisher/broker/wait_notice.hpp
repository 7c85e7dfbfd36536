// Nothing is waited for in silence: after a moment a line says what for, and later ones how long already.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "core/base/time.hpp"

namespace instar::publisher {

// Not thread-safe.
class WaitNotice {
 public:
  // `out` may be null: then nothing is written.
  explicit WaitNotice(std::ostream* out) : out_(out) {}

  // It is being waited for `what` now. The first line comes after three seconds; each further one when the time has
  // doubled, or when it is something else.
  void waiting(const std::string& what, MonotonicMs now);
  // It came.
  void over() noexcept { since_.reset(); }
  // Something that the operator should know at once.
  void note(const std::string& text) const;

 private:
  std::ostream* out_;
  std::string what_;
  std::optional<MonotonicMs> since_;
  std::int64_t next_after_ms_ = 0;
};

}  // namespace instar::publisher

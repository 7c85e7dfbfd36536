// How many lines of one kind go into the log: a few a minute for each subject, and a bounded number in all. The others
// are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "core/base/limits.hpp"
#include "core/base/time.hpp"

namespace instar::broker {

class LineLimit {
 public:
  // Whether a line about `subject` is to be written now.
  [[nodiscard]] bool may_write(const std::string& subject, MonotonicMs now);
  // Lines that were left out, once a minute at most; 0: none, or not yet.
  [[nodiscard]] std::uint64_t take_left_out(MonotonicMs now) noexcept;

  void assert_invariants() const;

 private:
  struct Written {
    MonotonicMs since;      // of the first
    std::size_t lines = 0;  // at most kLinesPerSubjectMax
  };
  void forget_old(MonotonicMs now);

  std::map<std::string, Written> written_;
  std::size_t lines_ = 0;  // of all subjects: at most kComplaintsPerMinuteMax
  std::uint64_t left_out_ = 0;
  MonotonicMs since_;  // when the first of those was left out
};

}  // namespace instar::broker

// A progress line on a terminal: share, bytes, rate, time left. If the output is not a terminal, nothing is written.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "core/base/time.hpp"

namespace instar::publisher {

// The line for one moment, without cursor movements: "packing full   42%  [#####      ]  12.1 MB of 28.8 MB  3.10
// MB/s  5.2 s left".
[[nodiscard]] std::string progress_line(const std::string& label, std::uint64_t done, std::uint64_t all,
                                        std::int64_t elapsed_ms, std::size_t columns);

// Not thread-safe.
class Progress {
 public:
  // If `on` is false, nothing is ever written.
  Progress(std::ostream& out, bool on, std::string label, MonotonicMs start);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { finish(); }
  // Draws at most ten times a second, and at the end.
  void update(std::uint64_t done, std::uint64_t all, MonotonicMs now);
  // Removes the line before the command prints its own output.
  void finish();

 private:
  std::ostream& out_;
  bool on_;
  std::string label_;
  MonotonicMs start_;
  MonotonicMs drawn_{-1'000'000};
  bool shown_ = false;
};

}  // namespace instar::publisher

// Long work: how it reports its progress, and how it is stopped.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/result.hpp"

namespace instar::publisher {

struct Work {
  // Called by the thread that does the work or waits for it, with what is being done, the bytes done and all bytes.
  std::function<void(const std::string& what, std::uint64_t done, std::uint64_t all)> progress;
  // Called now and then, by any thread. If it returns true, the work stops and leaves nothing behind.
  std::function<bool()> stopped;

  void tell(const std::string& what, std::uint64_t done, std::uint64_t all) const {
    if (progress) progress(what, done, all);
  }
  // Errors: unavailable, when the work is to stop.
  [[nodiscard]] Status go_on() const {
    if (stopped && stopped()) return fail(Code::unavailable, "stopped before the end; nothing of it was kept");
    return {};
  }
};

}  // namespace instar::publisher

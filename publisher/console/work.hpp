// Long work: how it tells how far it is, and how it learns that it is not wanted any more.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/result.hpp"

namespace instar::publisher {

struct Work {
  // Called from the thread that does the work or waits for it: what is being done, bytes done of bytes in all.
  std::function<void(const std::string& what, std::uint64_t done, std::uint64_t all)> progress;
  // Asked now and then, from any thread. True: stop, and leave nothing behind.
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

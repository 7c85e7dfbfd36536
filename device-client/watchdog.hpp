// Two watchdogs: the machine's own (/dev/watchdog), fed while the client runs and its containers are well, and
// systemd's, fed while the client runs.
//
// A client that hangs stops feeding by that alone. Containers that are not well for kPatienceMs, in spite of restarts,
// end the feeding of the machine's, and it is booted; a release that can never run does not boot it for ever (kBootsMax
// in a row). The count is on disk before the feeding ends, and goes once the containers have been well for kPatienceMs.
//
// One thread, the daemon's. What a crash leaves behind: a watchdog that is not fed, which is what it is for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/base/time.hpp"
#include "device-client/process/log.hpp"

namespace instar::device {

class Watchdog {
 public:
  // Containers may be down for so long before it is told no more.
  static constexpr std::int64_t kPatienceMs = 600'000;
  // Boots in a row without containers that stayed well. Then it is fed all the same, and the device stays reachable.
  static constexpr std::uint32_t kBootsMax = 3;

  struct Options {
    std::string device;           // empty: none
    std::uint32_t timeout_s = 0;  // asked of the device; it may have another one
    std::string notify_socket;    // systemd's NOTIFY_SOCKET; empty: none
    std::uint64_t notify_us = 0;  // its WATCHDOG_USEC
    std::string count_file;       // boots in a row
    const Log* log = nullptr;     // outlives it
  };
  // Errors: not_found, io (the device cannot be opened).
  [[nodiscard]] static Result<Watchdog> start(Options options, MonotonicMs now);
  Watchdog(Watchdog&& other) noexcept;
  Watchdog& operator=(Watchdog&& other) = delete;
  // Leaves the device running down, unless stop() was called.
  ~Watchdog();

  // Feeds if it is time and nothing speaks against it.
  void tick(bool containers_well, MonotonicMs now);
  // An end that somebody asked for: the device is switched off, if it can be.
  void stop();
  // nullopt: there is nothing to feed.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  // Machine boots that ended without well containers, as far as it knows.
  [[nodiscard]] std::uint32_t boots() const noexcept { return boots_; }
  // The machine's own.
  [[nodiscard]] bool is_feeding() const noexcept { return feeding_; }

 private:
  explicit Watchdog(Options options) : options_(std::move(options)) {}
  void judge(bool containers_well, MonotonicMs now);
  void feed();
  void say(const char* text) const;

  Options options_;
  int fd_ = -1;
  std::int64_t every_ms_ = 0;  // 0: nothing to feed
  MonotonicMs fed_;
  std::uint32_t boots_ = 0;
  bool feeding_ = true;
  std::optional<MonotonicMs> unwell_since_;
  std::optional<MonotonicMs> well_since_;
};

}  // namespace instar::device

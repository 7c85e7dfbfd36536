// Two watchdogs: the machine's own (/dev/watchdog), fed while the client runs and its containers are well, and
// systemd's, fed while the client runs.
//
// A client that hangs does not feed them any more. If containers are not well for kPatienceMs, in spite of restarts,
// the machine's watchdog is not fed any more, and the machine boots. A release that can never run does not boot it for
// ever: there is a limit of limits::kWatchdogBootsMax in a row. The count is on disk before the feeding ends, and is
// removed once the containers have been well for kPatienceMs.
//
// For one thread, the daemon's. After a crash the watchdog is not fed, as intended.
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
  // Containers may be down for so long before the watchdog is not fed any more.
  static constexpr std::int64_t kPatienceMs = 600'000;

  struct Options {
    std::string device;           // empty: none
    std::uint32_t timeout_s = 0;  // set on the device, which may use another one
    std::string notify_socket;    // systemd's NOTIFY_SOCKET; empty: none
    std::uint64_t notify_us = 0;  // its WATCHDOG_USEC
    std::string count_file;       // boots in a row
    const Log* log = nullptr;     // must outlive the watchdog
  };
  // Errors: not_found, io (the device cannot be opened).
  [[nodiscard]] static Result<Watchdog> start(Options options, MonotonicMs now);
  Watchdog(Watchdog&& other) noexcept;
  Watchdog& operator=(Watchdog&& other) = delete;
  // Leaves the watchdog of the machine running, unless stop() was called.
  ~Watchdog();

  // Feeds the watchdogs if it is time and all is well.
  void tick(bool containers_well, MonotonicMs now);
  // For an end that somebody asked for. The machine's watchdog is switched off if possible.
  void stop();
  // nullopt: there is nothing to feed.
  [[nodiscard]] std::optional<MonotonicMs> next_deadline() const;
  // The counted boots in a row that ended without well containers.
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

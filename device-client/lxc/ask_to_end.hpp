// Asks the first program of a container to end, in the way that it understands. This is a part of instar-lxc.
//
// The kernel passes a signal to the first program of a container only if that has a handler for it: any other signal is
// dropped, whatever is done to a program elsewhere. So a plain program that is no init never notices that it should
// end. What it does with signals stands in /proc, and waiting for what cannot happen only makes a switch longer.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/limits.hpp"

namespace instar::device {

// What a process does with signals, and since when it is there.
struct Signals {
  std::uint64_t blocked = 0;  // bit 0: signal 1. A program that reads signals from a descriptor blocks them
  std::uint64_t caught = 0;
  std::uint64_t ignored = 0;
  bool has_ended = false;  // and waits to be reaped
  bool waits = false;      // in sigwait(), while which what it waits for does not count as blocked, and is not known

  [[nodiscard]] bool catches(int signal) const noexcept { return (caught >> (signal - 1) & 1U) != 0; }
  [[nodiscard]] bool ignores(int signal) const noexcept { return (ignored >> (signal - 1) & 1U) != 0; }
  // It catches the signal, or blocks it, or may be waiting for it.
  [[nodiscard]] bool takes(int signal) const noexcept {
    return waits || catches(signal) || (blocked >> (signal - 1) & 1U) != 0;
  }
};
// The text of /proc/PID/status.
[[nodiscard]] Signals parse_signals(std::string_view status);

// `halt_signal`, 0: what LXC sends by itself, SIGRTMIN+3 to a program that blocks it (systemd) and SIGPWR to others.
// If the program does not take that one, SIGTERM; if it does not take that either, 0.
[[nodiscard]] int signal_to_end(const Signals& signals, int halt_signal) noexcept;

// "SIGTERM"
[[nodiscard]] std::string signal_name(int signal);

struct EndRequest {
  pid_t first = -1;     // the container's first program
  int halt_signal = 0;  // as above
  // All of the container's processes.
  std::function<std::vector<int>()> processes;
  std::uint32_t timeout_ms = 0;
  // A program that was started less than so long ago may still be on its way to its handlers. It is waited for, but no
  // longer than half of the time.
  std::uint32_t starting_ms = limits::kFirstProgramStartMs;
};

enum class Ending : std::uint8_t {
  by_itself,
  deaf,  // it runs on: it takes no signal, and nothing is left that would
  late,  // it runs on: it took the signal, or others run that were asked, and the time is over
};
struct EndAnswer {
  Ending ending = Ending::by_itself;
  int signal = 0;  // that it was asked with, or should have been
};
[[nodiscard]] const char* ending_name(Ending ending) noexcept;

// Returns when the first program has ended, or is to be killed; this does not kill it. A program that takes a signal
// has the whole time. If it takes none, every other process of the container gets SIGTERM, and has the whole time
// unless it ignores that; after that the first one has kEndAloneMs to end by itself, as a shell does, unless it never
// had company. An init that may not reboot (its SIGPWR is followed by a reboot() that the kernel refuses) is deaf as
// soon as it has ended all others and let go of its signals.
[[nodiscard]] EndAnswer ask_to_end(const EndRequest& request);

}  // namespace instar::device

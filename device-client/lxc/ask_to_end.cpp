#include "device-client/lxc/ask_to_end.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

#include "device-client/process/process_watch.hpp"
#include "files/files.hpp"

namespace instar::device {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLookMs = 10;
constexpr std::size_t kProcBytes = 64 * 1024;
// Looks in a row at which a program takes no signal: between two waits for one it may seem so.
constexpr int kDeafLooks = 3;

// "": there is no such process, or it ended while this was read.
std::string proc_text(pid_t pid, const char* name) {
  const auto bytes = files::read_file("/proc/" + std::to_string(pid) + "/" + name, kProcBytes);
  return bytes ? std::string(as_text(*bytes)) : "";
}

// "SigBlk:\t0000000000004000"
std::uint64_t set_in(std::string_view status, std::string_view key) {
  const auto at = status.find(key);
  std::uint64_t set = 0;
  if (at == std::string_view::npos) return set;
  const auto text = status.substr(at + key.size());
  std::from_chars(text.data(), text.data() + text.size(), set, 16);
  return set;
}

// The function of the kernel in which it sleeps, or else, in kernels without names, the system call.
bool is_in_sigwait(pid_t pid) {
  if (proc_text(pid, "wchan").find("sigtimedwait") != std::string::npos) return true;
  const auto text = proc_text(pid, "syscall");  // "128 0x7ffe… …", or "running"
  long number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
#ifdef SYS_rt_sigtimedwait_time64
  if (number == SYS_rt_sigtimedwait_time64) return true;
#endif
  return number == SYS_rt_sigtimedwait;
}

// Nothing: there is no such process any more.
std::optional<Signals> read_signals(pid_t pid) {
  const auto status = proc_text(pid, "status");
  if (status.empty()) return std::nullopt;
  auto signals = parse_signals(status);
  signals.waits = is_in_sigwait(pid);
  return signals;
}

bool runs(pid_t pid) {
  const auto signals = read_signals(pid);
  return signals && !signals->has_ended;
}

// As a shell of a person does.
bool ignores_term(pid_t pid) {
  const auto signals = read_signals(pid);
  return signals && signals->ignores(SIGTERM);
}

// Milliseconds since the process was started, by the 22nd field of its "stat"; the second one is a name in brackets
// that may hold anything.
std::int64_t age_ms(pid_t pid) {
  const auto stat = proc_text(pid, "stat");
  auto at = stat.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  std::int64_t ticks = 0;
  if (at == std::string::npos ||
      std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), ticks).ec != std::errc{})
    return 0;
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000 - ticks * 1000 / ::sysconf(_SC_CLK_TCK);
}

// Signals by which an init is asked to end.
constexpr std::array kSignalsOfInits = {SIGPWR, SIGUSR1, SIGUSR2, SIGTERM};

class Asking {
 public:
  explicit Asking(const EndRequest& request) : request_(request) {}

  EndAnswer run() {
    const ProcessWatch watch(request_.first);
    while (!watch.ended()) {
      const auto signals = read_signals(request_.first);
      // The first thread may have ended before the others; a descriptor knows the difference.
      if (!signals || (signals->has_ended && watch.fd() < 0)) break;
      if (is_to_be_killed(*signals)) return {Ending::deaf, shown_signal()};
      if (ms_since(begin_) >= request_.timeout_ms)
        return {sent_ == 0 && others().empty() ? Ending::deaf : Ending::late, shown_signal()};
      pollfd waiting{watch.fd(), POLLIN, 0};
      ::poll(&waiting, 1, kLookMs);
    }
    return {Ending::by_itself, sent_};
  }

 private:
  static std::int64_t ms_since(Clock::time_point then) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - then).count();
  }
  static bool is_over(std::optional<Clock::time_point>& since) {
    if (!since) since = Clock::now();
    return ms_since(*since) >= limits::kEndAloneMs;
  }

  // For people: the signal that was sent, or the one that would have been.
  int shown_signal() const {
    if (sent_ != 0) return sent_;
    return request_.halt_signal != 0 ? request_.halt_signal : SIGPWR;
  }
  bool is_starting() const {
    return ms_since(begin_) < request_.timeout_ms / 2 && age_ms(request_.first) < request_.starting_ms;
  }

  std::vector<int> others() const {
    auto pids = request_.processes();
    std::erase_if(pids, [&](int pid) { return pid == request_.first || !runs(pid); });
    return pids;
  }

  bool is_to_be_killed(const Signals& now) {
    if (is_asked_) return is_init_without_work(now);
    const int signal = signal_to_end(now, request_.halt_signal);
    if (signal == 0) {
      sent_ = 0;
      return ++deaf_looks_ >= kDeafLooks && !is_starting() && has_ended_others();
    }
    deaf_looks_ = 0;
    if (signal != sent_) {
      is_init_ = now.waits ? proc_text(request_.first, "comm") == "init\n"
                           : std::ranges::all_of(kSignalsOfInits, [&](int each) { return now.takes(each); });
      had_company_ = !others().empty();
      ::kill(request_.first, signal);
      sent_ = signal;
    }
    // What is being started blocks signals that it will not take later. A handler, though, is its own; it may go when
    // the signal has come, and is not looked for again.
    is_asked_ = now.waits || now.catches(signal) || !is_starting();
    return false;
  }

  bool has_ended_others() {
    if (!company_) {
      company_ = others();
      had_company_ = !company_->empty();
      std::erase_if(*company_, ignores_term);
      for (const int pid : *company_) ::kill(pid, SIGTERM);
    }
    std::erase_if(*company_, [](int pid) { return !runs(pid); });
    if (!company_->empty()) return false;
    // A shell ends by itself when its last command has ended. What starts others again does not.
    return !had_company_ || is_over(alone_) || !others().empty();
  }

  bool is_init_without_work(const Signals& now) {
    if (!is_init_ || !had_company_) return false;
    if (std::ranges::any_of(kSignalsOfInits, [&](int each) { return now.takes(each); })) return false;
    return others().empty() && is_over(alone_);
  }

  const EndRequest& request_;
  Clock::time_point begin_ = Clock::now();
  int sent_ = 0;
  int deaf_looks_ = 0;
  bool is_asked_ = false;  // and knows of it
  bool is_init_ = false;   // it took the signals of an init
  bool had_company_ = false;
  std::optional<std::vector<int>> company_;  // those of the others that were asked, and still run
  std::optional<Clock::time_point> alone_;
};

}  // namespace

Signals parse_signals(std::string_view status) {
  Signals signals;
  signals.blocked = set_in(status, "\nSigBlk:\t");
  signals.caught = set_in(status, "\nSigCgt:\t");
  signals.ignored = set_in(status, "\nSigIgn:\t");
  constexpr std::string_view kState = "\nState:\t";
  const auto state = status.find(kState);
  signals.has_ended = state != std::string_view::npos && state + kState.size() < status.size() &&
                      (status[state + kState.size()] == 'Z' || status[state + kState.size()] == 'X');
  return signals;
}

int signal_to_end(const Signals& signals, int halt_signal) noexcept {
  if (halt_signal == SIGKILL) return SIGKILL;
  const bool is_systemd = !signals.waits && !signals.catches(SIGRTMIN + 3) && signals.takes(SIGRTMIN + 3);
  if (halt_signal == 0) halt_signal = is_systemd ? SIGRTMIN + 3 : SIGPWR;
  for (const int each : {halt_signal, SIGTERM})
    if (signals.takes(each)) return each;
  return 0;
}

std::string signal_name(int signal) {
  constexpr std::pair<int, const char*> kNames[] = {
      {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"}, {SIGKILL, "SIGKILL"},
      {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}, {SIGTERM, "SIGTERM"}, {SIGPWR, "SIGPWR"},
  };
  const auto* const found = std::ranges::find(kNames, signal, &std::pair<int, const char*>::first);
  if (found != std::end(kNames)) return found->second;
  if (signal >= SIGRTMIN) return "SIGRTMIN+" + std::to_string(signal - SIGRTMIN);
  return "signal " + std::to_string(signal);
}

const char* ending_name(Ending ending) noexcept {
  switch (ending) {
    case Ending::by_itself: return "itself";
    case Ending::deaf: return "deaf";
    case Ending::late: break;
  }
  return "late";
}

EndAnswer ask_to_end(const EndRequest& request) {
  return Asking(request).run();
}

}  // namespace instar::device

#include "device-client/caretaker.hpp"

#include <poll.h>

#include <algorithm>
#include <vector>

#include "core/base/limits.hpp"
#include "core/revision/revisions.hpp"
#include "core/revision/state_codec.hpp"
#include "device-client/containers/supervisor.hpp"
#include "device-client/host.hpp"
#include "files/spared_file.hpp"

namespace instar::device {
namespace {

constexpr std::int64_t kAskMs = 5'000;
constexpr std::int64_t kCareTurnMs = 1'000;

// What is committed, from the state file.
std::optional<revision::EnsureRunning> committed(const Config& config, const Log& log) {
  const auto path = state_path(config.state_dir);
  const auto bytes = files::read_spared_file(path, limits::kStateFileBytesMax);
  if (!bytes) return std::nullopt;
  const auto state = revision::decode_state(*bytes);
  if (!state) {
    log.error(path + ": " + state.error().message);
    return std::nullopt;
  }
  const auto manifest = revision::manifest_in(state->revisions.current_manifest);
  if (!state->revisions.current || !manifest) return std::nullopt;
  return revision::EnsureRunning{state->revisions.current->number, *manifest};
}

// Until something has happened, a second at most. True: the client is to stop.
bool wait_for(const Supervisor& supervisor, int stop_fd) {
  const auto now = read_clocks().monotonic;
  std::vector<pollfd> waiting;
  for (const int fd : supervisor.fds()) waiting.push_back({fd, POLLIN, 0});
  waiting.push_back({stop_fd, POLLIN, 0});
  std::int64_t wait = kCareTurnMs;
  if (const auto deadline = supervisor.next_deadline(now)) wait = std::clamp<std::int64_t>(*deadline - now, 0, wait);
  ::poll(waiting.data(), waiting.size(), static_cast<int>(wait));
  return waiting.back().revents != 0;
}

}  // namespace

bool take_care(const Care& care, int stop_fd, const std::function<bool()>& has_room) {
  care.log.error(
      "degraded: no space: the state cannot be written, not even into the reserve; what is committed runs, and nothing "
      "else is done until there is room on " +
      care.config.state_dir);
  Log log = care.log;
  Supervisor supervisor({care.config, care.host, care.helper, &log});
  auto watchdog = Watchdog::start(care.watched, read_clocks().monotonic);
  const auto wanted = committed(care.config, log);
  std::vector<revision::Event> events;
  if (wanted) supervisor.ensure_running(*wanted);
  for (auto asked = read_clocks().monotonic; true;) {
    const auto now = read_clocks().monotonic;
    if (now - asked >= kAskMs && supervisor.is_settled()) {
      asked = now;
      if (has_room()) return true;
      // What stopped, or did not start, is tried again.
      if (wanted && !events.empty()) supervisor.ensure_running(*wanted);
      events.clear();
    }
    supervisor.poll(now, events);
    if (watchdog) watchdog->tick(supervisor.is_well(), now);
    care.pause.resume();
    if (wait_for(supervisor, stop_fd)) return false;
  }
}

}  // namespace instar::device

#include "device-client/containers/running_containers.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"

namespace instar::device {
namespace {

// How often processes are looked at on kernels that cannot report the end of one.
constexpr std::int64_t kPollMs = 500;

}  // namespace

void RunningContainers::take_states(const std::vector<ContainerState>& states, MonotonicMs now) {
  std::map<std::string, Running> fresh;
  for (const auto& state : states) {
    if (!state.runs) continue;
    const auto known = containers_.find(state.name);
    const bool same = known != containers_.end() && known->second.watch.pid() == state.pid;
    fresh.emplace(state.name, Running{state.record ? state.record->revision : 0, ProcessWatch(state.pid),
                                      same ? known->second.since : now, false});
  }
  containers_ = std::move(fresh);
  is_known_ = true;
}

void RunningContainers::will_stop(const std::string& name) {
  const auto found = containers_.find(name);
  if (found != containers_.end()) found->second.stopping = true;
}

void RunningContainers::started(const std::string& name, std::uint32_t revision, pid_t pid, MonotonicMs now) {
  containers_.insert_or_assign(name, Running{revision, ProcessWatch(pid), now, false});
}

std::vector<RunningContainers::Ended> RunningContainers::take_ended(MonotonicMs now) {
  std::vector<Ended> ended;
  for (auto it = containers_.begin(); it != containers_.end();) {
    if (it->second.stopping || !it->second.watch.ended()) {
      ++it;
      continue;
    }
    ended.push_back({it->first, now - it->second.since});
    it = containers_.erase(it);
  }
  return ended;
}

bool RunningContainers::is_well(const std::string& name) const {
  const auto found = containers_.find(name);
  return found != containers_.end() && !found->second.stopping;
}

std::set<std::string> RunningContainers::names() const {
  std::set<std::string> names;
  for (const auto& [name, running] : containers_) names.insert(name);
  return names;
}

std::uint32_t RunningContainers::revision_of(const std::string& name) const {
  const auto found = containers_.find(name);
  return found == containers_.end() ? 0 : found->second.revision;
}

std::set<std::uint32_t> RunningContainers::revisions() const {
  std::set<std::uint32_t> revisions;
  for (const auto& [name, running] : containers_) revisions.insert(running.revision);
  return revisions;
}

std::vector<int> RunningContainers::fds() const {
  std::vector<int> fds;
  for (const auto& [name, running] : containers_)
    if (!running.stopping && running.watch.fd() >= 0) fds.push_back(running.watch.fd());
  return fds;
}

std::optional<MonotonicMs> RunningContainers::next_deadline(MonotonicMs now) const {
  const bool must_look =
      std::ranges::any_of(containers_, [](const auto& entry) { return entry.second.watch.fd() < 0; });
  return must_look ? std::optional(now + kPollMs) : std::nullopt;
}

void RunningContainers::assert_invariants() const {
  INSTAR_ASSERT(is_known_ || containers_.empty());
}

}  // namespace instar::device

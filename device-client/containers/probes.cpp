#include "device-client/containers/probes.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace instar::device {

void Probes::start(const revision::RunProbe& probe, const HelperCommand& command, Runner runner, MonotonicMs now) {
  auto process = HelperProcess::spawn(command, now);
  if (process)
    running_.push_back({probe.revision, probe.container, probe.probe.timeout_ms, runner, std::move(*process)});
  else
    not_started_.push_back({probe.revision, probe.container, false, process.error().message});
}

void Probes::poll(MonotonicMs now, std::vector<revision::Event>& out) {
  std::ranges::move(not_started_, std::back_inserter(out));
  not_started_.clear();
  for (auto it = running_.begin(); it != running_.end();) {
    if (!it->process.poll(now)) {
      ++it;
      continue;
    }
    revision::ProbeEnded ended{it->revision, it->container, false, {}};
    if (it->runner == Runner::handler) {
      const auto end = it->process.ended();
      ended.passed = end.ok();
      ended.detail = end.text();
    } else {
      read_answer(*it, ended);
    }
    out.emplace_back(std::move(ended));
    it = running_.erase(it);
  }
}

// Of instar-lxc, which says how the command in the container ended.
void Probes::read_answer(const Probe& probe, revision::ProbeEnded& ended) {
  const auto reply = probe.process.result();
  if (!reply) {
    ended.detail = reply.error().message;
    return;
  }
  const JsonFields& fields = reply->front();
  const auto code = fields.integer("exit");
  ended.passed = code == 0;
  if (fields.flag("timed_out"))
    ended.detail = "timed out after " + std::to_string(probe.timeout_ms) + " ms";
  else if (code)
    ended.detail = "exit code " + std::to_string(*code);
  else
    ended.detail = "killed by signal " + std::to_string(fields.integer("signal").value_or(0));
  if (const auto line = fields.text("line").value_or(""); !line.empty()) ended.detail += ": " + line;
}

std::vector<int> Probes::fds() const {
  std::vector<int> fds;
  for (const auto& probe : running_)
    if (probe.process.fd() >= 0) fds.push_back(probe.process.fd());
  return fds;
}

std::optional<MonotonicMs> Probes::next_deadline(MonotonicMs now) const {
  if (!not_started_.empty()) return now;
  std::optional<MonotonicMs> deadline;
  for (const auto& probe : running_) {
    const auto at = probe.process.deadline(now);
    deadline = deadline ? std::min(*deadline, at) : at;
  }
  return deadline;
}

}  // namespace instar::device

#include "core/revision/gates.hpp"

#include <algorithm>

#include "core/base/assert.hpp"
#include "core/base/limits.hpp"
#include "core/wire/approval.hpp"
#include "core/wire/placement.hpp"

namespace instar::revision {
namespace {

bool has_mark(const std::vector<GateMark>& marks, const ManifestId& manifest) noexcept {
  return std::ranges::find(marks, manifest, &GateMark::manifest) != marks.end();
}

}  // namespace

Gates::Taken Gates::take(const wire::Gate& gate, const Needed& is_needed) {
  const auto mark = std::ranges::find(marks_, gate.manifest, &GateMark::manifest);
  auto taken = Taken::again;
  if (mark == marks_.end()) {
    taken = Taken::news;
    marks_.push_back({gate.manifest, gate.issue});
    if (std::ssize(marks_) > limits::kGatesKeptMax) {
      const auto oldest = std::ranges::find_if_not(marks_, is_needed, &GateMark::manifest);
      marks_.erase(oldest == marks_.end() ? marks_.begin() : oldest);
    }
  } else if (gate.issue < mark->issue) {
    return Taken::older;
  } else if (gate.issue > mark->issue) {
    taken = Taken::news;
    mark->issue = gate.issue;
  }
  gates_[gate.manifest] = gate;
  std::erase_if(gates_, [&](const auto& entry) { return !has_mark(marks_, entry.first); });
  std::erase_if(broken_, [&](const ManifestId& broken) { return !gates_.contains(broken); });
  return taken;
}

std::uint64_t Gates::issue(const ManifestId& manifest) const noexcept {
  const auto mark = std::ranges::find(marks_, manifest, &GateMark::manifest);
  return mark == marks_.end() ? 0 : mark->issue;
}

Status Gates::vet(const ManifestId& hash, const wire::Manifest& manifest, const trust::TrustStore* trust) {
  const auto gate = gates_.find(hash);
  if (gate == gates_.end()) return {};
  auto obeyed = wire::check_gate(manifest, gate->second);
  if (obeyed && trust != nullptr) obeyed = wire::check_approval(manifest, gate->second, *trust);
  if (obeyed) {
    broken_.erase(hash);
  } else {
    broken_.insert(hash);
  }
  return obeyed;
}

const wire::Gate* Gates::find(const ManifestId& manifest) const noexcept {
  const auto gate = gates_.find(manifest);
  return gate == gates_.end() || broken_.contains(manifest) ? nullptr : &gate->second;
}

std::optional<wire::GateState> Gates::state_of(const ManifestId& manifest) const noexcept {
  const auto gate = gates_.find(manifest);
  return gate == gates_.end() ? std::nullopt : std::optional(gate->second.state);
}

std::optional<std::uint32_t> Gates::retry_epoch(const ManifestId& manifest) const noexcept {
  const auto gate = gates_.find(manifest);
  return gate == gates_.end() ? std::nullopt : std::optional(gate->second.retry_epoch);
}

bool Gates::admits(const ManifestId& hash, const wire::Manifest& manifest, const DeviceId& device) const {
  const auto* gate = find(hash);
  if (gate == nullptr || gate->sequence != manifest.sequence || gate->state != wire::GateState::open) return false;
  return wire::admits(manifest.policy, *gate, device);
}

bool Gates::is_ended(const ManifestId& manifest) const noexcept {
  const auto* gate = find(manifest);
  return gate != nullptr && (gate->state == wire::GateState::aborted || gate->state == wire::GateState::reverted);
}

void Gates::assert_invariants() const {
  INSTAR_ASSERT(std::ssize(marks_) <= limits::kGatesKeptMax);
  for (const auto& [manifest, gate] : gates_) INSTAR_ASSERT(has_mark(marks_, manifest));
  for (const auto& manifest : broken_) INSTAR_ASSERT(gates_.contains(manifest));
}

}  // namespace instar::revision

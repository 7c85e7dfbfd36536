#include "broker-plugin/acks.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

namespace instar::broker {
namespace {

// When so many devices are acked in a turn the broker is busy, and the next acks wait a little: what a device says in
// the meantime is confirmed by one message, not by many. A message costs the broker more than all of our own work for a
// report.
constexpr std::size_t kBusyAcks = 32;
constexpr std::int64_t kBusyPauseMs = 50;
constexpr std::size_t kAcksATick = 8;

}  // namespace

void Acks::add(const DeviceId& device, const wire::Ack& ack) {
  const auto [queued, is_new] = gathered_.try_emplace(device, ack);
  if (is_new) return;
  queued->second.sequence = std::max(queued->second.sequence, ack.sequence);
  if (!ack.endings.empty()) queued->second.endings = ack.endings;
  if (ack.start_rollout == 0) return;
  queued->second.start_rollout = ack.start_rollout;
  queued->second.start_attempt = ack.start_attempt;
}

std::vector<std::pair<DeviceId, wire::Ack>> Acks::take(MonotonicMs now) {
  if (leaving_.empty() && !gathered_.empty() && now >= not_before_) {
    if (gathered_.size() >= kBusyAcks) not_before_ = now + kBusyPauseMs;
    leaving_.assign(gathered_.begin(), gathered_.end());
    gathered_.clear();
  }
  std::vector<std::pair<DeviceId, wire::Ack>> out;
  while (out.size() < kAcksATick && !leaving_.empty()) {
    out.push_back(std::move(leaving_.back()));
    leaving_.pop_back();
  }
  return out;
}

void Acks::assert_invariants() const {
  for (const auto& [device, ack] : gathered_) INSTAR_ASSERT((ack.start_rollout == 0) == (ack.start_attempt == 0));
}

}  // namespace instar::broker

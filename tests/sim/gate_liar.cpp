#include "tests/sim/gate_liar.hpp"

#include <algorithm>
#include <utility>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"
#include "core/trust/envelope.hpp"
#include "core/wire/approval.hpp"

namespace instar::sim {
namespace {

// More than the differences between clocks that are allowed for.
constexpr std::int64_t kBeyondMs = 15 * 60 * 1'000;
// By then what is retained has come over the slowest link.
constexpr std::int64_t kGatesSettledMs = 30'000;

}  // namespace

wire::Gate GateLiar::all_open(const Release& release, WallMs first) const {
  const auto& policy = release.manifest.policy;
  wire::Gate gate;
  gate.product = release.manifest.product;
  gate.manifest = release.rollout;
  gate.sequence = release.manifest.sequence;
  gate.admitted_bp = 10'000;
  gate.admitted_point = std::uint64_t{1} << 32;
  gate.wave = static_cast<std::uint32_t>(std::max<std::size_t>(policy.waves.size(), 1) - 1);
  auto opened = first;
  for (std::uint32_t i = 0; i <= gate.wave; ++i) {
    gate.wave_opened.push_back(opened);
    opened = opened + std::int64_t{i < policy.waves.size() ? policy.waves[i].soak_s : 0} * 1'000;
  }
  gate.fresh = std::max(world_.wall(), gate.wave_opened.back());
  gate.issue = 1;
  return gate;
}

void GateLiar::send_sealed(const std::string& topic, const wire::Gate& gate, std::int64_t connected_ms) {
  broker_.inject(topic, trust::seal(trust::Kind::gate, wire::encode(gate), keys_.gate), connected_ms);
}

bool GateLiar::was_opened(const Release& release) const {
  const auto& kept = broker_.recorded().gates(release.rollout);
  return !kept.empty() && kept.back().gate.state == wire::GateState::open;
}

void GateLiar::send(const Release& release, wire::Gate gate) {
  const auto& kept = broker_.recorded().gates(release.rollout);
  if (!kept.empty()) {
    gate.issue = kept.back().gate.issue;
    gate.retry_epoch = kept.back().gate.retry_epoch;
  }
  for (const auto& group : release.manifest.groups) {
    gate.group = group;
    send_sealed(wire::Topics().gate(group, gate.product), gate);
  }
}

void GateLiar::skip_waves(const Release& release) {
  // Whoever has the gate key may open a rollout with one wave: its policy does not forbid that.
  if (release.manifest.policy.waves.size() < 2) return;
  // If its times follow the policy, a device cannot know that it is false.
  auto gate = all_open(release, release.manifest.issued);
  if (!canaries_.forged_times) {
    gate.wave_opened.resize(1);
    gate.fresh = std::max(world_.wall(), gate.wave_opened.front());
  }
  for (const auto& group : release.manifest.groups) {
    gate.group = group;
    send_sealed(wire::Topics().gate(group, gate.product), gate);
  }
}

void GateLiar::lie(const Release& release) {
  switch (world_.random.below(4)) {
    case 0: return shift_back(release);
    case 1: return shift_ahead(release);
    case 2: return replay(release);
    default: return approve_falsely(release);
  }
}

void GateLiar::shift_back(const Release& release) {
  if (release.manifest.policy.waves.size() < 2 || !was_opened(release)) return;
  world_.note("a gate of " + release.manifest.release + " says that all has been before the release was made");
  const auto gate = all_open(release, release.manifest.issued + -kBeyondMs);
  send(release, gate);
}

void GateLiar::shift_ahead(const Release& release) {
  if (release.manifest.policy.waves.size() < 2 || !was_opened(release)) return;
  const auto gate = all_open(release, release.manifest.issued);
  // With soaks that may have passed by the clocks of devices it says nothing that could not be.
  if (gate.wave_opened.back() - world_.wall() < kBeyondMs) return;
  world_.note("a gate of " + release.manifest.release + " says that it is later than it is");
  admissions_.said_ahead(gate);
  send(release, gate);
}

void GateLiar::flood(const Release& release) {
  for (std::ptrdiff_t i = 0; i < limits::kGatesKeptMax + 10; ++i) {
    auto gate = all_open(release, world_.wall());
    gate.manifest = ManifestId(trust::digest(world_.random.noise(8)));
    gate.group = release.manifest.groups.front();
    gate.wave = 0;
    gate.wave_opened = {world_.wall()};
    send_sealed(wire::Topics().gate(gate.group, gate.product), gate, kGatesSettledMs);
  }
}

void GateLiar::replay(const Release& release) {
  const auto& kept = broker_.recorded().gates(release.rollout);
  if (kept.empty() || kept.back().gate.state == wire::GateState::open) return;
  const auto old = std::ranges::find(kept, wire::GateState::open, [](const auto& one) { return one.gate.state; });
  if (old == kept.end() || old->gate.issue >= kept.back().gate.issue) return;
  world_.note("an old gate of " + release.manifest.release + " is sent again");
  if (!canaries_.raised_issue) {
    flood(release);
    return broker_.inject(old->topic, old->payload, kGatesSettledMs);
  }
  auto gate = old->gate;
  gate.issue = kept.back().gate.issue + 1;
  gate.fresh = std::max(gate.fresh, world_.wall());
  send_sealed(old->topic, gate);
}

void GateLiar::approve_falsely(const Release& release) {
  const auto& policy = release.manifest.policy;
  auto gate = all_open(release, release.manifest.issued);
  const auto needed = wire::signed_yes_needed(policy, gate.wave);
  if (!needed || !was_opened(release)) return;
  // Its times are to be no reason.
  if (gate.wave_opened.back() - world_.wall() > 60'000) return;
  world_.note("a gate of " + release.manifest.release + " opens waves that nobody has approved");
  wire::Approval approval{release.manifest.product, release.rollout, *needed, world_.wall()};
  const auto roll = canaries_.stolen_approval ? 3 : world_.random.below(3);
  if (roll == 1) gate.approval = trust::seal(trust::Kind::approval, wire::encode(approval), keys_.gate);
  if (roll == 2) {
    approval.manifest = ManifestId(trust::digest(as_bytes("another")));
    gate.approval = trust::seal(trust::Kind::approval, wire::encode(approval), keys_.release);
  }
  if (roll == 3) gate.approval = trust::seal(trust::Kind::approval, wire::encode(approval), keys_.release);
  send(release, gate);
}

}  // namespace instar::sim

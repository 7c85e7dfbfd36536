#include "core/wire/placement.hpp"

#include <algorithm>
#include <string>

#include "core/base/limits.hpp"
#include "core/trust/digest.hpp"

namespace instar::wire {
namespace {

constexpr std::uint16_t kAll = 10'000;

bool names(const Wave& wave, const DeviceId& device) noexcept {
  return std::ranges::find(wave.devices, device.str()) != wave.devices.end();
}

// The number of a wave for people, counted from 1.
std::string wave_text(std::size_t wave) {
  return "wave " + std::to_string(wave + 1);
}

Status check_wave(const Wave& wave, std::size_t index) {
  const int kinds = (wave.share_bp > 0 ? 1 : 0) + (wave.device_count > 0 ? 1 : 0) + (wave.devices.empty() ? 0 : 1);
  if (kinds == 1) return {};
  return fail(Code::invalid_argument, wave_text(index) + " must have one of share_bp, device_count and devices");
}

tl::unexpected<Error> refuse(const std::string& what) {
  return fail(Code::refused, "the gate " + what);
}

// Only of a gate that lets devices begin: one that stops them is obeyed whatever its times.
Status check_times(const Manifest& manifest, const Gate& gate) {
  const auto& policy = manifest.policy;
  for (std::size_t i = 0; i + 1 < gate.wave_opened.size(); ++i) {
    const auto soaked = gate.wave_opened[i + 1] - gate.wave_opened[i];
    const auto soak = std::int64_t{policy.waves[i].soak_s} * 1'000;
    if (soaked < soak) {
      return refuse("opens " + wave_text(i + 1) + " " + std::to_string(soaked / 1'000) +
                    " s after the one before; its soak is " + std::to_string(policy.waves[i].soak_s) + " s");
    }
  }
  if (!gate.wave_opened.empty() && manifest.issued - gate.wave_opened.front() > limits::kGateClockMsMax) {
    return refuse("opened its first wave " + std::to_string((manifest.issued - gate.wave_opened.front()) / 60'000) +
                  " min before the release was made");
  }
  if (!gate.wave_opened.empty() && gate.fresh < gate.wave_opened.back())
    return refuse("opens " + wave_text(gate.wave) + " in the future");
  return {};
}

}  // namespace

std::uint32_t placement_point(ByteView salt, const DeviceId& device) noexcept {
  trust::Hasher hasher;
  hasher.update(salt);
  hasher.update(as_bytes(device.str()));
  return static_cast<std::uint32_t>(hasher.finish().prefix64() >> 32);
}

std::uint64_t point_of_share(std::uint16_t share_bp) noexcept {
  return (std::uint64_t{share_bp} * kPointsEnd + kAll - 1) / kAll;
}

std::uint16_t share_of_point(std::uint64_t point) noexcept {
  return static_cast<std::uint16_t>(std::min(point, kPointsEnd) * kAll / kPointsEnd);
}

std::size_t wave_count(const Policy& policy) noexcept {
  return std::max<std::size_t>(policy.waves.size(), 1);
}

Wave wave_of(const Policy& policy, std::size_t wave) {
  if (wave < policy.waves.size()) return policy.waves[wave];
  Wave all;
  all.share_bp = kAll;
  return all;
}

bool is_named(const Policy& policy, std::size_t wave, const DeviceId& device) noexcept {
  const auto end = std::min(wave + 1, policy.waves.size());
  return std::any_of(policy.waves.begin(), policy.waves.begin() + static_cast<std::ptrdiff_t>(end),
                     [&](const Wave& one) { return names(one, device); });
}

std::uint64_t point_max(const Policy& policy, std::size_t wave) noexcept {
  if (wave >= policy.waves.size()) return kPointsEnd;
  std::uint64_t reached = 0;
  for (std::size_t i = 0; i <= wave; ++i) {
    const auto& row = policy.waves[i];
    if (row.share_bp > 0) reached = point_of_share(row.share_bp);
    if (row.device_count == 0) continue;
    const auto next = std::find_if(policy.waves.begin() + static_cast<std::ptrdiff_t>(i), policy.waves.end(),
                                   [](const Wave& later) { return later.share_bp > 0; });
    reached = next == policy.waves.end() ? kPointsEnd : point_of_share(next->share_bp);
  }
  return reached;
}

std::optional<std::size_t> first_wave(const Policy& policy, std::span<const std::uint64_t> limits,
                                      const DeviceId& device, std::uint32_t point) noexcept {
  for (std::size_t wave = 0; wave < limits.size(); ++wave) {
    if (point < limits[wave]) return wave;
    if (wave < policy.waves.size() && names(policy.waves[wave], device)) return wave;
  }
  return std::nullopt;
}

bool goes_by_turns(const Policy& policy, std::size_t wave) noexcept {
  return policy.in_flight_max != 0 || policy.starts_per_minute_max != 0 ||
         (wave < policy.waves.size() && policy.waves[wave].device_count != 0);
}

Status check_waves(const Policy& policy) {
  if (policy.budget_action == BudgetAction::revert && !policy.revert_allowed) {
    return fail(Code::invalid_argument, "an error budget that reverts needs revert_allowed");
  }
  if (policy.approval_signed && std::ranges::none_of(policy.waves, &Wave::approval)) {
    return fail(Code::invalid_argument, "approvals are to be signed, but no wave asks for approval");
  }
  std::uint16_t share = 0;
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < policy.waves.size(); ++i) {
    const auto& wave = policy.waves[i];
    INSTAR_CHECK(check_wave(wave, i));
    if (wave.share_bp > 0 && wave.share_bp <= share) {
      return fail(Code::invalid_argument, wave_text(i) + " has share_bp " + std::to_string(wave.share_bp) +
                                              ", the waves before it have " + std::to_string(share) +
                                              " already: shares add up, and must rise");
    }
    if (wave.device_count > 0 && wave.device_count <= count) {
      return fail(Code::invalid_argument, wave_text(i) + " has device_count " + std::to_string(wave.device_count) +
                                              ", the waves before it have " + std::to_string(count) +
                                              " already: counts add up, and must rise");
    }
    share = std::max(share, wave.share_bp);
    count = std::max(count, wave.device_count);
  }
  if (policy.waves.empty()) return {};
  const auto& last = policy.waves.back();
  if (last.share_bp != kAll) {
    return fail(Code::invalid_argument,
                "the last wave must have share_bp 10000: the other devices would never be updated");
  }
  if (last.approval) return fail(Code::invalid_argument, "the last wave asks for approval, but no wave follows it");
  return {};
}

Status check_gate(const Manifest& manifest, const Gate& gate) {
  const auto& policy = manifest.policy;
  if (gate.state == GateState::reverted && !policy.revert_allowed)
    return refuse("takes the release back, which its manifest does not allow");
  if (gate.wave >= wave_count(policy)) {
    return refuse("opens " + wave_text(gate.wave) + " of " + std::to_string(wave_count(policy)));
  }
  if (gate.wave_opened.size() != gate.wave + 1)
    return refuse("skips a wave: it opens " + wave_text(gate.wave) + " and names the times of " +
                  std::to_string(gate.wave_opened.size()));
  if (gate.state == GateState::open) INSTAR_CHECK(check_times(manifest, gate));
  if (gate.admitted_point > point_max(policy, gate.wave) ||
      gate.admitted_bp > share_of_point(point_max(policy, gate.wave))) {
    return refuse("admits " + std::to_string(std::max(gate.admitted_bp, share_of_point(gate.admitted_point))) +
                  " of 10000 devices in " + wave_text(gate.wave) + ", its policy " +
                  std::to_string(share_of_point(point_max(policy, gate.wave))));
  }
  return {};
}

bool admits(const Policy& policy, const Gate& gate, const DeviceId& device) noexcept {
  if (is_named(policy, gate.wave, device)) return true;
  const auto limit = gate.admitted_point != 0 ? gate.admitted_point : point_of_share(gate.admitted_bp);
  return placement_point(policy.salt, device) < limit;
}

}  // namespace instar::wire

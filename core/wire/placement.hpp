// Which devices a wave admits. Broker and device must get exactly the same answer for each device. Pure functions of
// the signed policy.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"
#include "core/wire/messages.hpp"

namespace instar::wire {

// Places are 0 … 2^32-1; a limit of kPointsEnd admits everyone.
inline constexpr std::uint64_t kPointsEnd = std::uint64_t{1} << 32;

// The place of a device in a rollout: the first 8 bytes of BLAKE2b-256(salt ‖ device id), little-endian, and the upper
// 32 bits of that.
[[nodiscard]] std::uint32_t placement_point(ByteView salt, const DeviceId& device) noexcept;
// The limit that admits `share_bp` of all places, rounded up: at most one place more than that is below it.
[[nodiscard]] std::uint64_t point_of_share(std::uint16_t share_bp) noexcept;
// The share of a limit, rounded down, for older clients and for people.
[[nodiscard]] std::uint16_t share_of_point(std::uint64_t point) noexcept;

// A policy without waves has one wave with everyone.
[[nodiscard]] std::size_t wave_count(const Policy& policy) noexcept;
// The row of `wave`. For a policy without waves, a row with everyone.
[[nodiscard]] Wave wave_of(const Policy& policy, std::size_t wave);
// Whether the device is named in `wave` or in one before it.
[[nodiscard]] bool is_named(const Policy& policy, std::size_t wave, const DeviceId& device) noexcept;
// The highest limit that the policy allows for `wave`. For a wave by share it is the limit of that share. For a wave by
// count it is that of the next wave by share, because only the broker knows how many devices there are. For a wave of
// named devices it is that of the wave before.
[[nodiscard]] std::uint64_t point_max(const Policy& policy, std::size_t wave) noexcept;
// The first wave that admits a device, given the limits of the waves opened so far. nullopt: none of them does.
[[nodiscard]] std::optional<std::size_t> first_wave(const Policy& policy, std::span<const std::uint64_t> limits,
                                                    const DeviceId& device, std::uint32_t point) noexcept;

// Whether devices ask the broker for their turn before they begin, while `wave` is the last one that has opened: where
// the policy bounds how many begin. In a wave by count only the broker can count them.
[[nodiscard]] bool goes_by_turns(const Policy& policy, std::size_t wave) noexcept;

// Rules of a policy beyond those of decode_manifest(): each wave is by share, by count or by names, shares and counts
// rise, the last wave has everyone and asks for no approval; `revert` needs revert_allowed, and signed approvals a wave
// that asks for one. Errors: invalid_argument, with the number of the wave, counted from 1.
[[nodiscard]] Status check_waves(const Policy& policy);

// Checks that a gate follows the policy: no wave skipped, no soak cut short, no more admitted than the policy allows,
// no revert that it does not allow. `manifest` is the one that the gate names. Errors: refused, with the rule.
[[nodiscard]] Status check_gate(const Manifest& manifest, const Gate& gate);
// Whether the gate admits the device, whatever the gate's state is. For a gate without admitted_point (from an older
// broker) admitted_bp counts.
[[nodiscard]] bool admits(const Policy& policy, const Gate& gate, const DeviceId& device) noexcept;

}  // namespace instar::wire

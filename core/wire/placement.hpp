// Who goes when: the arithmetic of waves that broker and device must agree on, to the device. Pure functions of the
// signed policy.
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

// Where a device stands in a rollout: BLAKE2b-256(salt ‖ device id), its first 8 bytes little-endian, the upper 32 bits
// of that.
[[nodiscard]] std::uint32_t placement_point(ByteView salt, const DeviceId& device) noexcept;
// The limit that admits `share_bp` of all places, rounded up: below it lie those places and no more than one in 2^32
// beside them.
[[nodiscard]] std::uint64_t point_of_share(std::uint16_t share_bp) noexcept;
// The same the other way, rounded down, for older clients and for people.
[[nodiscard]] std::uint16_t share_of_point(std::uint64_t point) noexcept;

// No waves in the policy: one wave of all.
[[nodiscard]] std::size_t wave_count(const Policy& policy) noexcept;
// The row of `wave`; of a policy without waves, one of everyone.
[[nodiscard]] Wave wave_of(const Policy& policy, std::size_t wave);
// The device is named in `wave` or one before it.
[[nodiscard]] bool is_named(const Policy& policy, std::size_t wave, const DeviceId& device) noexcept;
// The bound that the policy alone sets to the limit of `wave`: of a wave by share its own, of one by count that of the
// next by share (how many devices there are the broker alone knows), of one of named devices that of the wave before.
[[nodiscard]] std::uint64_t point_max(const Policy& policy, std::size_t wave) noexcept;
// The first wave that admits a device, given the limits of the waves opened so far; nullopt: none of them does.
[[nodiscard]] std::optional<std::size_t> first_wave(const Policy& policy, std::span<const std::uint64_t> limits,
                                                    const DeviceId& device, std::uint32_t point) noexcept;

// Rules of a policy beyond those of decode_manifest(): each wave is by share, by count or by names, shares and counts
// rise, the last wave is everyone and asks for no approval; `revert` needs revert_allowed. Errors: invalid_argument;
// names the wave, from 1.
[[nodiscard]] Status check_waves(const Policy& policy);

// What a device may take a gate for: no wave skipped, no soak cut short, no more admitted than the policy lets in, no
// revert that it does not allow. `manifest` is the one that the gate names. Errors: refused; says which rule.
[[nodiscard]] Status check_gate(const Manifest& manifest, const Gate& gate);
// The gate admits the device (its state is not looked at). A gate without admitted_point (from an older broker) goes by
// admitted_bp.
[[nodiscard]] bool admits(const Policy& policy, const Gate& gate, const DeviceId& device) noexcept;

}  // namespace instar::wire

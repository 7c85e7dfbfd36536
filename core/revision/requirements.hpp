// What a manifest asks of a device, and what this version cannot do for it. Pure.
#pragma once

#include <string_view>

#include "core/base/result.hpp"
#include "core/revision/device_facts.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// The kind of payload that is a client: no program takes it, the client itself does.
inline constexpr std::string_view kClientHandler = "instar-client";

// Dotted versions by their leading numbers: "6.1.0-18-amd64" is at least "5.10". What has no number counts as 0.
[[nodiscard]] bool version_at_least(std::string_view version, std::string_view minimum) noexcept;

// Everything that can be said before a byte is fetched, but for what times say (age.hpp). `free_bytes` 0 = not known
// yet. Errors: unsupported, refused, no_space; the message names what is asked and what is there.
[[nodiscard]] Status check_requirements(const wire::Manifest& manifest, const DeviceFacts& facts,
                                        std::uint64_t free_bytes);

}  // namespace instar::revision

// Which LXC settings a signed manifest may make by itself (docs/lxc-settings.md). Everything else gives the container
// power over the host and needs the device's own configuration to allow it too.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/wire/manifest.hpp"

namespace instar::revision {

// True if `key` with this value is safe on any host.
[[nodiscard]] bool is_safe_setting(std::string_view key, std::string_view value) noexcept;

// `keys_allowed`: what the device's owner allows beyond that. "lxc.mount.entry" allows exactly that key, "lxc.net.*"
// what starts so. Errors: refused; the message names container and key.
[[nodiscard]] Status check_settings(const wire::Container& container, std::span<const std::string> keys_allowed);

}  // namespace instar::revision
